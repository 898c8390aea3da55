//! How commands are called, and what they do.

use crate::table::{COMMANDS, Command};
use std::io::{self, Write};

const PREFIX: &str = "Usage: dfs [generic options]";
const WIDTH: usize = 80;

/// One line: how to call a command.
pub(crate) fn usage(command: &Command) -> String {
    format!("{PREFIX} {}", call(command))
}

fn call(command: &Command) -> String {
    let space = if command.usage.is_empty() { "" } else { " " };
    format!("-{}{space}{}", command.name, command.usage)
}

fn current() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(|command| command.deprecated.is_none())
}

/// How to call each command, and the options that all have.
///
/// # Errors
/// The stream fails.
pub(crate) fn all_usages(out: &mut dyn Write) -> io::Result<()> {
    list(out)?;
    generic(out)
}

/// The same, with what each command does.
///
/// # Errors
/// The stream fails.
pub(crate) fn all_helps(out: &mut dyn Write) -> io::Result<()> {
    list(out)?;
    for command in current() {
        writeln!(out)?;
        help(out, command)?;
    }
    generic(out)
}

fn list(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{PREFIX}")?;
    current().try_for_each(|command| writeln!(out, "\t[{}]", call(command)))
}

/// What one command does.
///
/// # Errors
/// The stream fails.
pub(crate) fn help(out: &mut dyn Write, command: &Command) -> io::Result<()> {
    writeln!(out, "{} :", call(command))?;
    match command.deprecated {
        Some(instead) => writeln!(out, "  (DEPRECATED) Same as '{instead}'"),
        None => wrap(command.help).iter().try_for_each(|line| writeln!(out, "  {line}")),
    }
}

/// Lines of at most [`WIDTH`] characters, cut at spaces.
fn wrap(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

fn generic(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\nGeneric options, before the command:\n\
         -fs <hdfs://namenode:port|file:///>  the file system (else: MAMMOTH_FS, or fs.defaultFS of the configuration)\n\
         -D <property=value>                  one setting\n\
         -conf <file>                         a file of settings\n\
         --conf <folder>                      a folder of settings (else: HADOOP_CONF_DIR)\n\n\
         dfs [generic options] command [command options]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_at_spaces() {
        let text = format!("{} {}", "word ".repeat(20).trim_end(), "x".repeat(100));
        let lines = wrap(&text);
        assert_eq!(lines.join(" "), text);
        assert!(lines[..lines.len() - 1].iter().all(|line| line.len() <= WIDTH), "{lines:?}");
    }
}
