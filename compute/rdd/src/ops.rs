//! Operations by kind, as the engine runs them: steps, sources, sinks. Each is generic over the records and over one closure,
//! which takes the state that travels with it as its first argument.

pub(crate) mod cache;
pub(crate) mod join;
pub(crate) mod sinks;
pub(crate) mod sources;
pub(crate) mod steps;
pub(crate) mod wide;

pub use steps::Emit;

use mammoth_engine::task::TaskError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What is asked of every closure: nothing in it, usable by any thread.
pub trait Func: Copy + Send + Sync + 'static {}

impl<F: Copy + Send + Sync + 'static> Func for F {}

/// What is asked of the state that travels beside a closure.
pub trait State: Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<S: Serialize + DeserializeOwned + Send + Sync + 'static> State for S {}

/// Records one after the other, with their number, so that records without bytes count as well.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Encoded {
    pub(crate) records: u64,
    #[serde(with = "bytes")]
    pub(crate) bytes: Vec<u8>,
}

mod bytes {
    //! Bytes as bytes, not as a list of numbers.

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }

        deserializer.deserialize_byte_buf(Visitor)
    }
}

impl Encoded {
    pub(crate) fn push<T: Serialize>(&mut self, record: &T) -> Result<(), postcard::Error> {
        postcard::to_io(record, &mut self.bytes)?;
        self.records += 1;
        Ok(())
    }

    pub(crate) fn of<T: Serialize>(records: &[T]) -> Result<Self, postcard::Error> {
        let mut encoded = Self::default();
        records.iter().try_for_each(|record| encoded.push(record))?;
        Ok(encoded)
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        let mut out = Vec::with_capacity(self.bytes.len() + 24);
        postcard::to_io(self, &mut out)?;
        Ok(out)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }

    /// Decodes the records, each handed to `take`.
    pub(crate) fn each<T: DeserializeOwned>(&self, mut take: impl FnMut(T)) -> Result<(), postcard::Error> {
        let mut rest = self.bytes.as_slice();
        for _ in 0..self.records {
            let (record, after) = postcard::take_from_bytes(rest)?;
            take(record);
            rest = after;
        }
        Ok(())
    }
}

pub(crate) fn encode_error(error: postcard::Error) -> TaskError {
    TaskError::fatal(format!("a record cannot be encoded: {error}"))
}

pub(crate) fn decode_error(error: postcard::Error) -> TaskError {
    TaskError::failed(format!("a record cannot be decoded: {error}"))
}
