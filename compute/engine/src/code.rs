//! Code by reference: how a task names a function of the program.
//!
//! Driver and executors run the same image (the hash of the executable is compared when an executor says hello), so a function
//! is named by where it lies in the image. What is named is never the function itself but a [`Descriptor`]: a constant that the
//! compiler puts into read-only memory, made for each operation with its concrete types. It begins with a magic number and
//! carries the operation's name, so that a wrong place is noticed before anything is called.
//!
//! Closures travel as nothing at all: only closures without captures are taken (checked by the compiler), and such a value
//! has no bytes. What a closure needs is handed over beside it as serialised state.
//!
//! # Why the unsafe code here is sound
//!
//! *Reading a descriptor.* [`resolve`] gets an offset that came over a network. It reads only if the whole descriptor lies in
//! the one mapping of this program's own executable that holds a known descriptor and is readable and not writable (by the
//! kernel's list of mappings), at its natural alignment: the bytes exist, are initialised and never change. The magic number is
//! read first, as plain integers, for which every bit pattern is valid. Only if it matches are the other fields read. The number
//! may also lie where the compiler pools constants without pointers, for the comparison below. That is another section; where
//! the program is loaded at an address of the system's choice, constants with pointers, as descriptors are, have a mapping of
//! their own, which the dynamic linker makes read-only when it has written the pointers. In there 128 bits that were drawn for
//! this purpose begin a `Descriptor` that the compiler laid out, with a valid string, valid function pointers and a valid kind.
//! Name and signature are then compared with those that the task asks for.
//!
//! *Conjuring a closure.* The glue functions make a value of the closure's type out of nothing. The type has size zero and is
//! `Copy`, so a value has no bytes that could be wrong, no destructor, and copying is all that happens to it; it is inhabited,
//! as a descriptor exists only for types whose value was passed to [`source`], [`step`], [`sink`] or [`cache`]: those
//! constructors are the only code that names the glue, and each demands the value. `Send + Sync + 'static` hold by bound, so it
//! may appear in any thread at any time.
#![allow(unsafe_code)]

use crate::error::CodeError;
use crate::ops::{CacheCodec, CacheOp, Sink, SinkOp, Source, SourceArgs, SourceOp, Step, StepOp};
use crate::task::{TaskContext, TaskError};
use serde::{Deserialize, Serialize};
use std::any::type_name;
use std::sync::{Arc, OnceLock};

/// Begins every descriptor. Drawn once.
const MAGIC: [u64; 2] = [0x6d1f_0c7e_93b4_58d2, 0xa8e4_5b90_2f67_c31d];

/// What a task names: see the head of this module.
#[derive(Debug)]
#[repr(C)]
pub struct Descriptor {
    magic: [u64; 2],
    name: &'static str,
    /// Gives the full type of the operation, closure included.
    signature: fn() -> &'static str,
    make: Make,
}

/// Makes something of an operation's serialised state, in a task.
pub type MakeOf<T> = fn(&[u8], &Arc<TaskContext>) -> Result<Box<T>, TaskError>;

/// What an operation can be made into.
#[derive(Clone, Copy, Debug)]
pub enum Make {
    /// Where batches come from.
    Source(fn(SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError>),
    /// What is done to batches.
    Step(MakeOf<dyn Step>),
    /// Where batches go.
    Sink(MakeOf<dyn Sink>),
    /// How batches are kept.
    Cache(fn() -> Box<dyn CacheCodec>),
}

/// A descriptor as a message names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRef {
    /// Bytes from the start of the image.
    pub offset: u64,
    /// The operation: `map`, `filter` …
    pub name: String,
    /// Its full type.
    pub signature: String,
}

/// Holds the closure's type to what can travel, when the caller is compiled.
struct Captureless<F>(std::marker::PhantomData<F>);

impl<F: Copy + Send + Sync + 'static> Captureless<F> {
    const CHECKED: () = assert!(
        size_of::<F>() == 0,
        "this closure captures variables, which do not travel to executors: hand them over with the `_with` form of the operation"
    );
}

/// A value of a closure type: see the head of this module. Named by the glue functions below only.
fn conjure<F: Copy + Send + Sync + 'static>() -> F {
    const { Captureless::<F>::CHECKED };
    // SAFETY: a value of a type of size zero has no bytes, and the type is inhabited, as a value of it was given to the function
    // that made the descriptor through which this code was reached.
    #[expect(clippy::uninit_assumed_init, reason = "a type of size zero has nothing to initialise")]
    unsafe {
        std::mem::MaybeUninit::<F>::uninit().assume_init()
    }
}

