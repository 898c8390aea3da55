//! Bytes that outlive the program that wrote them: a version, then postcard. Rows of checkpoints and records of edit logs are
//! such bytes.

use crate::journaled::CorruptRow;
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// Appends a version and a value to `out`.
pub fn write<T: Serialize + ?Sized>(version: u8, value: &T, out: &mut Vec<u8>) {
    out.push(version);
    let bytes = postcard::to_extend(value, std::mem::take(out)).expect("plain data in memory always encodes");
    *out = bytes;
}

/// Reads what [`write`] wrote; the value takes all of `bytes`. `what` names it in the error.
///
/// # Errors
/// Another version, or bytes that are no such value.
pub fn read<'a, T: Deserialize<'a>>(version: u8, bytes: &'a [u8], what: impl Display) -> Result<T, CorruptRow> {
    let corrupt = |reason: &dyn Display| CorruptRow { what: format!("{what}: {reason}") };
    match bytes.split_first() {
        Some((found, body)) if *found == version => match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(value),
            Ok(_) => Err(corrupt(&postcard::Error::DeserializeBadEncoding)),
            Err(error) => Err(corrupt(&error)),
        },
        Some((newer, _)) => Err(corrupt(&format_args!("version {newer} is newer than this program"))),
        None => Err(corrupt(&"it is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_nothing_else_is_taken() {
        let mut bytes = vec![9];
        write(1, &(7_u32, "seven"), &mut bytes);
        let refused = |version, bytes: &[u8]| read::<(u32, &str)>(version, bytes, "the row").unwrap_err().what;
        let value = &bytes[1..];
        assert_eq!(read(1, value, "the row"), Ok((7_u32, "seven")));
        assert_eq!(refused(1, &[]), "the row: it is empty");
        assert_eq!(refused(2, value), "the row: version 1 is newer than this program");
        assert!(refused(1, &value[..value.len() - 1]).starts_with("the row: "));
        let longer = [value, &[0]].concat();
        assert!(refused(1, &longer).starts_with("the row: "));
    }
}
