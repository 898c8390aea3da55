//! [`Context`]: where datasets are made and run.

use crate::ops::Encoded;
use crate::ops::sinks::NoFunction;
use crate::ops::sources::{GivenOp, LinesOp, NumbersOp, TextPiece};
use crate::rdd::operation;
use crate::{Accumulator, Broadcast, Data, Error, Rdd, Text};
use mammoth_engine::code;
use mammoth_engine::core::api::Determinism;
use mammoth_engine::plan::NodeSpec;
use mammoth_engine::program::Payload;
use mammoth_engine::{BlobHandle, CodeError, Master, Options};
use mammoth_platform::{Settings, keys};
use mammoth_protocol::jobs::event::TimedEvent;
use mammoth_runtime::input::{input_files, split_files, split_paths};
use std::ops::Range;
use std::panic::Location;

/// An application of the in-memory mode. Clones are the same one; it ends when the last of them and of the datasets made from
/// them goes, or by [`Context::stop`].
///
/// It has threads of its own, and works inside an asynchronous runtime of the user's; calls block.
#[derive(Clone, Debug)]
pub struct Context {
    engine: mammoth_engine::Context,
}

/// A source of records, before it is in the plan.
struct SourceNode<'a> {
    name: &'a str,
    code: Result<code::CodeRef, CodeError>,
    payloads: Vec<Payload>,
    hosts: Vec<Vec<String>>,
    blobs: Vec<BlobHandle>,
    call_site: &'static Location<'static>,
}

impl Context {
    /// A context without a cluster: `local`, `local[N]`, `local[*]`, or `local-cluster[N,CORES,MIB]` for tests, which starts
    /// processes from this program's image: its main must be [`crate::main`].
    ///
    /// Paths without a scheme are files of this machine, unless `MAMMOTH_FS` names a file system. Events are written to the file
    /// that `MAMMOTH_EVENTS` names.
    ///
    /// # Errors
    /// A master that is none; folders, threads or processes that cannot be had.
    pub fn local(master: &str) -> Result<Self, Error> {
        let options = mammoth_engine::Options::of_environment("local")?;
        Self::with_options(master, &options)
    }

    /// As [`Context::local`], with options of one's own.
    ///
    /// # Errors
    /// As [`Context::local`].
    pub fn with_options(master: &str, options: &Options) -> Result<Self, Error> {
        Ok(Self { engine: mammoth_engine::start(Master::parse(master)?, options)? })
    }

    pub(crate) fn of(engine: mammoth_engine::Context) -> Self {
        Self { engine }
    }

    pub(crate) fn engine(&self) -> &mammoth_engine::Context {
        &self.engine
    }

    /// `local[2]`, `local-cluster[2,1,512]`, `cluster`.
    #[must_use]
    pub fn master(&self) -> &str {
        self.engine.master()
    }

    /// Tasks at a time over all executors: a good number of partitions.
    #[must_use]
    pub fn default_parallelism(&self) -> u32 {
        self.engine.default_parallelism()
    }