fn state<S: serde::de::DeserializeOwned>(captures: &[u8], name: &str) -> Result<S, TaskError> {
    postcard::from_bytes(captures)
        .map_err(|error| TaskError::fatal(format!("the state of `{name}` cannot be read: {error}")))
}

struct SourceGlue<O>(O);
struct StepGlue<O>(O);
struct SinkGlue<O>(O);
struct CacheGlue<O>(O);

impl<O: SourceOp> SourceGlue<O> {
    const DESCRIPTOR: &'static Descriptor =
        &Descriptor { magic: MAGIC, name: O::NAME, signature: type_name::<O>, make: Make::Source(Self::make) };

    fn make(args: SourceArgs<'_>) -> Result<Box<dyn Source>, TaskError> {
        O::make(state(args.captures, O::NAME)?, conjure::<O::Function>(), args)
    }
}

impl<O: StepOp> StepGlue<O> {
    const DESCRIPTOR: &'static Descriptor =
        &Descriptor { magic: MAGIC, name: O::NAME, signature: type_name::<O>, make: Make::Step(Self::make) };

    fn make(captures: &[u8], task: &Arc<TaskContext>) -> Result<Box<dyn Step>, TaskError> {
        O::make(state(captures, O::NAME)?, conjure::<O::Function>(), task)
    }
}

impl<O: SinkOp> SinkGlue<O> {
    const DESCRIPTOR: &'static Descriptor =
        &Descriptor { magic: MAGIC, name: O::NAME, signature: type_name::<O>, make: Make::Sink(Self::make) };

    fn make(captures: &[u8], task: &Arc<TaskContext>) -> Result<Box<dyn Sink>, TaskError> {
        O::make(state(captures, O::NAME)?, conjure::<O::Function>(), task)
    }
}

impl<O: CacheOp> CacheGlue<O> {
    const DESCRIPTOR: &'static Descriptor =
        &Descriptor { magic: MAGIC, name: O::NAME, signature: type_name::<O>, make: Make::Cache(O::make) };
}

/// Names a source with its closure.
///
/// # Errors
/// Code outside the program's own image, as in a shared library.
pub fn source<O: SourceOp>(_function: O::Function) -> Result<CodeRef, CodeError> {
    const { Captureless::<O::Function>::CHECKED };
    name_it(SourceGlue::<O>::DESCRIPTOR)
}

/// Names a step with its closure.
///
/// # Errors
/// Code outside the program's own image.
pub fn step<O: StepOp>(_function: O::Function) -> Result<CodeRef, CodeError> {
    const { Captureless::<O::Function>::CHECKED };
    name_it(StepGlue::<O>::DESCRIPTOR)
}

/// Names a sink with its closure.
///
/// # Errors
/// Code outside the program's own image.
pub fn sink<O: SinkOp>(_function: O::Function) -> Result<CodeRef, CodeError> {
    const { Captureless::<O::Function>::CHECKED };
    name_it(SinkGlue::<O>::DESCRIPTOR)
}

/// Names a way to keep batches.
///
/// # Errors
/// Code outside the program's own image.
pub fn cache<O: CacheOp>() -> Result<CodeRef, CodeError> {
    name_it(CacheGlue::<O>::DESCRIPTOR)
}

fn name_it(descriptor: &'static Descriptor) -> Result<CodeRef, CodeError> {
    let image = Image::of_this_process()?;
    let address = (&raw const *descriptor).expose_provenance();
    let signature = (descriptor.signature)().to_owned();
    if !image.holds_constants(address, size_of::<Descriptor>()) {
        return Err(CodeError::Outside { name: descriptor.name.to_owned(), signature });
    }
    Ok(CodeRef { offset: (address - image.base) as u64, name: descriptor.name.to_owned(), signature })
}

/// Finds what a task names, and checks all that can be checked before anything is called.
///
/// # Errors
/// Each check has its own.
pub fn resolve(code: &CodeRef) -> Result<Make, CodeError> {
    resolve_in(Image::of_this_process()?, code)
}

