//! Keys made of keys.

use super::{Key, KeyEncode, KeyError};
use std::cmp::Reverse;

const NONE: u8 = 0;
const SOME: u8 = 1;
const END: u8 = 0;
const ITEM: u8 = 1;
/// Bytes of a reversed key that are tried first, as nobody knows how long it is.
const WINDOW: usize = 64;

impl<T: KeyEncode + ?Sized> KeyEncode for &T {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        (**self).encode_key(out);
    }
}

impl<T: KeyEncode> KeyEncode for Option<T> {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(NONE),
            Some(value) => {
                out.push(SOME);
                value.encode_key(out);
            }
        }
    }
}

impl<T: Key> Key for Option<T> {
    #[inline]
    fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
        match u8::decode_key(input)? {
            NONE => Ok(None),
            SOME => T::decode_key(input).map(Some),
            _ => Err(KeyError::Invalid("option")),
        }
    }
}

pub(super) fn encode_items<T: KeyEncode>(items: &[T], out: &mut Vec<u8>) {
    for item in items {
        out.push(ITEM);
        item.encode_key(out);
    }
    out.push(END);
}

pub(super) fn decode_items<T: Key>(input: &mut &[u8]) -> Result<Vec<T>, KeyError> {
    let mut items = Vec::new();
    loop {
        match u8::decode_key(input)? {
            END => return Ok(items),
            ITEM => items.push(T::decode_key(input)?),
            _ => return Err(KeyError::Invalid("list")),
        }
    }
}

impl<T: KeyEncode> KeyEncode for [T] {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        T::encode_slice(self, out);
    }
}

impl<T: KeyEncode> KeyEncode for Vec<T> {
    #[inline]
    fn encode_key(&self, out: &mut Vec<u8>) {
        T::encode_slice(self, out);
    }
}

impl<T: Key> Key for Vec<T> {
    fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
        T::decode_vec(input)
    }
}

impl<T: KeyEncode> KeyEncode for Reverse<T> {
    fn encode_key(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.0.encode_key(out);
        for byte in out.iter_mut().skip(start) {
            *byte = !*byte;
        }
    }
}

impl<T: Key> Key for Reverse<T> {
    fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
        let mut window = WINDOW;
        loop {
            let flipped: Vec<u8> = input.iter().take(window).map(|byte| !byte).collect();
            let mut rest = flipped.as_slice();
            match T::decode_key(&mut rest) {
                Ok(value) => {
                    let used = flipped.len() - rest.len();
                    *input = input.get(used..).unwrap_or_default();
                    return Ok(Self(value));
                }
                Err(KeyError::Truncated) if flipped.len() < input.len() => window = window.saturating_mul(2),
                Err(error) => return Err(error),
            }
        }
    }
}

macro_rules! tuples {
    ($(($($name:ident . $at:tt),+))+) => {
        $(
            impl<$($name: KeyEncode),+> KeyEncode for ($($name,)+) {
                #[inline]
                fn encode_key(&self, out: &mut Vec<u8>) {
                    $(self.$at.encode_key(out);)+
                }
            }

            impl<$($name: Key),+> Key for ($($name,)+) {
                #[inline]
                fn decode_key(input: &mut &[u8]) -> Result<Self, KeyError> {
                    Ok(($($name::decode_key(input)?,)+))
                }
            }
        )+
    };
}

tuples! {
    (A.0)
    (A.0, B.1)
    (A.0, B.1, C.2)
    (A.0, B.1, C.2, D.3)
    (A.0, B.1, C.2, D.3, E.4)
    (A.0, B.1, C.2, D.3, E.4, F.5)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6)
    (A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7)
}