    /// Settings of the application.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.engine.settings()
    }

    fn source<T>(&self, source: SourceNode<'_>) -> Rdd<T> {
        let (op, mut blobs) = operation(self, source.code, &());
        blobs.extend(source.blobs);
        let spec = NodeSpec {
            name: source.name.to_owned(),
            op,
            inputs: Vec::new(),
            partitions: u32::try_from(source.payloads.len()).unwrap_or(u32::MAX),
            partitioner: None,
            determinism: Determinism::Determinate,
            call_site: source.call_site,
            payloads: source.payloads,
            hosts: source.hosts,
            blobs,
        };
        Rdd::of(self.engine.add(spec))
    }

    /// A dataset of records that the driver has, in so many partitions of about the same length (0: as many as tasks run at a
    /// time).
    ///
    /// # Errors
    /// Records that cannot be encoded.
    #[track_caller]
    pub fn parallelize<T: Data>(&self, records: Vec<T>, partitions: u32) -> Result<Rdd<T>, Error> {
        let call_site = Location::caller();
        let mut payloads = Vec::new();
        let mut blobs = Vec::new();
        for range in self.ranges(records.len() as u64, partitions) {
            let from = usize::try_from(range.start).unwrap_or(usize::MAX);
            let to = usize::try_from(range.end).unwrap_or(usize::MAX);
            let part = records.get(from..to).unwrap_or_default();
            let bytes = Encoded::of(part).and_then(|encoded| encoded.to_bytes()).map_err(Error::Record)?;
            payloads.push(self.engine.partition_payload(bytes, &mut blobs));
        }
        let code = code::source::<GivenOp<T>>(NoFunction);
        Ok(self.source(SourceNode { name: "parallelize", code, payloads, hosts: Vec::new(), blobs, call_site }))
    }

    /// A dataset of the numbers of a range.
    #[must_use]
    #[track_caller]
    pub fn range(&self, numbers: Range<u64>, partitions: u32) -> Rdd<u64> {
        let call_site = Location::caller();
        let len = numbers.end.saturating_sub(numbers.start);
        let mut payloads = Vec::new();
        for part in self.ranges(len, partitions) {
            let of = (numbers.start + part.start)..(numbers.start + part.end);
            // Two numbers always fit.
            payloads.push(Payload::Inline(postcard::to_allocvec(&of).unwrap_or_default()));
        }
        let code = code::source::<NumbersOp>(NoFunction);
        self.source(SourceNode { name: "range", code, payloads, hosts: Vec::new(), blobs: Vec::new(), call_site })
    }

    /// Cuts `0..len` into parts of about the same length.
    fn ranges(&self, len: u64, partitions: u32) -> Vec<Range<u64>> {
        let partitions = if partitions == 0 { self.default_parallelism() } else { partitions };
        let at = |part: u32| {
            let product = u128::from(len) * u128::from(part) / u128::from(partitions);
            u64::try_from(product).unwrap_or(u64::MAX)
        };
        (0..partitions).map(|part| at(part)..at(part + 1)).collect()
    }

    /// The lines of text files, in at least so many partitions where their lengths allow (0: by their blocks). A path may be a
    /// file, a folder or a pattern, several of them separated by commas; a comma within the braces of a pattern, or after a
    /// backslash, separates nothing.
    ///
    /// # Errors
    /// Input that is not there or cannot be read.
    #[track_caller]
    pub fn text_file(&self, path: &str, min_partitions: u32) -> Result<Rdd<Text>, Error> {
        self.lines_of(&split_paths(path), min_partitions, Location::caller())
    }

    /// As [`Self::text_file`], of several paths, in whose names commas mean nothing.
    ///
    /// # Errors
    /// As [`Self::text_file`]; no path at all.
    #[track_caller]
    pub fn text_files(&self, paths: &[String], min_partitions: u32) -> Result<Rdd<Text>, Error> {
        self.lines_of(paths, min_partitions, Location::caller())
    }

    fn lines_of(
        &self,
        inputs: &[String],
        min_partitions: u32,
        call_site: &'static Location<'static>,
    ) -> Result<Rdd<Text>, Error> {
        // Those of another file system are refused by name.
        let files = self.engine.files_of(inputs.first().map_or("", String::as_str))?;
        let mut settings = self.engine.settings().clone();
        if min_partitions > 0 {
            settings.set(keys::MAPREDUCE_JOB_MAPS.name(), min_partitions.to_string());
        }
        let splits = split_files(&*files, &input_files(&*files, inputs)?, &settings)?;
        let (mut payloads, mut hosts) = (Vec::new(), Vec::new());
        for split in splits {
            let piece = TextPiece { fs: files.uri(), split: split.to_input_split()?.payload };
            payloads.push(Payload::Inline(postcard::to_allocvec(&piece).map_err(Error::Record)?));
            hosts.push(split.hosts);
        }
        let name = format!("text_file {}", inputs.join(","));
        let code = code::source::<LinesOp>(NoFunction);
        Ok(self.source(SourceNode { name: &name, code, payloads, hosts, blobs: Vec::new(), call_site }))
    }

    /// A value that many tasks read: it travels once to each executor, however many operations use it.
    ///
    /// # Errors
    /// A value that cannot be encoded.
    pub fn broadcast<T: Data>(&self, value: T) -> Result<Broadcast<T>, Error> {
        Broadcast::new(self, value)
    }

    /// A sum that tasks add to and the driver reads: what a task added counts once, when the task's work does.
    #[must_use]
    pub fn accumulator<T>(&self, name: &str, start: T) -> Accumulator<T>
    where
        T: Data + Default + std::ops::AddAssign + std::fmt::Display,
    {
        Accumulator::new(self, name, start)
    }

    /// What happened so far.
    #[must_use]
    pub fn events(&self) -> Vec<TimedEvent> {
        self.engine.events()
    }

    /// Datasets and shuffles in the plan, and bytes of blobs that are held for executors.
    #[must_use]
    pub fn holdings(&self) -> (usize, usize, u64) {
        self.engine.holdings()
    }

    /// Ends the application: actions that run fail, executors end.
    pub fn stop(&self) {
        self.engine.stop();
    }

    pub(crate) fn fail(&self, reason: &str) {
        self.engine.fail(reason);
    }
}
