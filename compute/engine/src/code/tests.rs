//! References: what is taken, and what is refused before anything is called.

use super::*;
use crate::batch::Batch;
use crate::ops::Stepped;

struct Nothing;

impl Step for Nothing {
    fn apply(&mut self, input: Option<Batch>) -> Result<Stepped, TaskError> {
        Ok(Stepped { batch: input, more: false })
    }
}

struct TestOp<F>(std::marker::PhantomData<fn() -> F>);

impl<F: Fn(u32) -> u32 + Copy + Send + Sync + 'static> StepOp for TestOp<F> {
    const NAME: &'static str = "test";
    type State = u32;
    type Function = F;

    fn make(state: u32, function: F, _task: &Arc<TaskContext>) -> Result<Box<dyn Step>, TaskError> {
        assert_eq!(function(state), state + 1);
        Ok(Box::new(Nothing))
    }
}

struct OtherOp;

impl StepOp for OtherOp {
    const NAME: &'static str = "test";
    type State = ();
    type Function = ();

    fn make(_state: (), _function: (), _task: &Arc<TaskContext>) -> Result<Box<dyn Step>, TaskError> {
        Ok(Box::new(Nothing))
    }
}

fn named<F: Fn(u32) -> u32 + Copy + Send + Sync + 'static>(function: F) -> CodeRef {
    step::<TestOp<F>>(function).unwrap()
}

fn refusal(code: &CodeRef) -> &'static str {
    match resolve(code) {
        Err(CodeError::Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reference_leads_back_to_its_operation() {
    let code = named(|x| x + 1);
    assert_eq!(code.name, "test");
    let encoded = postcard::to_allocvec(&code).unwrap();
    let travelled: CodeRef = postcard::from_bytes(&encoded).unwrap();
    assert!(matches!(resolve(&travelled), Ok(Make::Step(_))));
}

#[test]
fn two_closures_have_two_references() {
    let (one, two) = (named(|x| x + 1), named(|x| 1 + x));
    assert_ne!(one.offset, two.offset);
    let other = step::<OtherOp>(()).unwrap();
    assert_ne!(other.signature, one.signature);
    let swapped = CodeRef { offset: other.offset, ..one };
    assert_eq!(refusal(&swapped), "the operation at the address has another type");
}

#[test]
fn everything_else_is_refused_before_it_is_called() {
    let code = named(|x| x + 1);
    let at = |offset: u64| CodeRef { offset, ..code.clone() };
    assert_eq!(refusal(&at(code.offset + 1)), "the address is not aligned");
    assert_eq!(refusal(&at(code.offset + 8)), "there is no descriptor at the address");
    assert_eq!(refusal(&at(0)), "the address is outside of the program's constants");
    assert_eq!(refusal(&at(1 << 45)), "the address is outside of the program's constants");
    assert_eq!(refusal(&at(u64::MAX - 7)), "the address is beyond memory");
    let renamed = CodeRef { name: "other".to_owned(), ..code.clone() };
    assert_eq!(refusal(&renamed), "another operation lies at the address");
    let retyped = CodeRef { signature: "other".to_owned(), ..code.clone() };
    assert_eq!(refusal(&retyped), "the operation at the address has another type");
}

/// What a compiler might make of a constant that is used for comparisons; and it has no pointers, so it lies where those do.
static POOLED: [u64; 32] = {
    let mut words = [0; 32];
    (words[0], words[1]) = (MAGIC[0], MAGIC[1]);
    words
};

#[test]
fn the_number_elsewhere_in_the_program_makes_no_descriptor() {
    let image = Image::of_this_process().unwrap();
    let code = named(|x| x + 2);
    let address = (&raw const POOLED).addr();
    let pooled = CodeRef { offset: (address - image.base) as u64, ..code };
    assert_eq!(refusal(&pooled), "the address is outside of the program's constants");
    let anchor = CodeRef { offset: ((&raw const ANCHOR).addr() - image.base) as u64, ..named(|x| x + 3) };
    assert_eq!(refusal(&anchor), "there is no descriptor at the address");
}

#[test]
fn memory_that_can_be_written_is_never_looked_at() {
    let heap =
        Box::new(Descriptor { magic: MAGIC, name: "test", signature: || "x", make: Make::Cache(|| panic!("called")) });
    let image = Image::of_this_process().unwrap();
    let address = (&raw const *heap).expose_provenance();
    let offset = address.wrapping_sub(image.base) as u64;
    let code = CodeRef { offset, name: "test".to_owned(), signature: "x".to_owned() };
    assert!(resolve(&code).is_err());
    assert!(!image.holds_constants(address, 8));
}

#[test]
fn the_image_is_found_in_the_list_of_mappings() {
    let maps = "\
1000-2000 r--p 00000000 fd:01 77 /bin/x
2000-3000 r-xp 00001000 fd:01 77 /bin/x
3000-4000 r--p 00002000 fd:01 77 /bin/x
4000-4800 rw-p 00003000 fd:01 77 /bin/x
4800-5000 rw-p 00000000 00:00 0 [heap]
7000-8000 r--p 00000000 fd:01 78 /lib/y
";
    let image = Image::of_maps(maps, 0x3800, 0x2010).unwrap();
    assert_eq!(image.base, 0x1000);
    assert!(image.holds_constants(0x3ff8, 8) && !image.holds_constants(0x3ffc, 8), "not beyond the mapping");
    assert!(!image.holds_constants(0x1800, 8), "constants of another kind");
    assert!(!image.holds_constants(0x4000, 8), "writable");
    assert!(!image.holds_constants(0x7000, 8), "another file");
    assert!(!image.holds_constants(usize::MAX, 8));
    assert!(image.holds_code(0x2fff) && !image.holds_code(0x1000));
    assert!(Image::of_maps(maps, 0x3800, 0x1010).is_none(), "code where there is none");
    assert!(Image::of_maps(maps, 0x4000, 0x2010).is_none(), "a descriptor that can be written");
    assert!(Image::of_maps(maps, 0x9000, 0x2010).is_none());
}
