//! Patterns of paths, as Hadoop's input paths have them: `*`, `?`, `[a-c]`, `[^a]`, `{x,y}`, and `\` before a character that
//! shall mean itself.
//!
//! Braces are written out first, as they may hold slashes; then one name at a time is matched, in time proportional to the
//! product of the lengths at worst.

/// Most patterns that the braces of one may stand for, and their bytes together.
const ALTERNATIVES_MAX: usize = 10_000;
const ALTERNATIVES_BYTES: usize = 1 << 20;

/// Whether a text has a character that means something.
pub(super) fn has_wildcard(text: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' | '?' | '[' | '{' => return true,
            _ => {}
        }
    }
    false
}

/// The text without the backslashes that quote.
pub(super) fn unquote(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    plain
}

/// Writes out all braces, in order.
///
/// # Errors
/// What is wrong: a brace that is not closed, too many alternatives.
pub(super) fn alternatives(pattern: &str) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_owned()];
    // Of all texts in both.
    let mut bytes = pattern.len();
    while let Some(text) = open.pop() {
        match first_braces(&text)? {
            None => done.push(text),
            Some((before, inside, after)) => {
                let parts: usize = inside.iter().map(|part| part.len()).sum();
                bytes = bytes + inside.len() * (before.len() + after.len()) + parts - text.len();
                if done.len() + open.len() + inside.len() > ALTERNATIVES_MAX || bytes > ALTERNATIVES_BYTES {
                    return Err(format!(
                        "more than {ALTERNATIVES_MAX} alternatives, or {ALTERNATIVES_BYTES} bytes of them"
                    ));
                }
                let written: Vec<String> = inside.iter().map(|part| format!("{before}{part}{after}")).collect();
                open.extend(written.into_iter().rev());
            }
        }
    }
    Ok(done)
}

/// What comes before the first outermost braces, their alternatives, and what follows.
type Braces<'a> = (&'a str, Vec<&'a str>, &'a str);

fn first_braces(text: &str) -> Result<Option<Braces<'_>>, String> {
    let (mut depth, mut start, mut part) = (0_usize, 0, 0);
    let mut inside = Vec::new();
    let mut chars = text.char_indices();
    let slice = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '{' => {
                if depth == 0 {
                    (start, part) = (at, at + 1);
                }
                depth += 1;
            }
            ',' if depth == 1 => {
                inside.push(slice(part, at));
                part = at + 1;
            }
            '}' if depth == 1 => {
                inside.push(slice(part, at));
                return Ok(Some((slice(0, start), inside, slice(at + 1, text.len()))));
            }
            '}' if depth > 1 => depth -= 1,
            _ => {}
        }
    }
    if depth > 0 { Err("a { is not closed".to_owned()) } else { Ok(None) }
}

/// One position of a pattern for a name.
#[derive(Debug)]
enum Piece {
    One(char),
    Any,
    Many,
    Class { ranges: Vec<(char, char)>, negated: bool },
}

impl Piece {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::One(own) => *own == c,
            Self::Any | Self::Many => true,
            Self::Class { ranges, negated } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
        }
    }
}

/// A pattern for one name, without braces.
#[derive(Debug)]
pub(super) struct NamePattern {
    pieces: Vec<Piece>,
}

impl NamePattern {
    /// # Errors
    /// What is wrong: a class that is not closed or runs backwards, a backslash at the end.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '\\' => Piece::One(chars.next().ok_or("a \\ quotes nothing")?),
                '?' => Piece::Any,
                '*' => Piece::Many,
                '[' => class(&mut chars)?,
                plain => Piece::One(plain),
            });
        }
        Ok(Self { pieces })
    }

    /// Whether the whole name matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut piece) = (0, 0);
        // Where the last `*` stands, and up to where it has taken characters: only the last one ever needs to take more.
        let mut star: Option<(usize, usize)> = None;
        loop {
            match (self.pieces.get(piece), name.get(at)) {
                (Some(Piece::Many), _) => {
                    star = Some((piece, at));
                    piece += 1;
                }
                (Some(wanted), Some(c)) if wanted.takes(*c) => {
                    at += 1;
                    piece += 1;
                }
                (None, None) => return true,
                _ => match star {
                    Some((of, taken)) if taken < name.len() => {
                        star = Some((of, taken + 1));
                        (at, piece) = (taken + 1, of + 1);
                    }
                    _ => return false,
                },
            }
        }
    }
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Piece, String> {
    let negated = chars.next_if(|c| matches!(c, '^' | '!')).is_some();
    let mut ranges = Vec::new();
    let quoted = |c: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>| match c {
        '\\' => chars.next(),
        plain => Some(plain),
    };
    loop {
        let Some(c) = chars.next() else { return Err("a [ is not closed".to_owned()) };
        if c == ']' && !ranges.is_empty() {
            return Ok(Piece::Class { ranges, negated });
        }
        let from = quoted(c, chars).ok_or("a [ is not closed")?;
        let mut ahead = chars.clone();
        if ahead.next() != Some('-') || ahead.peek().is_none_or(|end| *end == ']') {
            ranges.push((from, from));
            continue;
        }
        chars.next();
        let to = chars.next().and_then(|c| quoted(c, chars)).ok_or("a [ is not closed")?;
        if to < from {
            return Err(format!("the range {from}-{to} runs backwards"));
        }
        ranges.push((from, to));
    }
}
