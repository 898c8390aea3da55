//! `put`, `get`, `cp` and their kin: which sources, which target, which options; the copying is [`crate::copy`]'s.

use super::{Outcome, destination};
use crate::args::{Format, Parsed, number};
use crate::copy::{Depth, Engine, Options, Preserve, copy_all, place_for, pump};
use crate::fault::{Fault, PathIssue};
use crate::paths::Item;
use crate::session::Session;

/// Standard input or output.
const STREAM: &str = "-";
/// Most threads that one command starts.
const THREADS_MAX: usize = 64;
/// Most files that wait for a thread.
const QUEUE_MAX: usize = 65536;

/// `-put` and `-copyFromLocal`.
pub(crate) fn put(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    upload(session, args, false)
}

/// `-moveFromLocal`.
pub(crate) fn move_from_local(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    if args.iter().any(|arg| arg == "-t") {
        return Err(Fault::Usage("Illegal option -t".to_owned()));
    }
    upload(session, args, true)
}

fn upload(session: &mut Session<'_>, args: Vec<String>, moves: bool) -> Outcome {
    let mut parsed = Format::at_least(1, &["f", "p", "l", "d"]).values(&["t", "q"]).parse(args)?;
    let options = Options {
        direct: parsed.has("d"),
        lazy: parsed.has("l"),
        preserve: if parsed.has("p") { Preserve::ALL } else { Preserve::default() },
        moves,
        ..common(&parsed)?
    };
    let target = take_target(&mut parsed);
    let target = destination(session, target)?;
    if parsed.operands == [STREAM] {
        return put_input(session, &target, options);
    }
    let mut sources = Vec::new();
    for arg in &parsed.operands {
        let result = session.local(arg).map(|item| sources.push(item));
        session.absorb(result)?;
    }
    copy_all(session, sources, &target, options)
}

fn put_input(session: &mut Session<'_>, target: &Item, options: Options) -> Outcome {
    let source = session.local(STREAM)?;
    let place = place_for(&source, target, Depth::Top, true)?;
    session.watch_signals()?;
    let engine = Engine::new(options, session.draws, session.stop().clone());
    engine.copy_input(STREAM, &mut *session.copy_input()?, &place)
}

/// `-get` and `-copyToLocal`.
pub(crate) fn get(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let mut parsed = Format::at_least(1, &["crc", "ignoreCrc", "p", "f"]).values(&["t", "q"]).parse(args)?;
    let options = Options {
        verify: !parsed.has("ignoreCrc"),
        checksum_file: parsed.has("crc"),
        preserve: if parsed.has("p") { Preserve::ALL } else { Preserve::default() },
        ..common(&parsed)?
    };
    let target = take_target(&mut parsed).unwrap_or_else(|| ".".to_owned());
    if target == STREAM {
        return session.each(&parsed.operands, |session, item| print(session, &item, options.verify));
    }
    let target = session.local(&target)?;
    let sources = session.expand_all(&parsed.operands)?;
    copy_all(session, sources, &target, options)
}

/// Writes a file to standard output.
pub(super) fn print(session: &mut Session<'_>, item: &Item, verify: bool) -> Outcome {
    item.file()?;
    let mut input = item.fs.open(&item.path, 0, verify)?;
    print_all(session, item, &mut *input)
}

/// Writes what is left of an open file to standard output.
pub(super) fn print_all(session: &mut Session<'_>, item: &Item, input: &mut dyn std::io::Read) -> Outcome {
    let mut output = ToOutput { session, fault: None };
    let result = pump(&item.shown, input, "", &mut output, |_| Ok(()));
    match output.fault {
        Some(error) => Err(Fault::output(error)),
        None => result,
    }
}

/// Standard output, remembering that it was the side that failed.
struct ToOutput<'a, 'io> {
    session: &'a mut Session<'io>,
    fault: Option<std::io::Error>,
}

impl std::io::Write for ToOutput<'_, '_> {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.session.out().write(data).inspect_err(|e| self.fault = Some(e.kind().into()))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.session.out().flush()
    }
}

/// `-cp`.
pub(crate) fn cp(session: &mut Session<'_>, mut args: Vec<String>) -> Outcome {
    let preserve = take_preserve(&mut args)?;
    let mut parsed = Format::at_least(2, &["f", "d"]).values(&["t", "q"]).parse(args)?;
    let options = Options { direct: parsed.has("d"), preserve, ..common(&parsed)? };
    let target = take_target(&mut parsed);
    let target = destination(session, target)?;
    let sources = session.expand_all(&parsed.operands)?;
    copy_all(session, sources, &target, options)
}

/// Takes `-p` or `-p` with letters out of the arguments, wherever it stands before a `--`.
fn take_preserve(args: &mut Vec<String>) -> Result<Preserve, Fault> {
    let options = args.iter().take_while(|arg| *arg != "--");
    let Some(index) = options.into_iter().position(|arg| arg.starts_with("-p")) else {
        return Ok(Preserve::default());
    };
    let option = args.remove(index);
    let letters = option.strip_prefix("-p").unwrap_or_default();
    if letters.is_empty() {
        return Ok(Preserve::ALL);
    }
    let mut preserve = Preserve::default();
    for letter in letters.chars() {
        match letter.to_ascii_lowercase() {
            't' => preserve.times = true,
            'o' => preserve.owner = true,
            'p' => preserve.permission = true,
            'a' | 'x' => {
                return Err(Fault::Other(format!(
                    "preserving {letter} (ACLs, extended attributes) is not implemented yet"
                )));
            }
            other => return Err(Fault::Usage(format!("No attribute for {other}"))),
        }
    }
    Ok(preserve)
}

/// The options that all copies share.
fn common(parsed: &Parsed) -> Result<Options, Fault> {
    let count = |name: &str, default: usize, max: usize| -> Result<usize, Fault> {
        let given = parsed.value(name).map(number).transpose()?;
        Ok(given.map_or(default, |n| usize::try_from(n).unwrap_or(0).clamp(1, max)))
    };
    let defaults = Options::default();
    Ok(Options {
        overwrite: parsed.has("f"),
        threads: count("t", defaults.threads, THREADS_MAX)?,
        queue: count("q", defaults.queue, QUEUE_MAX)?,
        ..defaults
    })
}

/// The last operand, if there is one besides the source.
fn take_target(parsed: &mut Parsed) -> Option<String> {
    if parsed.operands.len() < 2 { None } else { parsed.operands.pop() }
}

/// Refuses a local target that is a folder.
pub(super) fn no_folder(item: &Item) -> Outcome {
    if item.is_folder() { Err(item.fault(PathIssue::IsDirectory)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cp_keeps() {
        let take = |words: &[&str]| {
            let mut args: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            take_preserve(&mut args).map(|preserve| (preserve, args.join(" "))).map_err(|e| e.to_string())
        };
        let times = Preserve { times: true, ..Preserve::default() };
        assert_eq!(take(&["a", "b"]), Ok((Preserve::default(), "a b".to_owned())));
        assert_eq!(take(&["-f", "-p", "a", "b"]), Ok((Preserve::ALL, "-f a b".to_owned())));
        assert_eq!(take(&["-pt", "a", "b"]), Ok((times, "a b".to_owned())));
        assert_eq!(take(&["--", "-p", "b"]), Ok((Preserve::default(), "-- -p b".to_owned())));
        assert_eq!(take(&["-pz"]), Err("No attribute for z".to_owned()));
        assert!(take(&["-pa"]).unwrap_err().contains("not implemented"));
    }
}
