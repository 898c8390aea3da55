//! Keys: bytes sort as values do, come back, need nothing between them, and hash as they always did.

use super::*;
use crate::text::Text;
use proptest::prelude::*;
use std::cmp::{Ordering, Reverse};
use std::fmt::Debug;

/// What must hold for any two values of a type.
fn check_by<T: Key + Debug + Clone>(a: &T, b: &T, order: impl Fn(&T, &T) -> Ordering) -> Result<(), TestCaseError> {
    let (left, right) = (encoded(a), encoded(b));
    prop_assert_eq!(left.cmp(&right), order(a, b), "{:?} {:?}: {:02x?} {:02x?}", a, b, left, right);
    if left != right {
        prop_assert!(!right.starts_with(&left), "{:?} is the beginning of {:?}", a, b);
    }
    let back = T::of_bytes(&left);
    prop_assert!(back.as_ref().is_ok_and(|back| order(back, a).is_eq()), "{:?} came back as {:?}", a, back);
    prop_assert_eq!(prefix(&left).cmp(&prefix(&right)).then(left.cmp(&right)), left.cmp(&right));

    let pair = encoded(&(a.clone(), b.clone()));
    prop_assert_eq!(&pair, &[left.clone(), right.clone()].concat());
    let (first, second) = <(T, T)>::of_bytes(&pair).expect("both parts are there");
    prop_assert!(order(&first, a).is_eq() && order(&second, b).is_eq());
    let tuples = encoded(&(a, 7_u8)).cmp(&encoded(&(b, 3_u8)));
    prop_assert_eq!(tuples, order(a, b).then(Ordering::Greater));

    let reversed = encoded(&Reverse(a.clone())).cmp(&encoded(&Reverse(b.clone())));
    prop_assert_eq!(reversed, order(b, a));
    let mut input = &[encoded(&Reverse(a.clone())), vec![9, 9]].concat()[..];
    let back = Reverse::<T>::decode_key(&mut input).expect("a reversed key");
    prop_assert!(order(&back.0, a).is_eq());
    prop_assert_eq!(input, &[9, 9]);

    for end in 0..left.len() {
        prop_assert!(T::of_bytes(&left[..end]).is_err(), "{:?} cut at {}", a, end);
    }
    prop_assert_eq!(T::of_bytes(&[&left[..], &[0]].concat()).err(), Some(KeyError::Trailing(1)));
    Ok(())
}

fn check<T: Key + Debug + Clone + Ord>(a: &T, b: &T) -> Result<(), TestCaseError> {
    check_by(a, b, T::cmp)
}

/// Mostly the bytes that are escaped, and their neighbours.
fn awkward_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![0_u8..4, Just(0xff), any::<u8>()], 0..12)
}

fn awkward_text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![prop::char::range('\0', '\u{3}'), prop::char::range('a', 'c'), any::<char>()],
        0..8,
    )
    .prop_map(String::from_iter)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Key)]
struct Named {
    word: String,
    count: i32,
    tags: Vec<Option<bool>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Key)]
struct Pair<A, B: Clone>(A, B);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Key)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Key)]
enum Shape {
    Nothing,
    Number(i64),
    Both { name: Text, of: Pair<u8, String> },
    Last,
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Nothing),
        any::<i64>().prop_map(Shape::Number),
        (awkward_text(), any::<u8>(), awkward_text())
            .prop_map(|(name, n, text)| Shape::Both { name: name.into(), of: Pair(n, text) }),
        Just(Shape::Last),
    ]
}

