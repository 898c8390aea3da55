use super::*;
use std::collections::BTreeMap;

fn matches(pattern: &str, name: &str) -> bool {
    Pattern::compile(pattern).unwrap().matches(name)
}

#[test]
fn patterns_match_as_in_hadoop() {
    for (pattern, yes, no) in [
        ("abc", &["abc"][..], &["ab", "abcd", ""][..]),
        ("*", &["", "a", "a.b"], &[]),
        ("a*c", &["ac", "abc", "abbc"], &["a", "acd", "bac"]),
        ("?", &["a", "é"], &["", "ab"]),
        ("[abc]x", &["ax", "cx"], &["dx", "x", "abx"]),
        ("[a-c1]", &["a", "b", "c", "1"], &["d", "-"]),
        ("[^a-c]", &["d", "-"], &["a", "b", ""]),
        ("[!a]", &["b"], &["a"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[a\\]]", &["a", "]"], &["\\", "b"]),
        ("[*?]", &["*", "?"], &["a"]),
        ("{a,bc}d", &["ad", "bcd"], &["abcd", "d", "bc"]),
        ("{a,{b,c}d}e", &["ae", "bde", "cde"], &["ade", "be", "de"]),
        ("{,a}b", &["b", "ab"], &["a"]),
        ("{a*,?z}", &["a", "axyz", "bz"], &["bzz", "z"]),
        ("x{*}y", &["xy", "xzy"], &["x"]),
        ("a,b}", &["a,b}"], &["a"]),
        ("a\\*", &["a*"], &["ab", "a\\*"]),
        ("a\\{b", &["a{b"], &["ab"]),
        ("a.b$(^|+)", &["a.b$(^|+)"], &["axb$(^|+)"]),
        ("(a|b)", &["(a|b)"], &["a"]),
        ("日*[本-本]", &["日本", "日x本"], &["日"]),
    ] {
        for name in yes {
            assert!(matches(pattern, name), "{pattern} should match {name:?}");
        }
        for name in no {
            assert!(!matches(pattern, name), "{pattern} should not match {name:?}");
        }
    }
}

#[test]
fn bad_patterns_are_named() {
    for (pattern, message) in [
        ("[a", "Illegal file pattern: Unclosed character class at pos 2: `[a'"),
        ("{a,b", "Illegal file pattern: Unclosed group at pos 4: `{a,b'"),
        ("a\\", "Illegal file pattern: Missing escaped character at pos 2: `a\\'"),
        ("[z-a]", "Illegal file pattern: Invalid character class range at pos 4: `[z-a]'"),
    ] {
        assert_eq!(Pattern::compile(pattern).unwrap_err().to_string(), message);
    }
}

#[test]
fn braces_do_not_multiply_without_end() {
    struct Empty;
    impl Lister for Empty {
        type Entry = ();
        type Error = BadPattern;
        fn entry(&mut self, _: &str) -> Result<Option<()>, BadPattern> {
            Ok(None)
        }
        fn entries(&mut self, _: &str) -> Result<Vec<(String, ())>, BadPattern> {
            Ok(Vec::new())
        }
        fn is_folder((): &()) -> bool {
            false
        }
    }
    let expanded = |pattern: &str| expand(&mut Empty, pattern, str::to_owned);
    assert_eq!(expanded(&"{/a,/b}".repeat(13)), Ok(Matches::Found(Vec::new())), "8,192 paths");
    let long = format!("{}{}", "/x".repeat(100_000), "{/a,/b}".repeat(4));
    let wide = format!("{{/{}}}{}", ",".repeat(9_000), "x".repeat(60_000));
    for pattern in ["{/a,/b}".repeat(30), long, wide] {
        let told = expanded(&pattern).unwrap_err().to_string();
        assert!(told.starts_with("Illegal file pattern: More than 10000 alternatives, or 1 MiB of them, at pos 0: `"));
    }
}

#[test]
fn only_characters_of_meaning_count_as_wildcards() {
    for (pattern, is_wild) in
        [("a", false), ("a\\*b", false), ("a}b", false), ("a*", true), ("{a}", true), ("[a]", true)]
    {
        assert_eq!(Pattern::compile(pattern).unwrap().has_wildcard(), is_wild, "{pattern}");
    }
}

#[test]
fn no_pattern_is_slow() {
    let pattern = Pattern::compile(&format!("{}c", "{a*,*a}".repeat(20))).unwrap();
    assert!(!pattern.matches(&"a".repeat(200)));
    assert!(pattern.matches(&format!("{}c", "a".repeat(200))));
}

/// A matcher that tries everything, over a smaller language, to test the automaton against.
fn naive(pattern: &[char], name: &[char]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some(('*', rest)) => (0..=name.len()).any(|taken| naive(rest, &name[taken..])),
        Some(('?', rest)) => !name.is_empty() && naive(rest, &name[1..]),
        Some((c, rest)) => name.first() == Some(c) && naive(rest, &name[1..]),
    }
}

