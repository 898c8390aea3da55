//! What can be run as a job program: an executable of this machine's kind that says which jobs it has.

use crate::fault::Fault;
use mammoth_protocol::jobs::link::{Description, ROLE_VARIABLE, Role};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

/// Offsets in the header of an ELF file (System V ABI, chapter 4): class, byte order, kind, machine.
const CLASS: usize = 4;
const ORDER: usize = 5;
const KIND: usize = 16;
const MACHINE: usize = 18;
const HEADER: usize = 20;
/// Kinds of ELF files that can be run.
const EXECUTABLE: u16 = 2;
const POSITION_INDEPENDENT: u16 = 3;
/// What every job program is.
const WANTED: &str = "a job program is a Rust binary that uses the mapreduce or rdd crate";
/// How long a program may take to say what it can do. It does nothing else, so this is for a slow disk.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 1 << 20;
/// Version of the answer that is understood.
const CONTRACT: u32 = 1;

/// Refuses what the system could not run, before anything is started or stored.
pub(super) fn check(path: &Path) -> Result<(), Fault> {
    let refuse = |why: String| Fault::Other(format!("{}: {why}", path.display()));
    let file = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (meta, mut file) = file.map_err(|error| refuse(plain(&error)))?;
    if !meta.is_file() {
        return Err(refuse("not a program: it is no regular file".to_owned()));
    }
    let mut head = [0; HEADER];
    let is_whole = file.read_exact(&mut head).is_ok();
    if head.starts_with(b"#!") {
        return Err(refuse(format!("a script, not a program; {WANTED}")));
    }
    if !is_whole || !head.starts_with(b"\x7fELF") {
        return Err(refuse(format!("not a program: no ELF file; {WANTED}")));
    }
    let own = own_header();
    let is_ours = own.is_none_or(|own| {
        (own[CLASS], own[ORDER], word(&own, MACHINE)) == (head[CLASS], head[ORDER], word(&head, MACHINE))
    });
    if !is_ours {
        let (machine, here) = (machine(word(&head, MACHINE)), std::env::consts::ARCH);
        return Err(refuse(format!("a program for another architecture: {machine}, and this machine is {here}")));
    }
    if ![EXECUTABLE, POSITION_INDEPENDENT].contains(&word(&head, KIND)) {
        return Err(refuse("not a program: an ELF file of another kind, such as an object file".to_owned()));
    }
    use std::os::unix::fs::PermissionsExt;
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(refuse("not executable; set its permission with `chmod +x`".to_owned()));
    }
    Ok(())
}

/// The header of this very program: what it is, others must be.
fn own_header() -> Option<[u8; HEADER]> {
    let mut head = [0; HEADER];
    File::open("/proc/self/exe").and_then(|mut file| file.read_exact(&mut head)).ok()?;
    Some(head)
}

/// A number of two bytes in a header's own byte order.
fn word(head: &[u8; HEADER], at: usize) -> u16 {
    let bytes = [head[at], head[at + 1]];
    if head[ORDER] == 2 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
}

fn machine(number: u16) -> String {
    match number {
        3 => "x86".to_owned(),
        21 => "powerpc64".to_owned(),
        22 => "s390x".to_owned(),
        40 => "arm".to_owned(),
        62 => "x86_64".to_owned(),
        183 => "aarch64".to_owned(),
        243 => "riscv".to_owned(),
        other => format!("ELF machine {other}"),
    }
}

/// Refuses a program that is none of jobs: asked in that role, it does not say which it has.
pub(super) fn ask(path: &Path) -> Result<(), Fault> {
    let refuse = |why: String| Fault::Other(format!("{}: {why}", path.display()));
    let mut command = Command::new(path);
    command.env(ROLE_VARIABLE, Role::Describe.name()).stdin(Stdio::null());
    let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| refuse(format!("cannot be run: {}", plain(&error))))?;
    let (tell, told) = mpsc::sync_channel(1);
    let (complain, complained) = mpsc::sync_channel(1);
    let read = read_all(child.stdout.take(), tell).and(read_all(child.stderr.take(), complain));
    let answer = read.map(|()| told.recv_timeout(ANSWER_LIMIT).ok());
    // It has ended, or has had its time, or says more than any program of jobs.
    let _ended_already = child.kill();
    let _status_is_no_matter = child.wait();
    let answer = answer.map_err(|error| Fault::Other(error.to_string()))?;
    let Some(answer) = answer else {
        let limit = ANSWER_LIMIT.as_secs();
        return Err(refuse(format!("not a job program: it did not say within {limit} s which jobs it has; {WANTED}")));
    };
    match serde_json::from_slice::<Description>(&answer) {
        Ok(description) if description.contract == CONTRACT => Ok(()),
        Ok(Description { contract, .. }) => Err(refuse(format!(
            "built for another version of Mammoth: it speaks contract {contract}, and {CONTRACT} is known; build it again"
        ))),
        Err(_) => {
            let said = complained.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
            let said = String::from_utf8_lossy(&said);
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing").trim();
            Err(refuse(format!("not a job program: asked which jobs it has, it said: {last}; {WANTED}")))
        }
    }
}

/// Reads a pipe to its end, or to the most that is wanted, on a thread.
fn read_all(pipe: Option<impl Read + Send + 'static>, tell: SyncSender<Vec<u8>>) -> std::io::Result<()> {
    let Some(pipe) = pipe else { return Ok(()) };
    let read = move || {
        let mut bytes = Vec::new();
        // What cannot be read is no answer.
        let _cut = pipe.take(ANSWER_MAX).read_to_end(&mut bytes);
        let _nobody_waits = tell.send(bytes);
    };
    std::thread::Builder::new().name("describe".to_owned()).spawn(read).map(drop)
}

fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