proptest! {
    #[test]
    fn unsigned_integers(a: (u8, u16, u32), b: (u8, u16, u32), c: (u64, u128, usize), d: (u64, u128, usize)) {
        check(&a, &b)?;
        check(&c, &d)?;
    }

    #[test]
    fn signed_integers(a: (i8, i16, i32), b: (i8, i16, i32), c: (i64, i128, isize), d: (i64, i128, isize)) {
        check(&a, &b)?;
        check(&c, &d)?;
    }

    #[test]
    fn floats(a in prop::num::f64::ANY, b in prop::num::f64::ANY, c in prop::num::f32::ANY, d in prop::num::f32::ANY) {
        check_by(&a, &b, f64::total_cmp)?;
        check_by(&c, &d, f32::total_cmp)?;
    }

    #[test]
    fn small_things(a: (bool, char, ()), b: (bool, char, ()), c: Option<u16>, d: Option<u16>) {
        check(&a, &b)?;
        check(&c, &d)?;
    }

    #[test]
    fn strings(a in awkward_text(), b in awkward_text()) {
        check(&a, &b)?;
        check(&Text::from(a.as_str()), &Text::from(b.as_str()))?;
        prop_assert_eq!(encoded(a.as_str()), encoded(&a));
        prop_assert_eq!(encoded(&&Text::from(a.as_str())), encoded(&a));
        prop_assert_eq!(encoded(a.as_bytes()), encoded(&a));
        let bytes = encoded(&a);
        prop_assert_eq!(decode_str(&mut &bytes[..]), Ok(a.into()));
    }

    #[test]
    fn bytes_and_lists(a in awkward_bytes(), b in awkward_bytes(), c: Vec<i16>, d: Vec<i16>) {
        check(&a, &b)?;
        check(&c, &d)?;
        prop_assert_eq!(encoded(&a[..]), encoded(&a));
        prop_assert_eq!(encoded(&c[..]), encoded(&c));
        prop_assert!(encoded(&a).len() <= 2 * a.len() + 1);
    }

    #[test]
    fn lists_of_lists(a in prop::collection::vec(awkward_text(), 0..4), b in prop::collection::vec(awkward_text(), 0..4)) {
        check(&a, &b)?;
        check(&vec![a.clone(), b.clone()], &vec![b, a])?;
    }

    #[test]
    fn tuples_of_eight(a: (u8, i8, bool, u16, i16, char, u32, i32), b: (u8, i8, bool, u16, i16, char, u32, i32)) {
        check(&a, &b)?;
    }

    #[test]
    fn derived_structs(a in (awkward_text(), any::<i32>(), any::<Vec<Option<bool>>>()),
                       b in (awkward_text(), any::<i32>(), any::<Vec<Option<bool>>>())) {
        let named = |(word, count, tags): (String, i32, Vec<Option<bool>>)| Named { word, count, tags };
        prop_assert_eq!(encoded(&named(a.clone())), encoded(&a));
        check(&named(a), &named(b))?;
        check(&Unit, &Unit)?;
    }

    #[test]
    fn derived_enums(a in shapes(), b in shapes()) {
        check(&a, &b)?;
    }

    #[test]
    fn rubbish_never_panics(bytes in prop::collection::vec(prop_oneof![0_u8..3, any::<u8>()], 0..40)) {
        let _ = String::of_bytes(&bytes);
        let _ = <Vec<Vec<Option<char>>>>::of_bytes(&bytes);
        let _ = <Reverse<(String, Vec<()>)>>::of_bytes(&bytes);
        let _ = <(Shape, Named, usize, f32)>::of_bytes(&bytes);
    }
}

#[test]
fn encodings_have_these_bytes() {
    assert_eq!(encoded(&(1_u16, -1_i16, true)), [0, 1, 0x7f, 0xff, 1]);
    assert_eq!(encoded("a\0b\u{1}"), [b'a', 1, 1, b'b', 1, 2, 0]);
    assert_eq!(encoded(&vec![Some('a'), None]), [1, 1, 0, 0, 0, b'a', 1, 0, 0]);
    assert_eq!(encoded(&Reverse("a")), [!b'a', 0xff]);
    assert_eq!(encoded(&1.0_f64), [0xbf, 0xf0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(encoded(&-1.0_f32), [0x40, 0x7f, 0xff, 0xff]);
    assert_eq!(encoded(&Shape::Number(0)), [1, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(encoded(&Shape::Last), [3]);
    assert_eq!(encoded(&7_usize), encoded(&7_u64));
}

#[test]
fn what_no_value_encodes_to_is_refused() {
    assert_eq!(bool::of_bytes(&[2]), Err(KeyError::Invalid("bool")));
    assert_eq!(char::of_bytes(&[0, 0, 0xd8, 0]), Err(KeyError::Invalid("char")));
    assert_eq!(String::of_bytes(&[0xff, 0]), Err(KeyError::Invalid("UTF-8")));
    assert_eq!(String::of_bytes(&[1, 3, 0]), Err(KeyError::Invalid("escape")));
    assert_eq!(Shape::of_bytes(&[4]), Err(KeyError::Invalid("Shape")));
    assert_eq!(<Option<()>>::of_bytes(&[2]), Err(KeyError::Invalid("option")));
    assert_eq!(<Vec<u16>>::of_bytes(&[2]), Err(KeyError::Invalid("list")));
}

#[test]
fn a_long_reversed_key_is_found_to_its_end() {
    let key = Reverse(vec!["x".repeat(1000); 20]);
    let mut bytes = encoded(&key);
    bytes.extend_from_slice(&encoded("rest"));
    let mut input = &bytes[..];
    assert_eq!(Reverse::decode_key(&mut input), Ok(key));
    assert_eq!(String::decode_key(&mut input), Ok("rest".to_owned()));
}

#[test]
fn hashes_never_change() {
    // XXH3-64 with seed 0, computed by the reference implementation.
    assert_eq!(hash(b""), 0x2d06_8005_38d3_94c2);
    assert_eq!(hash(&encoded("the")), 0x2d57_7297_5fba_1da9);
    assert_eq!(hash(&encoded(&(42_u32, "answer"))), 0x1f87_a88c_cd0c_ef44);
    assert_eq!(hash(&[7; 1000]), 0x5d7e_9d56_3954_51ea);
    assert_eq!(partition_of(b"", 1), 0);
    assert_eq!(partition_of(b"", 1000), 138);
    assert_eq!(partition_of(b"", 0), 0);
}
