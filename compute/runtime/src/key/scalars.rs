//! Keys of a fixed size.

use super::{Key, KeyEncode, KeyError};

/// Takes the first `N` bytes.
fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], KeyError> {
    let (first, rest) = input.split_first_chunk::<N>().ok_or(KeyError::Truncated)?;
    *input = rest;
    Ok(*first)
}

macro_rules! integers {
    ($($type:ident ^ $flip:expr;)*) => {
        $(
            impl KeyEncode for $type {
                #[inline]
                fn encode_key(&self, out: &mut Vec<u8>) {
                    out.extend_from_slice(&(*self ^ $flip).to_be_bytes());
                }
            }

            impl Key for $type {
                #[inline]
                fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
                    Ok(Self::from_be_bytes(take(input)?) ^ $flip)
                }
            }
        )*
    };
}

integers! {
    u16 ^ 0;
    u32 ^ 0;
    u64 ^ 0;
    u128 ^ 0;
    i8 ^ i8::MIN;
    i16 ^ i16::MIN;
    i32 ^ i32::MIN;
    i64 ^ i64::MIN;
    i128 ^ i128::MIN;
}

impl KeyEncode for u8 {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn encode_slice(items: &[Self], out: &mut Vec<u8>) {
        super::bytes::encode(items, out);
    }
}

impl Key for u8 {
    #[inline]
    fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
        let [byte] = take(input)?;
        Ok(byte)
    }

    fn decode_vec(input: &mut &[u8]) -> Result<Vec<Self>, KeyError> {
        Ok(super::bytes::take(input)?.into_owned())
    }
}

/// Sizes are 64 bits wide everywhere.
macro_rules! sizes {
    ($($type:ty as $wide:ty;)*) => {
        $(
            impl KeyEncode for $type {
                #[inline]
                fn encode_key(&self, out: &mut Vec<u8>) {
                    <$wide>::try_from(*self).expect("no machine has wider sizes").encode_key(out);
                }
            }

            impl Key for $type {
                #[inline]
                fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
                    Self::try_from(<$wide>::decode_key(input)?).map_err(|_| KeyError::Invalid("size"))
                }
            }
        )*
    };
}

sizes! {
    usize as u64;
    isize as i64;
}

macro_rules! floats {
    ($($type:ident, $bits:ty, $last:expr;)*) => {
        $(
            impl KeyEncode for $type {
                #[inline]
                fn encode_key(&self, out: &mut Vec<u8>) {
                    let bits = self.to_bits();
                    let sign: $bits = 1 << $last;
                    let ordered = if bits & sign == 0 { bits | sign } else { !bits };
                    out.extend_from_slice(&ordered.to_be_bytes());
                }
            }

            impl Key for $type {
                #[inline]
                fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
                    let ordered = <$bits>::from_be_bytes(take(input)?);
                    let sign: $bits = 1 << $last;
                    Ok(Self::from_bits(if ordered & sign == 0 { !ordered } else { ordered ^ sign }))
                }
            }
        )*
    };
}

floats! {
    f32, u32, 31;
    f64, u64, 63;
}

impl KeyEncode for bool {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Key for bool {
    #[inline]
    fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
        match take(input)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(KeyError::Invalid("bool")),
        }
    }
}

impl KeyEncode for char {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        u32::from(*self).encode_key(out);
    }
}

impl Key for char {
    #[inline]
    fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
        Self::from_u32(u32::decode_key(input)?).ok_or(KeyError::Invalid("char"))
    }
}

impl KeyEncode for () {
    #[inline]
    fn encode_key(&self, _out: &mut Vec<u8>) {}
}

impl Key for () {
    #[inline]
    fn decode_key(_input: &mut &[u8]) -> Result<Self, KeyError> {
        Ok(())
    }
}
