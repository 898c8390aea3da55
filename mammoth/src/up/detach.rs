//! `mammoth up --detach`: the same command again without a terminal, and a wait for its `ready`.

use crate::args::Up;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Starts the cluster in a process that stays, shown as `mammoth up …`, and returns when it is ready.
///
/// # Errors
/// What that process said before it ended.
pub(super) fn detach(args: &Up) -> Result<(), String> {
    std::fs::create_dir_all(args.dir.join("logs")).map_err(|e| format!("{}: {e}", args.dir.display()))?;
    let errors_path = args.dir.join("logs").join("up.err");
    let errors = std::fs::File::create(&errors_path).map_err(|e| format!("{}: {e}", errors_path.display()))?;
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut child = Command::new(&program)
        .args(std::env::args_os().skip(1).filter(|arg| arg != "--detach"))
        .env("MAMMOTH_DETACHED", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    let mut ready = false;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = writeln!(std::io::stdout(), "{line}");
            if line == "ready" {
                ready = true;
                break;
            }
        }
    }
    if ready {
        return Ok(());
    }
    let _ = child.wait();
    let said = std::fs::read_to_string(&errors_path).unwrap_or_default();
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it ended without a word");
    Err(last.trim_start_matches("mammoth: ").to_owned())
}
