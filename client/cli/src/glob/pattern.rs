//! One pattern for one name, compiled to a small automaton, so that no pattern makes matching slow.

use super::BadPattern;

/// A compiled pattern; matches whole names only.
#[derive(Debug)]
pub(crate) struct Pattern {
    steps: Vec<Step>,
    has_wildcard: bool,
}

/// One instruction of the automaton. Unless told otherwise, the next one follows.
#[derive(Debug)]
enum Step {
    /// Takes one character that passes.
    Take(Take),
    /// Goes on at the next instruction and at another one.
    Split(usize),
    /// Goes on elsewhere.
    Jump(usize),
    /// The name matches if it ends here.
    Accept,
}

#[derive(Debug)]
enum Take {
    Char(char),
    Any,
    Class { ranges: Vec<(char, char)>, negated: bool },
}

impl Take {
    fn passes(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any => true,
            Self::Class { ranges, negated } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
        }
    }
}

/// An alternative group that is being read: where its splits and the jumps over the rest have to be filled in.
struct Group {
    split: usize,
    jumps: Vec<usize>,
}

struct Compiler<'a> {
    text: &'a str,
    chars: Vec<char>,
    position: usize,
    steps: Vec<Step>,
    groups: Vec<Group>,
    has_wildcard: bool,
}

impl Pattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// A class or group that is not closed, a backslash at the end.
    pub(crate) fn compile(text: &str) -> Result<Self, BadPattern> {
        let chars = text.chars().collect();
        let mut compiler =
            Compiler { text, chars, position: 0, steps: Vec::new(), groups: Vec::new(), has_wildcard: false };
        while let Some(c) = compiler.next() {
            compiler.character(c)?;
        }
        if !compiler.groups.is_empty() {
            return Err(compiler.bad("Unclosed group"));
        }
        compiler.steps.push(Step::Accept);
        Ok(Self { steps: compiler.steps, has_wildcard: compiler.has_wildcard })
    }

    /// Whether it has a character of meaning, so that it may match several names.
    pub(crate) fn has_wildcard(&self) -> bool {
        self.has_wildcard
    }

    /// Whether the whole of `name` matches.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let mut now = vec![false; self.steps.len()];
        self.reach(0, &mut now);
        for c in name.chars() {
            let mut next = vec![false; self.steps.len()];
            for (index, step) in self.steps.iter().enumerate() {
                if let (Some(true), Step::Take(take)) = (now.get(index), step)
                    && take.passes(c)
                {
                    self.reach(index + 1, &mut next);
                }
            }
            now = next;
        }
        self.steps.iter().zip(&now).any(|(step, active)| *active && matches!(step, Step::Accept))
    }

    /// Marks an instruction and all that it leads to without taking a character.
    fn reach(&self, start: usize, active: &mut [bool]) {
        let mut open = vec![start];
        while let Some(index) = open.pop() {
            match active.get_mut(index) {
                Some(mark) if !*mark => *mark = true,
                _ => continue,
            }
            match self.steps.get(index) {
                Some(Step::Split(other)) => open.extend([index + 1, *other]),
                Some(Step::Jump(other)) => open.push(*other),
                Some(Step::Take(_) | Step::Accept) | None => {}
            }
        }
    }
}

impl Compiler<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.position).copied();
        self.position += 1;
        c
    }

    fn bad(&self, what: &'static str) -> BadPattern {
        BadPattern::new(what, self.position.min(self.chars.len()), self.text)
    }

    fn take(&mut self, take: Take) {
        self.steps.push(Step::Take(take));
    }

    fn character(&mut self, c: char) -> Result<(), BadPattern> {
        match c {
            '\\' => {
                let quoted = self.next().ok_or_else(|| self.bad("Missing escaped character"))?;
                self.take(Take::Char(quoted));
            }
            '*' => {
                self.has_wildcard = true;
                let split = self.steps.len();
                self.steps.push(Step::Split(split + 3));
                self.take(Take::Any);
                self.steps.push(Step::Jump(split));
            }
            '?' => {
                self.has_wildcard = true;
                self.take(Take::Any);
            }
            '[' => {
                self.has_wildcard = true;
                let class = self.class()?;
                self.take(class);
            }
            '{' => {
                self.has_wildcard = true;
                let split = self.steps.len();
                self.groups.push(Group { split, jumps: Vec::new() });
                self.steps.push(Step::Split(split + 1));
            }
            ',' if !self.groups.is_empty() => self.alternative(),
            '}' if !self.groups.is_empty() => self.close(),
            plain => self.take(Take::Char(plain)),
        }
        Ok(())
    }

    /// A comma within a group: the alternative before jumps to the end, the split before it leads here too.
    fn alternative(&mut self) {
        let here = self.steps.len();
        let Some(group) = self.groups.last_mut() else { return };
        group.jumps.push(here);
        let split = group.split;
        group.split = here + 1;
        self.steps.push(Step::Jump(0));
        self.steps.push(Step::Split(here + 2));
        if let Some(Step::Split(other)) = self.steps.get_mut(split) {
            *other = here + 1;
        }
    }

    /// The end of a group: every alternative goes on here.
    fn close(&mut self) {
        let here = self.steps.len();
        let Some(group) = self.groups.pop() else { return };
        for jump in group.jumps {
            if let Some(Step::Jump(to)) = self.steps.get_mut(jump) {
                *to = here;
            }
        }
    }

    /// What follows a `[`, up to its `]`.
    fn class(&mut self) -> Result<Take, BadPattern> {
        let negated = matches!(self.chars.get(self.position), Some('^' | '!'));
        if negated {
            self.position += 1;
        }
        let mut ranges = Vec::new();
        loop {
            let first = self.next().ok_or_else(|| self.bad("Unclosed character class"))?;
            let from = match first {
                // An empty class matches nothing that anybody means, so a bracket in first place stands for itself.
                ']' if !ranges.is_empty() => break,
                '\\' => self.next().ok_or_else(|| self.bad("Missing escaped character"))?,
                plain => plain,
            };
            ranges.push((from, self.range_end(from)?));
        }
        Ok(Take::Class { ranges, negated })
    }

    /// The upper end of a range that starts with `from`; `from` itself if there is no range.
    fn range_end(&mut self, from: char) -> Result<char, BadPattern> {
        let is_range = self.chars.get(self.position) == Some(&'-')
            && self.chars.get(self.position + 1).is_some_and(|end| *end != ']');
        if !is_range {
            return Ok(from);
        }
        self.position += 1;
        let end = match self.next() {
            Some('\\') => self.next(),
            other => other,
        };
        let to = end.ok_or_else(|| self.bad("Unclosed character class"))?;
        if to < from { Err(self.bad("Invalid character class range")) } else { Ok(to) }
    }
}
