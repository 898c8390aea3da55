//! `test`: questions that the exit status answers.

use super::Outcome;
use crate::args::Format;
use crate::fault::Fault;
use crate::fs::Access;
use crate::session::Session;

/// Status of the answer no.
const NO: u8 = 1;

/// `-test`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::new(1, 1, &["e", "d", "f", "s", "z", "w", "r"]).parse(args)?;
    let mut flags = parsed.flags();
    let flag = match (flags.next(), flags.next()) {
        (None, _) => return Err(Fault::Usage("No test flag given".to_owned())),
        (Some(flag), None) => flag,
        (Some(_), Some(_)) => return Err(Fault::Usage("Only one test flag is allowed".to_owned())),
    };
    session.each_item(&parsed.operands, |session, item| {
        let answer = match (&item.status, flag) {
            (None, _) => false,
            (Some(status), "d") => status.is_folder(),
            (Some(status), "f") => status.is_file(),
            (Some(status), "s") => status.len > 0,
            (Some(status), "z") => status.len == 0,
            (Some(_), "w") => item.fs.may(&item.path, Access::Write)?,
            (Some(_), "r") => item.fs.may(&item.path, Access::Read)?,
            (Some(_), _) => true,
        };
        if !answer {
            session.set_status(NO);
        }
        Ok(())
    })
}