#[test]
fn the_automaton_agrees_with_a_naive_matcher() {
    let words = |letters: &[char], longest: u32| -> Vec<Vec<char>> {
        let mut all = vec![Vec::new()];
        let mut last = all.clone();
        for _ in 0..longest {
            last = last.iter().flat_map(|w| letters.iter().map(|c| [w.as_slice(), &[*c]].concat())).collect();
            all.extend(last.iter().cloned());
        }
        all
    };
    let names = words(&['a', 'b'], 4);
    for pattern in words(&['a', 'b', '*', '?'], 4) {
        let compiled = Pattern::compile(&pattern.iter().collect::<String>()).unwrap();
        for name in &names {
            let text: String = name.iter().collect();
            assert_eq!(compiled.matches(&text), naive(&pattern, name), "{pattern:?} on {text}");
        }
    }
}

/// Folders end with a slash.
struct Tree {
    paths: BTreeMap<String, bool>,
    questions: u32,
}

impl Tree {
    fn new(paths: &[&str]) -> Self {
        let mut all = BTreeMap::from([("/".to_owned(), true)]);
        for path in paths {
            all.insert(path.trim_end_matches('/').to_owned(), path.ends_with('/'));
        }
        Self { paths: all, questions: 0 }
    }

    fn find(&mut self, pattern: &str) -> Option<Vec<String>> {
        let absolute = |p: &str| if p.starts_with('/') { p.to_owned() } else { format!("/home/{p}") };
        match expand(self, pattern, absolute).unwrap() {
            Matches::Missing => None,
            Matches::Found(found) => Some(found.into_iter().map(|(path, _)| path).collect()),
        }
    }
}

impl Lister for Tree {
    type Entry = bool;
    type Error = BadPattern;

    fn entry(&mut self, path: &str) -> Result<Option<bool>, BadPattern> {
        self.questions += 1;
        Ok(self.paths.get(path).copied())
    }

    fn entries(&mut self, path: &str) -> Result<Vec<(String, bool)>, BadPattern> {
        self.questions += 1;
        let prefix = if path == "/" { path.to_owned() } else { format!("{path}/") };
        let inside = self.paths.iter().filter_map(|(other, folder)| {
            let name = other.strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains('/')).then(|| (name.to_owned(), *folder))
        });
        Ok(inside.collect())
    }

    fn is_folder(entry: &bool) -> bool {
        *entry
    }
}

#[test]
fn paths_expand() {
    let all = ["/a/", "/a/x1", "/a/x2", "/a/y/", "/a/y/z", "/b/", "/b/x1", "/f", "/home/", "/home/x9", "/s*r", "/sir"];
    for (pattern, expected) in [
        ("/f", Some(&["/f"][..])),
        ("/", Some(&["/"])),
        ("/none", None),
        ("/none/below", None),
        ("/n*", Some(&[])),
        ("/n*/x", Some(&[])),
        ("/*", Some(&["/a", "/b", "/f", "/home", "/s*r", "/sir"])),
        ("/?/x1", Some(&["/a/x1", "/b/x1"])),
        ("/*/x[12]", Some(&["/a/x1", "/a/x2", "/b/x1"])),
        ("/f/*", Some(&[])),
        ("/{b,a}/x1", Some(&["/a/x1", "/b/x1"])),
        ("{/a/y,/b}/{z,x1}", Some(&["/a/y/z", "/b/x1"])),
        ("/{a/{x1,y/z},f}", Some(&["/a/x1", "/a/y/z", "/f"])),
        ("/{a/nope,b/nope}", Some(&[])),
        ("x*", Some(&["/home/x9"])),
        ("{/f,x9}", Some(&["/f", "/home/x9"])),
        ("/s\\*r", Some(&["/s*r"])),
        ("/s*r", Some(&["/s*r", "/sir"])),
    ] {
        let found = Tree::new(&all).find(pattern);
        assert_eq!(
            found.as_deref(),
            expected.map(|e| e.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).as_deref(),
            "{pattern}"
        );
    }
}

#[test]
fn a_plain_path_costs_one_question() {
    let mut tree = Tree::new(&["/a/", "/a/b/", "/a/b/c"]);
    assert!(tree.find("/a/b/c").is_some());
    assert_eq!(tree.questions, 1);
    assert!(tree.find("/a/*/c").is_some());
    assert_eq!(tree.questions, 3, "one listing and one question");
}

#[test]
fn backslashes_are_taken_off() {
    assert_eq!(unquote("a\\*b\\\\c"), "a*b\\c");
    assert_eq!(unquote("end\\"), "end\\");
}
