//! Texts against the strings that they were made from.

use super::*;
use proptest::prelude::*;
use std::collections::hash_map::DefaultHasher;

fn hash_of(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn shares(text: &Text, buffer: &Arc<str>) -> bool {
    matches!(&text.0, Repr::Shared { buffer: own, .. } if Arc::ptr_eq(own, buffer))
}

#[test]
fn long_parts_share_their_buffer_and_short_ones_do_not() {
    let buffer: Arc<str> = Arc::from("a line with quite-a-long-word-in-it and ümläute");
    let line = Text::of_buffer(&buffer, 0..buffer.len());
    let words: Vec<Text> = line.split(' ').map(|word| line.slice_of(word)).collect();
    assert_eq!(words, ["a", "line", "with", "quite-a-long-word-in-it", "and", "ümläute"]);
    let sharing: Vec<bool> = words.iter().map(|word| shares(word, &buffer)).collect();
    assert_eq!(sharing, [false, false, false, true, false, false]);
    assert_eq!(words[3].heap_bytes(), 23);
    let letters = words[3].slice_of(&words[3][2..20]);
    assert!(shares(&letters, &buffer));
    assert_eq!(letters, "ite-a-long-word-in");
}

#[test]
fn a_part_of_something_else_is_copied() {
    let buffer: Arc<str> = Arc::from("twenty bytes, no less, twenty bytes");
    let middle = Text::of_buffer(&buffer, 5..30);
    let other = "bytes, no less, twenty".to_owned();
    assert_eq!(middle.slice_of(&other), other.as_str());
    assert!(!shares(&middle.slice_of(&other), &buffer));
    let beyond = middle.slice_of(&buffer);
    assert_eq!(beyond, *buffer);
    assert!(!shares(&beyond, &buffer), "the part lies outside of the slice, even if inside of its buffer");
}

#[test]
#[should_panic(expected = "byte index")]
fn characters_are_not_cut() {
    let _ = Text::of_buffer(&Arc::from("äöü and much more text than fits"), 1..30);
}

proptest! {
    #[test]
    fn it_is_the_string_that_it_was_made_from(a in "\\PC{0,40}", b in "\\PC{0,40}") {
        let (text, other) = (Text::from(a.as_str()), Text::from(b.clone()));
        prop_assert_eq!(&*text, a.as_str());
        prop_assert_eq!(text.as_bytes(), a.as_bytes());
        prop_assert_eq!(text.cmp(&other), a.cmp(&b));
        prop_assert_eq!(text == other, a == b);
        prop_assert_eq!(hash_of(&text), hash_of(a.as_str()));
        prop_assert_eq!(text.to_string(), a.clone());
        prop_assert_eq!(format!("{text:?}"), format!("{a:?}"));
        let bytes = postcard::to_allocvec(&text).unwrap();
        prop_assert_eq!(&bytes, &postcard::to_allocvec(&a).unwrap());
        prop_assert_eq!(postcard::from_bytes::<Text>(&bytes).unwrap(), text.clone());
        let json = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), text);
    }
}
