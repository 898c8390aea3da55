//! Bytes of files that need not be kept: each follows from a seed and its place, so that writer and judge agree apart.

/// Bytes `from` up to `to` of the content of `seed`.
#[must_use]
pub fn content(seed: u64, from: u64, to: u64) -> Vec<u8> {
    (from..to).map(|at| byte(seed, at)).collect()
}

/// Where `bytes`, read from the start of a file, first differ from the content of `seed`.
#[must_use]
pub fn difference(seed: u64, bytes: &[u8]) -> Option<u64> {
    (0_u64..).zip(bytes).find(|(at, found)| byte(seed, *at) != **found).map(|(at, _)| at)
}

/// One step of SplitMix64 for each eight bytes.
fn byte(seed: u64, at: u64) -> u8 {
    let mut word = seed.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add((at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word ^ (word >> 31)).to_le_bytes()[(at % 8) as usize]
}
