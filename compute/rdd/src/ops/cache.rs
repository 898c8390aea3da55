//! How batches are kept: as vectors that all readers share.

use crate::Data;
use mammoth_engine::batch::{Batch, Records};
use mammoth_engine::ops::{CacheCodec, CacheOp};
use mammoth_engine::task::TaskError;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::sync::Arc;

/// Records of a batch whose encoded size stands for all of it.
const SAMPLES: usize = 16;

struct Keep<T>(PhantomData<fn() -> T>);

pub(crate) struct KeepOp<T>(PhantomData<fn() -> T>);

impl<T: Data> CacheOp for KeepOp<T> {
    const NAME: &'static str = "cache";

    fn make() -> Box<dyn CacheCodec> {
        Box::new(Keep::<T>(PhantomData))
    }
}

impl<T: Data> CacheCodec for Keep<T> {
    fn keep(&self, batch: Batch) -> Result<Batch, TaskError> {
        match batch.into_records::<T>()? {
            Records::Owned(mut items) => {
                items.shrink_to_fit();
                Ok(Batch::shared(Arc::new(items)))
            }
            shared @ Records::Shared(_) => Ok(Batch::shared(Arc::new(shared.into_vec()))),
        }
    }

    fn share(&self, kept: &Batch) -> Result<Batch, TaskError> {
        kept.again::<T>()?.ok_or_else(|| TaskError::fatal("a kept batch is not shared"))
    }

    /// The records themselves, and what they hold elsewhere, for which their encoded size stands.
    fn weight(&self, kept: &Batch) -> u64 {
        let Ok(records) = kept.records::<T>() else { return 0 };
        let items = records.as_slice();
        let every = items.len().div_ceil(SAMPLES).max(1);
        let mut counted = CountBytes(0);
        let mut samples = 0_u64;
        for item in items.iter().step_by(every) {
            samples += 1;
            if postcard::to_io(item, &mut counted).is_err() {
                break;
            }
        }
        let elsewhere = counted.0.saturating_mul(items.len() as u64) / samples.max(1);
        elsewhere.saturating_add(size_of_val(items) as u64)
    }
}

struct CountBytes(u64);

impl Write for CountBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
