//! `ls`: folders and files, one line each.

use super::{Outcome, size};
use crate::args::{Format, Parsed};
use crate::fault::Fault;
use crate::format::{Dates, left, permission, printable, right};
use crate::json;
use crate::paths::Item;
use crate::session::Session;
use std::cmp::{Ordering, Reverse};

/// Entries whose columns are aligned with each other when a tree is listed.
const GROUP: usize = 100;

struct Ls {
    parsed: Parsed,
    json: bool,
    recursive: bool,
    dates: Dates,
    widths: Widths,
}

/// Widths of the columns; they only grow.
struct Widths {
    replication: usize,
    owner: usize,
    group: usize,
    length: usize,
}

/// `-lsr`.
pub(crate) fn lsr(session: &mut Session<'_>, mut args: Vec<String>) -> Outcome {
    args.insert(0, "-R".to_owned());
    ls(session, args)
}

/// `-ls`.
pub(crate) fn ls(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let flags = &["C", "d", "h", "q", "R", "r", "t", "S", "u", "e", "-json"];
    let mut parsed = Format::at_least(0, flags).parse(args)?;
    if parsed.has("e") {
        return Err(Fault::Other("erasure coding policies are not implemented yet".to_owned()));
    }
    if parsed.operands.is_empty() {
        parsed.operands.push(".".to_owned());
    }
    let operands = std::mem::take(&mut parsed.operands);
    let mut ls = Ls {
        json: parsed.has("-json"),
        recursive: parsed.has("R") && !parsed.has("d"),
        parsed,
        dates: Dates::local(),
        widths: Widths { replication: 3, owner: 0, group: 0, length: 10 },
    };
    session.each(&operands, |session, item| {
        if item.is_folder() && !ls.parsed.has("d") {
            ls.folder(session, &item)
        } else {
            ls.lines(session, std::slice::from_ref(&item))
        }
    })
}

impl Ls {
    fn folder(&mut self, session: &mut Session<'_>, folder: &Item) -> Outcome {
        let mut items = folder.children()?;
        let sorted = self.sort(&mut items);
        if !self.recursive {
            if !items.is_empty() && !self.json && !self.parsed.has("C") {
                session.line(format_args!("Found {} items", items.len()))?;
            }
            return self.lines(session, &items);
        }
        let group = if sorted { items.len().max(1) } else { GROUP };
        for group in items.chunks(group) {
            self.lines(session, group)?;
        }
        Ok(())
    }

    /// Puts the entries, which come by name, into the order that was asked for; tells whether one was.
    fn sort(&self, items: &mut [Item]) -> bool {
        let time = |item: &Item| item.status.as_ref().map_or(0, |status| self.time_of(status));
        let length = |item: &Item| item.status.as_ref().map_or(0, |status| status.len);
        let reverse = self.parsed.has("r");
        let by = |order: Ordering| if reverse { order.reverse() } else { order };
        if self.parsed.has("t") {
            items.sort_by(|a, b| by(Reverse(time(a)).cmp(&Reverse(time(b)))));
        } else if self.parsed.has("S") {
            items.sort_by(|a, b| by(Reverse(length(a)).cmp(&Reverse(length(b)))));
        } else if reverse {
            items.reverse();
        } else {
            return false;
        }
        true
    }

    fn time_of(&self, status: &crate::fs::Status) -> u64 {
        if self.parsed.has("u") { status.accessed_ms } else { status.modified_ms }
    }

    /// Writes a group of entries, each followed by what is below it if trees are listed.
    fn lines(&mut self, session: &mut Session<'_>, items: &[Item]) -> Outcome {
        for item in items {
            self.widths.fit(item);
        }
        for item in items {
            let result = self
                .line(session, item)
                .and_then(|()| if self.recursive && item.is_folder() { self.folder(session, item) } else { Ok(()) });
            session.absorb(result)?;
        }
        Ok(())
    }

    fn line(&self, session: &mut Session<'_>, item: &Item) -> Outcome {
        let status = item.found()?;
        if self.json {
            return session.json(&json::Path::new(item, status));
        }
        if self.parsed.has("C") {
            return session.line(&item.shown);
        }
        let replication = if status.is_folder() { "-".to_owned() } else { status.replication.to_string() };
        let optional = |text: &str, width: usize| if width == 0 { String::new() } else { left(text, width) + " " };
        let path = if self.parsed.has("q") { printable(&item.shown) } else { item.shown.clone() };
        session.line(format_args!(
            "{}{}{}{} {}{}{} {} {path}",
            if status.is_folder() { 'd' } else { '-' },
            permission(status.permission),
            if status.has_acl { '+' } else { ' ' },
            right(&replication, self.widths.replication),
            optional(&status.owner, self.widths.owner),
            optional(&status.group, self.widths.group),
            right(&size(status.len, self.parsed.has("h")), self.widths.length),
            self.dates.minute(self.time_of(status)),
        ))
    }
}

impl Widths {
    fn fit(&mut self, item: &Item) {
        let Some(status) = &item.status else { return };
        let fit = |width: &mut usize, text: &str| *width = (*width).max(text.chars().count());
        fit(&mut self.replication, &status.replication.to_string());
        fit(&mut self.owner, &status.owner);
        fit(&mut self.group, &status.group);
        fit(&mut self.length, &status.len.to_string());
    }
}
