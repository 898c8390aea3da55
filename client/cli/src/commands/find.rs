//! `find`: paths below others whose names match.

use super::Outcome;
use crate::args::Format;
use crate::fault::Fault;
use crate::glob::Pattern;
use crate::paths::Item;
use crate::session::Session;

/// One part of the expression; all must hold, from left to right.
#[derive(Debug)]
enum Term {
    Name {
        pattern: Pattern,
        any_case: bool,
    },
    /// Writes the path and this.
    Print(char),
}

/// `-find`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    // Following links is accepted: there are none yet.
    let mut parsed = Format::at_least(1, &["L", "H"]).lenient().parse(args)?;
    let start = parsed.operands.iter().position(|arg| arg.starts_with('-')).unwrap_or(parsed.operands.len());
    let expression = parse(parsed.operands.split_off(start))?;
    if parsed.operands.is_empty() {
        parsed.operands.push(".".to_owned());
    }
    session.each(&parsed.operands, |session, item| {
        session.descend(&item, &mut |session, item| visit(session, item, &expression))
    })
}

fn parse(words: Vec<String>) -> Result<Vec<Term>, Fault> {
    let mut terms = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-name" | "-iname" => {
                let text = words.next().ok_or_else(|| Fault::Other(format!("{word}: a pattern is missing")))?;
                let any_case = word == "-iname";
                let text = if any_case { text.to_lowercase() } else { text };
                terms.push(Term::Name { pattern: Pattern::compile(&text)?, any_case });
            }
            "-print" => terms.push(Term::Print('\n')),
            "-print0" => terms.push(Term::Print('\0')),
            "-a" | "-and" => {}
            _ => return Err(Fault::Other(format!("Unexpected argument: {word}"))),
        }
    }
    if !terms.iter().any(|term| matches!(term, Term::Print(_))) {
        terms.push(Term::Print('\n'));
    }
    Ok(terms)
}

fn visit(session: &mut Session<'_>, item: &Item, expression: &[Term]) -> Outcome {
    for term in expression {
        match term {
            Term::Name { pattern, any_case } => {
                let matches =
                    if *any_case { pattern.matches(&item.name().to_lowercase()) } else { pattern.matches(item.name()) };
                if !matches {
                    break;
                }
            }
            Term::Print(end) => session.print(format_args!("{}{end}", item.shown))?,
        }
    }
    Ok(())
}
