//! `mapred run`: checks the program and becomes it, in the role of a driver. Everything that takes user code happens there.

use super::{Place, program};
use crate::fault::Fault;
use mammoth_protocol::jobs::link::{ROLE_VARIABLE, Role};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Never returns if all is well.
pub(super) fn run(mut place: Place, args: &mut Vec<String>, examples: &Path) -> Result<u8, Fault> {
    let mode = options(&mut place, args)?;
    let Some(first) = args.first() else {
        return Err(Fault::Usage("run: which job? Name a program and a job of it, or a built-in example".to_owned()));
    };
    // A job's name has no slash, so that `./wordcount` and `wordcount` are different things.
    let given = first.contains('/');
    let program = if given { PathBuf::from(args.remove(0)) } else { examples.to_owned() };
    program::check(&program)?;
    place.settings.validate()?;
    if given {
        program::ask(&program)?;
    }
    let mut command = Command::new(&program);
    command.args(&*args).env(ROLE_VARIABLE, Role::Driver.name()).env("MAMMOTH_MODE", mode);
    let pairs = serde_json::to_string(&place.pairs).map_err(|error| Fault::Other(error.to_string()))?;
    command.env("MAMMOTH_SETTINGS", pairs);
    if let Some(fs) = &place.fs {
        command.env("MAMMOTH_FS", fs);
    }
    if let Some(jobtracker) = &place.jobtracker {
        command.env("MAMMOTH_JOBTRACKER", jobtracker);
    }
    if let Some(dir) = &place.conf_dir {
        command.env("HADOOP_CONF_DIR", dir);
    }
    let error = command.exec();
    Err(Fault::Other(format!("{}: cannot be run: {error}", program.display())))
}

/// Options between `run` and the program.
fn options(place: &mut Place, args: &mut Vec<String>) -> Result<&'static str, Fault> {
    let mut mode = "disk";
    while let Some(option) = args.first().cloned() {
        if let Some(pair) = option.strip_prefix("-D").filter(|pair| !pair.is_empty()) {
            place.settings.add_pair(pair)?;
            place.pairs.push(pair.to_owned());
            args.remove(0);
            continue;
        }
        if !matches!(option.as_str(), "--mode" | "-mode" | "-D") {
            break;
        }
        let missing = || Fault::Usage(format!("run: {option}: a value is missing"));
        let value = args.get(1).cloned().ok_or_else(missing)?;
        args.drain(..2);
        match (option.as_str(), value.as_str()) {
            ("-D", pair) => {
                place.settings.add_pair(pair)?;
                place.pairs.push(value);
            }
            (_, "disk") => mode = "disk",
            (_, "memory") => mode = "memory",
            (_, other) => return Err(Fault::Usage(format!("run: --mode {other}: expected disk or memory"))),
        }
    }
    if let Some(option) = args.first().filter(|first| first.starts_with('-')) {
        return Err(Fault::Usage(format!("run: {option}: Unknown option")));
    }
    Ok(mode)
}
