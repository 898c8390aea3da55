//! `checksum`: checksums of whole files, as the file system itself has them.

use super::Outcome;
use crate::args::Format;
use crate::session::Session;

/// `-checksum`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::at_least(1, &["v"]).parse(args)?;
    let verbose = parsed.has("v");
    session.each(&parsed.operands, |session, item| {
        let block_size = item.file()?.block_size;
        match item.fs.checksum(&item.path)? {
            None => session.line(format_args!("{}\tNONE\t", item.shown)),
            Some(checksum) => {
                let size = if verbose { format!("\tBlockSize={block_size}") } else { String::new() };
                session.line(format_args!("{}\t{}\t{checksum}{size}", item.shown, checksum.algorithm))
            }
        }
    })
}
