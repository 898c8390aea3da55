//! `chmod`: permissions, as symbols or octal digits.

use super::Outcome;
use crate::args::Format;
use crate::fault::Fault;
use crate::paths::Item;
use crate::session::Session;

/// `-chmod`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let mut parsed = Format::at_least(2, &["R"]).lenient().parse(args)?;
    let text = parsed.operands.remove(0);
    let mode = Mode::parse(&text)
        .ok_or_else(|| Fault::Usage(format!("chmod : mode '{text}' does not match the expected pattern.")))?;
    let recursive = parsed.has("R");
    session.each(&parsed.operands, |session, item| {
        let mut work = |_: &mut Session<'_>, item: &Item| change(item, &mode);
        if recursive { session.descend(&item, &mut work) } else { work(session, &item) }
    })
}

fn change(item: &Item, mode: &Mode) -> Outcome {
    let status = item.found()?;
    let bits = mode.apply(status.permission, status.is_folder());
    if bits == status.permission {
        return Ok(());
    }
    item.fs.set_permission(&item.path, bits).map_err(|fault| match fault {
        fault if fault.is_final() => fault,
        fault => Fault::Other(format!("changing permissions of '{}': {}", item.shown, fault.line())),
    })
}

/// How to change permissions.
#[derive(Debug, PartialEq, Eq)]
enum Mode {
    /// To exactly these bits.
    Exact(u16),
    /// One clause after the other.
    Clauses(Vec<Clause>),
}

/// `ug+rX`.
#[derive(Debug, PartialEq, Eq)]
struct Clause {
    /// Shifts of the classes meant.
    classes: Vec<u16>,
    operator: char,
    /// Of the bits 4, 2, 1.
    bits: u16,
    /// `X`: execute, but only where it makes sense.
    cautious: bool,
    sticky: bool,
}

impl Mode {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(bits) = octal(text) {
            return Some(Self::Exact(bits));
        }
        let clauses: Option<Vec<_>> = text.split(',').map(|clause| Clause::parse(clause.trim())).collect();
        clauses.map(Self::Clauses)
    }

    fn apply(&self, bits: u16, is_folder: bool) -> u16 {
        match self {
            Self::Exact(exact) => *exact,
            Self::Clauses(clauses) => {
                let executable = is_folder || bits & 0o111 != 0;
                clauses.iter().fold(bits, |bits, clause| clause.apply(bits, executable))
            }
        }
    }
}

/// Three digits, or four the first of which is 0 or 1.
fn octal(text: &str) -> Option<u16> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let octal = digits.bytes().all(|b| matches!(b, b'0'..=b'7'));
    let sized = digits.len() == 3 || (digits.len() == 4 && digits.starts_with(['0', '1']));
    if octal && sized { u16::from_str_radix(digits, 8).ok() } else { None }
}

impl Clause {
    fn parse(text: &str) -> Option<Self> {
        let start = text.find(['+', '-', '='])?;
        let (who, rest) = text.split_at(start);
        let letters = rest.trim_start_matches(['+', '-', '=']);
        // Of several operators the last counts.
        let operator = rest.strip_suffix(letters)?.chars().last()?;
        let mut classes = Vec::new();
        for class in who.chars() {
            match class {
                'u' => classes.push(6),
                'g' => classes.push(3),
                'o' => classes.push(0),
                'a' => {}
                _ => return None,
            }
        }
        if classes.is_empty() {
            classes = vec![6, 3, 0];
        }
        let mut clause = Self { classes, operator, bits: 0, cautious: false, sticky: false };
        for letter in letters.chars() {
            match letter {
                'r' => clause.bits |= 4,
                'w' => clause.bits |= 2,
                'x' => clause.bits |= 1,
                'X' => clause.cautious = true,
                't' => clause.sticky = true,
                _ => return None,
            }
        }
        if letters.is_empty() { None } else { Some(clause) }
    }

    fn apply(&self, mut all: u16, executable: bool) -> u16 {
        for shift in &self.classes {
            let old = all >> shift & 7;
            // Where X makes no sense it changes nothing.
            let cautious = u16::from(self.cautious && (executable || old & 1 == 1));
            let new = combine(self.operator, old, self.bits | cautious);
            all = all & !(7 << shift) | new << shift;
        }
        // The sticky bit goes with the class of the others.
        if self.classes.contains(&0) {
            let new = combine(self.operator, all >> 9 & 1, u16::from(self.sticky));
            all = all & !0o1000 | new << 9;
        }
        all
    }
}

fn combine(operator: char, old: u16, bits: u16) -> u16 {
    match operator {
        '+' => old | bits,
        '-' => old & !bits,
        _ => bits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_apply_as_in_hadoop() {
        for (mode, is_folder, old, new) in [
            ("644", false, 0o777, 0o644),
            ("1777", true, 0o755, 0o1777),
            ("0755", true, 0o1777, 0o755),
            ("755", true, 0o1777, 0o755),
            ("+700", false, 0o644, 0o700),
            ("u+x", false, 0o644, 0o744),
            ("go-rwx", false, 0o777, 0o700),
            ("a=r", false, 0o777, 0o444),
            ("+w", false, 0o444, 0o666),
            ("u=rwx,g=rx,o=r", false, 0o000, 0o754),
            ("+X", false, 0o644, 0o644),
            ("+X", true, 0o644, 0o755),
            ("+X", false, 0o744, 0o755),
            ("+t", true, 0o755, 0o1755),
            ("o-t", true, 0o1755, 0o755),
            ("u+t", true, 0o755, 0o755),
            ("o=rx", true, 0o1777, 0o775),
            ("-x", false, 0o755, 0o644),
        ] {
            let applied = Mode::parse(mode).map(|mode| mode.apply(old, is_folder));
            assert_eq!(applied, Some(new), "{mode} on {old:o}");
        }
    }

    #[test]
    fn other_texts_are_no_modes() {
        for text in ["", "8", "77", "2777", "75555", "u", "+", "u+", "z+r", "u+q", "u+r,", "u=r,o=", "9999", "u+s"] {
            assert_eq!(Mode::parse(text), None, "{text}");
        }
    }
}
