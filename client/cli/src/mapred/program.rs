//! What can be run as a job program: an executable of this machine's kind.

use crate::fault::Fault;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Offsets in the header of an ELF file (System V ABI, chapter 4): class, byte order, machine.
const CLASS: usize = 4;
const MACHINE: usize = 18;
const HEADER: usize = 20;

/// Refuses what the system could not run, before anything is started or stored.
pub(super) fn check(path: &Path) -> Result<(), Fault> {
    let shown = path.display();
    let file = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    let (meta, mut file) = file.map_err(|error| Fault::Other(format!("{shown}: {}", plain(&error))))?;
    if !meta.is_file() {
        return Err(Fault::Other(format!("{shown}: not a program: it is no regular file")));
    }
    let mut head = [0; HEADER];
    let ours = own_header();
    if file.read_exact(&mut head).is_err() || !head.starts_with(b"\x7fELF") {
        return Err(Fault::Other(format!(
            "{shown}: not a program: no ELF file; a job program is a Rust binary that uses the mapreduce or rdd crate"
        )));
    }
    let same = |at: usize| ours.is_none_or(|ours| ours.get(at) == head.get(at));
    if ![CLASS, CLASS + 1, MACHINE, MACHINE + 1].into_iter().all(same) {
        let number = u16::from_le_bytes([head[MACHINE], head[MACHINE + 1]]);
        return Err(Fault::Other(format!(
            "{shown}: a program for another architecture (ELF machine {number}); this machine is {}",
            std::env::consts::ARCH
        )));
    }
    use std::os::unix::fs::PermissionsExt;
    if meta.permissions().mode() & 0o111 == 0 {
        return Err(Fault::Other(format!("{shown}: not executable; set its permission with `chmod +x`")));
    }
    Ok(())
}

/// The header of this very program: what it is, others must be.
fn own_header() -> Option<[u8; HEADER]> {
    let mut head = [0; HEADER];
    File::open("/proc/self/exe").and_then(|mut file| file.read_exact(&mut head)).ok()?;
    Some(head)
}

fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