fn resolve_in(image: &Image, code: &CodeRef) -> Result<Make, CodeError> {
    let refuse = |reason: &'static str| CodeError::Refused { name: code.name.clone(), offset: code.offset, reason };
    let address = usize::try_from(code.offset).ok().and_then(|offset| image.base.checked_add(offset));
    let address = address.ok_or_else(|| refuse("the address is beyond memory"))?;
    if !address.is_multiple_of(align_of::<Descriptor>()) {
        return Err(refuse("the address is not aligned"));
    }
    if !image.holds_constants(address, size_of::<Descriptor>()) {
        return Err(refuse("the address is outside of the program's constants"));
    }
    let start = std::ptr::with_exposed_provenance::<[u64; 2]>(address);
    // SAFETY: aligned (a `Descriptor` is at least as aligned as its first field), within a readable mapping that nobody writes
    // to, and every bit pattern is a valid integer.
    let magic = unsafe { *start };
    if magic != MAGIC {
        return Err(refuse("there is no descriptor at the address"));
    }
    // SAFETY: as above for the whole length; the magic number says that the compiler laid out a `Descriptor` here.
    let descriptor: &'static Descriptor = unsafe { &*start.cast::<Descriptor>() };
    if descriptor.name != code.name {
        return Err(refuse("another operation lies at the address"));
    }
    if !image.holds_code(descriptor.signature as usize) {
        return Err(refuse("the descriptor names code outside of the program"));
    }
    if (descriptor.signature)() != code.signature {
        return Err(refuse("the operation at the address has another type"));
    }
    Ok(descriptor.make)
}

/// Where this program's executable is mapped.
#[derive(Debug)]
struct Image {
    base: usize,
    /// Where descriptors lie.
    constants: std::ops::Range<usize>,
    code: Vec<std::ops::Range<usize>>,
}

/// Lies where descriptors do, and is none that anybody could name: its number is wrong.
static ANCHOR: Descriptor =
    Descriptor { magic: [0; 2], name: "", signature: type_name::<()>, make: Make::Cache(no_codec) };

fn no_codec() -> Box<dyn CacheCodec> {
    // Nobody gets here: without the right number nothing of a descriptor is used.
    std::process::abort()
}

impl Image {
    fn of_this_process() -> Result<&'static Self, CodeError> {
        static IMAGE: OnceLock<Result<Image, String>> = OnceLock::new();
        let read = || {
            let maps = std::fs::read_to_string("/proc/self/maps").map_err(|error| error.to_string())?;
            let anchor = (&raw const ANCHOR).addr();
            let code = name_it as *const () as usize;
            Self::of_maps(&maps, anchor, code)
                .ok_or_else(|| "the list of mappings does not name the program".to_owned())
        };
        IMAGE.get_or_init(read).as_ref().map_err(|reason| CodeError::NoImage(reason.clone()))
    }

    /// The mappings of the file that `anchor`, a descriptor, is mapped from; `code` must lie in an executable one of them.
    fn of_maps(maps: &str, anchor: usize, code: usize) -> Option<Self> {
        let lines: Vec<Mapping<'_>> = maps.lines().filter_map(Mapping::parse).collect();
        let file = lines.iter().find(|line| line.range.contains(&anchor))?.file;
        let own = || lines.iter().filter(|line| line.file == file);
        let base = own().map(|line| line.range.start).min()?;
        let constants =
            own().find(|line| line.range.contains(&anchor) && line.rights.starts_with("r--"))?.range.clone();
        let executable = own().filter(|line| line.rights.contains('x')).map(|line| line.range.clone()).collect();
        let image = Self { base, constants, code: executable };
        image.holds_code(code).then_some(image)
    }

    fn holds_constants(&self, address: usize, len: usize) -> bool {
        let Some(end) = address.checked_add(len) else { return false };
        self.constants.start <= address && end <= self.constants.end
    }

    fn holds_code(&self, address: usize) -> bool {
        self.code.iter().any(|range| range.contains(&address))
    }
}

/// One line of `/proc/self/maps`.
struct Mapping<'a> {
    range: std::ops::Range<usize>,
    rights: &'a str,
    /// Device and inode.
    file: (&'a str, &'a str),
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        let (rights, _offset) = (fields.next()?, fields.next()?);
        let file = (fields.next()?, fields.next()?);
        (file.1 != "0").then_some(Self { range, rights, file })
    }
}

#[cfg(test)]
mod tests;
