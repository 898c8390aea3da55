//! `cat` and `text`: files on standard output.

use super::Outcome;
use super::transfer::{print, print_all};
use crate::args::Format;
use crate::fault::Fault;
use crate::paths::Item;
use crate::session::Session;
use std::io::Read;

/// `-cat`.
pub(crate) fn cat(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::at_least(1, &["ignoreCrc"]).parse(args)?;
    let verify = !parsed.has("ignoreCrc");
    session.each(&parsed.operands, |session, item| print(session, &item, verify))
}

/// `-text`.
pub(crate) fn text(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::at_least(1, &["ignoreCrc"]).parse(args)?;
    let verify = !parsed.has("ignoreCrc");
    session.each(&parsed.operands, |session, item| print_text(session, &item, verify))
}

fn print_text(session: &mut Session<'_>, item: &Item, verify: bool) -> Outcome {
    item.file()?;
    let mut input = item.fs.open(&item.path, 0, verify)?;
    let mut start = Vec::new();
    (&mut *input).take(4).read_to_end(&mut start).map_err(|e| Fault::stream(&item.shown, e))?;
    if let Some(format) = encoding(&start, item.name()) {
        return Err(Fault::Other(format!("`{}': decoding {format} is not implemented yet", item.shown)));
    }
    print_all(session, item, &mut start.as_slice().chain(input))
}

/// The encoding that Hadoop's `-text` would decode, by the first bytes or the name.
fn encoding(start: &[u8], name: &str) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 3] = [(b"\x1f\x8b", "gzip"), (b"SEQ", "sequence files"), (b"Obj", "Avro")];
    const SUFFIXES: [(&str, &str); 6] = [
        (".gz", "gzip"),
        (".bz2", "bzip2"),
        (".lz4", "lz4"),
        (".snappy", "snappy"),
        (".zst", "zstd"),
        (".deflate", "deflate"),
    ];
    let magic = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, format)| *format);
    // Of nothing there is nothing to decode.
    let suffix = || SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, format)| *format);
    magic.or_else(|| if start.len() < 2 { None } else { suffix() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_by_their_first_bytes_or_names() {
        assert_eq!(encoding(b"\x1f\x8b\x08\x00", "a"), Some("gzip"));
        assert_eq!(encoding(b"SEQ\x06", "a"), Some("sequence files"));
        assert_eq!(encoding(b"text", "a.bz2"), Some("bzip2"));
        assert_eq!(encoding(b"", "a.gz"), None);
        assert_eq!(encoding(b"text", "a.txt"), None);
    }
}
