//! Values as bytes: postcard.

use mammoth_runtime::error::RuntimeError;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Appends to a vector, without a copy in between.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Replaces what is in `out` by a value's bytes.
#[inline]
pub(crate) fn encode<V: Serialize + ?Sized>(value: &V, out: &mut Vec<u8>) -> Result<(), RuntimeError> {
    out.clear();
    postcard::serialize_with_flavor(value, Append(out))
        .map_err(|error| RuntimeError::User(format!("a value cannot be written: {error}")))
}

/// The value of some bytes.
#[inline]
pub(crate) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<V, RuntimeError> {
    postcard::from_bytes(bytes)
        .map_err(|error| RuntimeError::Corrupt { what: "a value".to_owned(), why: error.to_string() })
}
