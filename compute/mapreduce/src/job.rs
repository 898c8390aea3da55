//! Describing a job, part by part; the types make sure that the parts fit.

use crate::code::{Code, Folding, MapOnly, ReduceSide, Reducing, Sorting};
use crate::combine::{Combiner, Partition, Partitioner};
use crate::fold::Fold;
use crate::mapper::{Data, Line, MapLoop, Mapper, MapperLoop};
use crate::reducer::Reducer;
use mammoth_runtime::error::RuntimeError;
use mammoth_runtime::input::{InputFormat, TextInput};
use mammoth_runtime::key::Key;
use mammoth_runtime::task::JobPlan;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::sync::Arc;

/// Why a job cannot be described: mostly a wrong command line, see [`usage`].
pub type JobError = RuntimeError;

/// The answer of a job's function to arguments that make no sense: they end the program with status 255 and this text.
#[must_use]
pub fn usage(text: &str) -> JobError {
    JobError::Usage(format!("Usage: {text}"))
}

/// The answer of a job's function to an argument that cannot be, such as a pattern that is none: it ends the program with
/// status 1 and this text.
#[must_use]
pub fn refuse(text: impl Into<String>) -> JobError {
    JobError::Refused(text.into())
}

/// A job, described so far. It starts with [`Job::new`], and needs a mapper and a reducer; a complete one is `Job` without
/// parameters.
pub struct Job<Parts = Complete> {
    name: String,
    inputs: Vec<String>,
    output: Option<String>,
    reduces: Option<u32>,
    settings: Vec<(String, String)>,
    format: Arc<dyn InputFormat>,
    parts: Parts,
}

/// A job without a mapper.
#[derive(Clone, Copy, Debug, Default)]
pub struct New;

/// A job whose mapper emits `K` and `V`.
pub struct Mapped<K, V> {
    mapper: Box<dyn MapLoop<V>>,
    sorting: Sorting<K, V>,
}

/// A job whose maps fold to `S` for each `K`.
pub struct Folded<K, F: Fold> {
    mapper: Box<dyn MapLoop<F::Value>>,
    partitioner: Option<Arc<dyn Partition>>,
    fold: F,
    key: PhantomData<fn(K)>,
}

/// A job that can run.
pub struct Complete {
    code: Code,
    then: Option<Box<Job>>,
}

impl<Parts> fmt::Debug for Job<Parts> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("name", &self.name).field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl Job<New> {
    /// A job with a name for people. Its input is text, line by line.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            inputs: Vec::new(),
            output: None,
            reduces: None,
            settings: Vec::new(),
            format: Arc::new(TextInput),
            parts: New,
        }
    }

    /// Reads input in another way.
    #[must_use]
    pub fn input_format(mut self, format: impl InputFormat + 'static) -> Self {
        self.format = Arc::new(format);
        self
    }

    /// The mapper; every map gets a clone.
    #[must_use]
    pub fn mapper<In, M>(self, mapper: M) -> Job<Mapped<M::Key, M::Value>>
    where
        In: Line + ?Sized + 'static,
        M: Mapper<In>,
    {
        let mapper = Box::new(MapperLoop::<M, In>::new(mapper));
        self.with(|New| Mapped { mapper, sorting: Sorting::default() })
    }
}

impl<Parts> Job<Parts> {
    /// A file, folder or pattern to read; may be called again for more.
    #[must_use]
    pub fn input(mut self, path: impl Into<String>) -> Self {
        self.inputs.push(path.into());
        self
    }

    /// Several of them.
    #[must_use]
    pub fn inputs(mut self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.inputs.extend(paths.into_iter().map(Into::into));
        self
    }

    /// The folder for the output, which must not exist.
    #[must_use]
    pub fn output(mut self, path: impl Into<String>) -> Self {
        self.output = Some(path.into());
        self
    }

    /// The number of reduces and output files; otherwise `mapreduce.job.reduces` says.
    #[must_use]
    pub fn reduces(mut self, reduces: u32) -> Self {
        self.reduces = Some(reduces);
        self
    }

    /// Decides a setting, whatever the command line says.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Display) -> Self {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    fn with<Next>(self, next: impl FnOnce(Parts) -> Next) -> Job<Next> {
        let Self { name, inputs, output, reduces, settings, format, parts } = self;
        Job { name, inputs, output, reduces, settings, format, parts: next(parts) }
    }
}

impl<K: Key, V: Data> Job<Mapped<K, V>> {
    /// Chooses partitions by another rule than the keys' hash.
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner<Key = K>) -> Self {
        self.parts.sorting.partitioner = Some(Arc::new(partitioner));
        self
    }

    /// Makes fewer records on the map side.
    #[must_use]
    pub fn combiner(mut self, combiner: impl Combiner<Key = K, Value = V>) -> Self {
        self.parts.sorting.set_combiner(combiner);
        self
    }

    /// Folds the values of each key, on both sides; the reducer gets one accumulator. Takes the place of a combiner.
    #[must_use]
    pub fn fold<F: Fold<Value = V>>(self, fold: F) -> Job<Folded<K, F>> {
        self.with(|Mapped { mapper, sorting }| Folded {
            mapper,
            partitioner: sorting.partitioner,
            fold,
            key: PhantomData,
        })
    }

    /// The reducer; every reduce gets a clone.
    #[must_use]
    pub fn reducer<R: Reducer<Key = K, Value = V>>(self, reducer: R) -> Job {
        self.with(|Mapped { mapper, sorting }| {
            let reduce: Box<dyn ReduceSide> = Box::new(Reducing::new(reducer));
            Complete { code: Code { map: Box::new(sorting.with(mapper)), reduce: Some(reduce) }, then: None }
        })
    }

    /// No reducer: what the mapper emits is the output, a file for each map, in the order of the input.
    #[must_use]
    pub fn without_reducer(self) -> Job
    where
        K: Display,
        V: Display,
    {
        self.with(|Mapped { mapper, .. }| {
            let map = Box::new(MapOnly::<K, V>::new(mapper));
            Complete { code: Code { map, reduce: None }, then: None }
        })
    }
}

impl<K: Key, F: Fold> Job<Folded<K, F>> {
    /// The reducer; every reduce gets a clone.
    #[must_use]
    pub fn reducer<R: Reducer<Key = K, Value = F::Sum>>(self, reducer: R) -> Job {
        self.with(|Folded { mapper, partitioner, fold, .. }| {
            let reduce: Box<dyn ReduceSide> = Box::new(Reducing::folding(reducer, fold.clone()));
            let map = Box::new(Folding { mapper, partitioner, fold });
            Complete { code: Code { map, reduce: Some(reduce) }, then: None }
        })
    }
}

impl Job {
    /// Another job after this one, with this one's output as its input, and after any that follows this one already. The output
    /// of all is the last one's; what lies between goes away, unless a job names its own.
    #[must_use]
    pub fn then(mut self, next: Job) -> Job {
        self.parts.then = Some(Box::new(match self.parts.then.take() {
            Some(own) => own.then(next),
            None => next,
        }));
        self
    }
}

impl From<Job> for JobPlan {
    fn from(job: Job) -> Self {
        Self {
            name: job.name,
            inputs: job.inputs,
            output: job.output,
            reduces: job.reduces,
            settings: job.settings,
            format: job.format,
            code: Arc::new(job.parts.code),
            then: job.parts.then.map(|next| Box::new(Self::from(*next))),
        }
    }
}
