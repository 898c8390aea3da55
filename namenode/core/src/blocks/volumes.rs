//! A small set of volumes that lives inside a block's entry: three without an allocation, any number with one.

use super::cluster::VolumeIx;

/// Volumes in no particular order, each once.
#[derive(Clone, Debug)]
pub(super) enum Volumes {
    Few {
        len: u8,
        at: [VolumeIx; Volumes::INLINE],
    },
    #[expect(clippy::box_collection, reason = "a thin pointer keeps the entry of every block small")]
    Many(Box<Vec<VolumeIx>>),
}

impl Volumes {
    const INLINE: usize = 3;

    pub(super) const fn new() -> Self {
        Self::Few { len: 0, at: [VolumeIx(0); Self::INLINE] }
    }

    pub(super) fn as_slice(&self) -> &[VolumeIx] {
        match self {
            Self::Few { len, at } => &at[..usize::from(*len)],
            Self::Many(list) => list,
        }
    }

    pub(super) fn contains(&self, volume: VolumeIx) -> bool {
        self.as_slice().contains(&volume)
    }

    pub(super) fn insert(&mut self, volume: VolumeIx) {
        if self.contains(volume) {
            return;
        }
        match self {
            Self::Few { len, at } if usize::from(*len) < Self::INLINE => {
                at[usize::from(*len)] = volume;
                *len += 1;
            }
            Self::Few { at, .. } => {
                let mut list = at.to_vec();
                list.push(volume);
                *self = Self::Many(Box::new(list));
            }
            Self::Many(list) => list.push(volume),
        }
    }

    /// Takes a volume out; `false` if it was not in.
    pub(super) fn remove(&mut self, volume: VolumeIx) -> bool {
        let Some(at) = self.as_slice().iter().position(|&v| v == volume) else { return false };
        match self {
            Self::Few { len, at: list } => {
                *len -= 1;
                list.swap(at, usize::from(*len));
            }
            Self::Many(list) => {
                list.swap_remove(at);
                if list.len() <= Self::INLINE {
                    let mut few = [VolumeIx(0); Self::INLINE];
                    few[..list.len()].copy_from_slice(list);
                    *self = Self::Few { len: list.len() as u8, at: few };
                }
            }
        }
        true
    }
}

const _: () = assert!(size_of::<Volumes>() == 16);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn behaves_as_a_set_across_the_inline_limit() {
        let mut volumes = Volumes::new();
        let mut model = BTreeSet::new();
        let mut mix = super::super::mix::Mix::new(3);
        for _ in 0..2000 {
            let volume = VolumeIx(mix.below(7) as u32);
            if mix.below(2) == 0 {
                volumes.insert(volume);
                model.insert(volume);
            } else {
                assert_eq!(volumes.remove(volume), model.remove(&volume));
            }
            assert_eq!(volumes.as_slice().iter().copied().collect::<BTreeSet<_>>(), model);
            assert_eq!(volumes.as_slice().len(), model.len());
            assert_eq!(matches!(volumes, Volumes::Few { .. }), model.len() <= Volumes::INLINE);
        }
    }
}
