//! `chown` and `chgrp`: owner and group.

use super::Outcome;
use crate::args::Format;
use crate::fault::Fault;
use crate::paths::Item;
use crate::session::Session;

/// `-chown`.
pub(crate) fn chown(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    run(session, args, |text| {
        let unmatched = || Fault::Usage(format!("'{text}' does not match expected pattern for [owner][:group]."));
        let (owner, group) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        if !is_name(owner) || !is_name(group) {
            return Err(unmatched());
        }
        let given = |name: &str| if name.is_empty() { None } else { Some(name.to_owned()) };
        let wanted = Wanted { owner: given(owner), group: given(group) };
        if wanted.owner.is_none() && wanted.group.is_none() {
            return Err(Fault::Usage(format!("'{text}' does not specify owner or group.")));
        }
        Ok(wanted)
    })
}

/// `-chgrp`.
pub(crate) fn chgrp(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    run(session, args, |text| {
        let group = text.trim();
        if group.is_empty() || !is_name(group) {
            return Err(Fault::Usage(format!("'{text}' does not match expected pattern for group")));
        }
        Ok(Wanted { owner: None, group: Some(group.to_owned()) })
    })
}

/// What to set.
struct Wanted {
    owner: Option<String>,
    group: Option<String>,
}

/// Whether a text has only the characters of names.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-+_./@".contains(c))
}

fn run(session: &mut Session<'_>, args: Vec<String>, parse: impl FnOnce(&str) -> Result<Wanted, Fault>) -> Outcome {
    let mut parsed = Format::at_least(2, &["R"]).parse(args)?;
    let wanted = parse(&parsed.operands.remove(0))?;
    let recursive = parsed.has("R");
    session.each(&parsed.operands, |session, item| {
        let mut work = |_: &mut Session<'_>, item: &Item| change(item, &wanted);
        if recursive { session.descend(&item, &mut work) } else { work(session, &item) }
    })
}

fn change(item: &Item, wanted: &Wanted) -> Outcome {
    let status = item.found()?;
    let owner = wanted.owner.as_deref().filter(|owner| *owner != status.owner);
    let group = wanted.group.as_deref().filter(|group| *group != status.group);
    if owner.is_none() && group.is_none() {
        return Ok(());
    }
    item.fs.set_owner(&item.path, owner, group).map_err(|fault| match fault {
        fault if fault.is_final() => fault,
        fault => Fault::Other(format!("changing ownership of '{}': {}", item.shown, fault.line())),
    })
}
