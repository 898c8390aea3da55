use super::glob::{NamePattern, alternatives};
use super::split::{hosts_of, pieces, split_size};
use super::*;
use crate::files::{BlockHosts, MemoryFiles};
use mammoth_platform::settings::Environment;
use mammoth_protocol::DfsPath;
use proptest::prelude::*;
use std::io::{self, Read};

fn files(names: &[&str]) -> MemoryFiles {
    let files = MemoryFiles::with_block_size(10);
    for name in names {
        files.put(&DfsPath::parse(name).unwrap(), *b"some text of a file\n");
    }
    files
}

fn names(files: &MemoryFiles, inputs: &[&str]) -> Result<Vec<String>, String> {
    let inputs: Vec<String> = inputs.iter().map(|text| (*text).to_owned()).collect();
    let found = input_files(files, &inputs).map_err(|error| error.to_string())?;
    Ok(found.into_iter().map(|file| file.path.to_string()).collect())
}

#[test]
fn inputs_are_files_folders_and_patterns() {
    let files = files(&["/in/b", "/in/a", "/in/_SUCCESS", "/in/.part.crc", "/logs/2024/x", "/logs/2025/x", "/one"]);
    assert_eq!(names(&files, &["/in"]).unwrap(), ["/in/a", "/in/b"]);
    assert_eq!(names(&files, &["/one", "/in/_SUCCESS"]).unwrap(), ["/one", "/in/_SUCCESS"]);
    assert_eq!(names(&files, &["/logs/20?[5-9]"]).unwrap(), ["/logs/2025/x"]);
    assert_eq!(names(&files, &["/{in/a,logs/*/x}"]).unwrap(), ["/in/a", "/logs/2024/x", "/logs/2025/x"]);
    assert_eq!(names(&files, &["/in/*"]).unwrap(), ["/in/a", "/in/b"]);
    assert_eq!(names(&files, &["memory://local/one"]).unwrap(), ["/one"]);
}

#[test]
fn inputs_that_are_not_there_are_named() {
    let files = files(&["/in/a", "/in/sub/b"]);
    let error = |input: &str| names(&files, &[input]).unwrap_err();
    assert_eq!(error("/nope"), "Input path does not exist: memory://local/nope");
    assert_eq!(error("/nope/*"), "Input Pattern memory://local/nope/* matches 0 files");
    assert_eq!(error("/in/a/*"), "Input Pattern memory://local/in/a/* matches 0 files");
    assert_eq!(error("/in"), "Not a file: memory://local/in/sub");
    assert_eq!(error("/in/[a"), "Illegal file pattern /in/[a: a [ is not closed");
    assert_eq!(error("/in/{a"), "Illegal file pattern /in/{a: a { is not closed");
    assert!(names(&files, &[]).is_err());
}

#[test]
fn patterns_match_whole_names() {
    let matches = |pattern: &str, name: &str| NamePattern::compile(pattern).unwrap().matches(name);
    for (pattern, name) in
        [("a*c", "abbc"), ("*", ""), ("a?c", "aßc"), ("[^a]x", "bx"), ("*a*b*", "xxaxbx"), ("\\*", "*"), ("[]a]", "]")]
    {
        assert!(matches(pattern, name), "{pattern} {name}");
    }
    for (pattern, name) in [("a*c", "abb"), ("a", "ab"), ("[^a]x", "ax"), ("\\*", "x"), ("?", "")] {
        assert!(!matches(pattern, name), "{pattern} {name}");
    }
    assert_eq!(alternatives("a{b,{c,d}e}f").unwrap(), ["abf", "acef", "adef"]);
    for pattern in ["{a,b}".repeat(30), format!("{}{}", "x".repeat(200_000), "{a,b}".repeat(4))] {
        assert!(alternatives(&pattern).unwrap_err().contains("more than 10000 alternatives"));
    }
    assert!(NamePattern::compile("[z-a]").is_err());
    let slow = format!("{}b", "*a".repeat(30));
    assert!(!matches(&slow, &"a".repeat(200)), "and it ends before the universe does");
}

#[test]
fn splits_are_blocks_and_the_last_may_be_a_tenth_larger() {
    assert_eq!(pieces(0, 10), [(0, 0)]);
    assert_eq!(pieces(11, 10), [(0, 11)]);
    assert_eq!(pieces(12, 10), [(0, 10), (10, 2)]);
    assert_eq!(pieces(31, 10), [(0, 10), (10, 10), (20, 11)]);
    assert_eq!(split_size(1, 1 << 50, 128), 128);
    assert_eq!(split_size(1, 64, 128), 64);
    assert_eq!(split_size(256, 64, 128), 256);
    assert_eq!(pieces(u64::MAX, u64::MAX).len(), 1);
}

#[test]
fn hosts_are_those_with_most_of_the_split() {
    let block = |offset, len, hosts: &[&str]| BlockHosts {
        offset,
        len,
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    };
    let blocks = [block(0, 10, &["a", "b"]), block(10, 10, &["c", "b"]), block(20, 10, &["d"])];
    assert_eq!(hosts_of(&blocks, 0, 10), ["a", "b"]);
    assert_eq!(hosts_of(&blocks, 2, 18), ["b", "c", "a"]);
    assert_eq!(hosts_of(&blocks, 25, 5), ["d"]);
    assert!(hosts_of(&[], 0, 10).is_empty());
}

