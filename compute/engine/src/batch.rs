//! Batches: some records of one type, whose type the engine does not know.
//!
//! Operations hand batches to each other, not records: what is dynamic (a downcast, an allocation, a virtual call) happens once
//! for about a thousand records.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

/// Records that operations aim to put into a batch.
pub const BATCH_RECORDS: usize = 1024;

/// Records of one type: owned, or a share of a cached block.
pub enum Records<T> {
    /// Nobody else has them.
    Owned(Vec<T>),
    /// Others read them, too.
    Shared(Box<dyn Share<T>>),
}

/// Records that others read, too. Only such records are shared as can be copied, so that operations on any records need not ask
/// for it.
pub trait Share<T>: Send {
    /// The records.
    fn items(&self) -> &[T];

    /// One's own copy of one of them.
    fn copy(&self, item: &T) -> T;

    /// One's own copies of all of them.
    fn into_vec(self: Box<Self>) -> Vec<T>;

    /// Another share of the same.
    fn again(&self) -> Box<dyn Share<T>>;
}

impl<T: Clone + Send + Sync + 'static> Share<T> for Arc<Vec<T>> {
    fn items(&self) -> &[T] {
        self
    }

    fn copy(&self, item: &T) -> T {
        item.clone()
    }

    fn into_vec(self: Box<Self>) -> Vec<T> {
        Arc::unwrap_or_clone(*self)
    }

    fn again(&self) -> Box<dyn Share<T>> {
        Box::new(Self::clone(self))
    }
}

impl<T> Records<T> {
    /// The records, to look at.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::Owned(items) => items,
            Self::Shared(share) => share.items(),
        }
    }

    /// The records, to keep; shared ones are copied.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::Owned(items) => items,
            Self::Shared(share) => share.into_vec(),
        }
    }

    /// Those for which `keep` says so; of shared ones only these are copied.
    #[must_use]
    pub fn filtered(self, mut keep: impl FnMut(&T) -> bool) -> Vec<T> {
        match self {
            Self::Owned(mut items) => {
                items.retain(keep);
                items
            }
            Self::Shared(share) => {
                share.items().iter().filter(|item| keep(item)).map(|item| share.copy(item)).collect()
            }
        }
    }
}

/// [`Records`] of some type.
pub struct Batch {
    records: Box<dyn Any + Send>,
    len: usize,
    of: fn() -> &'static str,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} × {})", self.len, (self.of)())
    }
}

/// A batch was taken for one of other records: the plan is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operation on {wanted} was given {found}")]
pub struct WrongType {
    wanted: &'static str,
    found: &'static str,
}

impl Batch {
    /// A batch of one's own records.
    #[must_use]
    pub fn owned<T: Send + 'static>(items: Vec<T>) -> Self {
        Self { len: items.len(), records: Box::new(Records::Owned(items)), of: type_name::<T> }
    }

    /// A batch of records that others read, too.
    #[must_use]
    pub fn shared<T: Clone + Send + Sync + 'static>(items: Arc<Vec<T>>) -> Self {
        let len = items.len();
        Self { len, records: Box::new(Records::Shared(Box::new(items))), of: type_name::<T> }
    }

    /// Another batch of the same records, if they are shared.
    ///
    /// # Errors
    /// They are of another type.
    pub fn again<T: Send + 'static>(&self) -> Result<Option<Self>, WrongType> {
        Ok(match self.records::<T>()? {
            Records::Owned(_) => None,
            Records::Shared(share) => {
                Some(Self { len: self.len, records: Box::new(Records::Shared(share.again())), of: self.of })
            }
        })
    }

    /// Number of records.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The records.
    ///
    /// # Errors
    /// They are of another type.
    pub fn into_records<T: Send + 'static>(self) -> Result<Records<T>, WrongType> {
        match self.records.downcast::<Records<T>>() {
            Ok(records) => Ok(*records),
            Err(_) => Err(WrongType { wanted: type_name::<T>(), found: (self.of)() }),
        }
    }

    /// The records, owned.
    ///
    /// # Errors
    /// They are of another type.
    pub fn into_vec<T: Send + 'static>(self) -> Result<Vec<T>, WrongType> {
        Ok(self.into_records()?.into_vec())
    }

    /// The records, to look at.
    ///
    /// # Errors
    /// They are of another type.
    pub fn records<T: Send + 'static>(&self) -> Result<&Records<T>, WrongType> {
        let found = self.of;
        self.records.downcast_ref().ok_or_else(|| WrongType { wanted: type_name::<T>(), found: found() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_its_records_and_no_others() {
        let batch = Batch::owned(vec![1_u32, 2, 3]);
        assert_eq!(format!("{batch:?}"), "Batch(3 × u32)");
        assert_eq!(batch.records::<u32>().unwrap().as_slice(), [1, 2, 3]);
        assert!(batch.records::<i32>().is_err());
        assert_eq!(batch.into_vec::<u32>(), Ok(vec![1, 2, 3]));
        let wrong = Batch::owned(vec![1_u32]).into_vec::<u64>().unwrap_err();
        assert_eq!(wrong.to_string(), "an operation on u64 was given u32");
    }

    #[test]
    fn shared_records_are_copied_only_where_kept() {
        let items = Arc::new(vec!["a".to_owned(), "b".to_owned()]);
        let kept = Batch::shared(Arc::clone(&items)).into_records::<String>().unwrap().filtered(|item| item == "b");
        assert_eq!(kept, ["b"]);
        assert_eq!(Batch::shared(Arc::clone(&items)).into_vec::<String>().unwrap(), *items);
        let alone = items.as_ptr();
        let moved = Batch::shared(items).into_vec::<String>().unwrap();
        assert_eq!(moved.as_ptr(), alone, "nobody else had them: no copy");
    }
}