#[test]
fn the_hint_for_maps_makes_smaller_splits() {
    let store = files(&["/in/a"]);
    let mut settings = Settings::new(Environment::default());
    let count = |settings: &Settings| TextInput.splits(&store, &["/in".to_owned()], settings).unwrap().len();
    assert_eq!(count(&settings), 2, "20 bytes in blocks of 10");
    settings.add_pair("mapreduce.job.maps=4").unwrap();
    assert_eq!(count(&settings), 4);
    settings.add_pair("mapreduce.input.fileinputformat.split.minsize=20").unwrap();
    assert_eq!(count(&settings), 1);
}

#[test]
fn a_split_survives_its_way_to_the_task() {
    let split = TextSplit { path: DfsPath::parse("/a").unwrap(), start: 7, len: 9, hosts: vec!["h".to_owned()] };
    let input = split.to_input_split().unwrap();
    assert_eq!((input.len, input.label.as_str(), input.hosts.len()), (9, "/a:7+9", 1));
    let back = TextSplit::decode(&input.payload).unwrap();
    assert_eq!((back.path, back.start, back.len), (split.path, 7, 9));
    assert!(TextSplit::decode(b"\x02/a\xff").is_err() && TextSplit::decode(b"").is_err());
}

/// Gives a few bytes at a time, to hit every border of the buffer.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let take = self.1.min(buffer.len()).min(self.0.len());
        buffer[..take].copy_from_slice(&self.0[..take]);
        self.0 = &self.0[take..];
        Ok(take)
    }
}

fn lines_of(text: &[u8], start: usize, len: usize, step: usize) -> Vec<(u64, Vec<u8>)> {
    let source = Dribble(&text[start..], step);
    let mut reader = LineReader::new(source, "test".to_owned(), start as u64, len as u64).unwrap();
    let mut lines = Vec::new();
    while let Some((offset, line)) = reader.next_line().unwrap() {
        lines.push((offset, line.to_vec()));
    }
    lines
}

#[test]
fn lines_end_in_three_ways_and_a_mark_is_no_text() {
    let lines = lines_of(b"a\nb\r\n\rc\r\r\nd", 0, 12, 1);
    let texts: Vec<&[u8]> = lines.iter().map(|(_, line)| line.as_slice()).collect();
    assert_eq!(texts, [&b"a"[..], b"b", b"", b"c", b"", b"d"]);
    assert_eq!(lines.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 2, 5, 6, 8, 10]);
    assert_eq!(lines_of(b"\xef\xbb\xbfx\n", 0, 5, 2), [(3, b"x".to_vec())]);
    // A piece that ends within the mark has the line behind it, as no later piece does.
    for cut in 1..=3 {
        assert_eq!(lines_of(b"\xef\xbb\xbfx\ny\n", 0, cut, 2), [(3, b"x".to_vec())], "{cut}");
    }
    assert!(lines_of(b"", 0, 0, 1).is_empty());
    assert_eq!(lines_of(b"\n", 0, 1, 1), [(0, Vec::new())]);
}

#[test]
fn reading_counts_bytes_and_share() {
    let text = b"one\ntwo\nthree\n";
    let mut reader = LineReader::new(&text[..], "test".to_owned(), 0, 8).unwrap();
    assert!(reader.progress() < 0.01);
    while reader.next_line().unwrap().is_some() {}
    assert!(reader.progress() > 0.99);
    assert_eq!(reader.stats().bytes, text.len() as u64, "it reads on to the end of the line at its end");
}

proptest! {
    #[test]
    fn every_line_belongs_to_exactly_one_piece(
        text in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x'), Just(b'y')], 0..60),
        mut cuts in proptest::collection::vec(0..60_usize, 0..5),
        step in 1..9_usize,
    ) {
        cuts.retain(|cut| *cut < text.len());
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        let whole = lines_of(&text, 0, text.len(), step);
        let mut joined = Vec::new();
        for pair in cuts.windows(2) {
            joined.extend(lines_of(&text, pair[0], pair[1] - pair[0], step));
        }
        prop_assert_eq!(joined, whole);
    }
}

#[test]
fn commas_separate_paths_but_for_those_in_braces_and_after_a_backslash() {
    let split = |text: &str| split_paths(text);
    assert_eq!(split("/a"), ["/a"]);
    assert_eq!(split("/a,/b/*"), ["/a", "/b/*"]);
    assert_eq!(split("/{a,b}/x,/c{d{e,f},g}"), ["/{a,b}/x", "/c{d{e,f},g}"]);
    assert_eq!(split("/a\\,b,/c\\\\,/d"), ["/a\\,b", "/c\\\\", "/d"]);
    assert_eq!(split("/a,,/b}"), ["/a", "", "/b}"], "an empty path is refused by name later");
    let files = crate::files::MemoryFiles::default();
    let path = mammoth_protocol::DfsPath::parse("/in/a,b").unwrap();
    files.put(&path, *b"x\n");
    for text in ["/in/a\\,b", "/in/{a\\,b,c}", "/in/a?b"] {
        let found = input_files(&files, &split(text)).unwrap();
        assert_eq!(found.iter().map(|file| &file.path).collect::<Vec<_>>(), [&path], "{text}");
    }
}
