//! The primitive operations that a put and a get cannot do without, in CPU seconds, done by this process alone and on as many
//! bytes as the measured file has. They are measured beside each put and get, as a shared machine changes by the minute.

use crate::meter::{Cpu, cpu_of_self, median, warm};
use mammoth_platform::IoBuffer;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

/// Bytes of one write to a socket, one read, one packet.
const STEP: usize = 256 * 1024;
/// Bytes of one write to a file: Linux takes small page-cache pages for it, which are the cheaper ones on virtual machines.
const WRITE: usize = 32 * 1024;
/// Bytes that one checksum covers.
const CHUNK: usize = 512;

/// CPU seconds of each primitive on one file's worth of bytes, one value a run.
#[derive(Default)]
pub(crate) struct Primitives {
    write: Vec<f64>,
    read: Vec<f64>,
    hop: Vec<f64>,
    crc: Vec<f64>,
}

/// Sums of primitives, CPU seconds per GiB.
pub(crate) struct Sums {
    pub(crate) put: f64,
    /// A get over TCP.
    pub(crate) get: f64,
    /// A get from open files.
    pub(crate) local: f64,
}

impl Primitives {
    /// Measures each once; `source` is a file in the page cache, `dir` has room for three of its size.
    pub(crate) fn measure(&mut self, source: &Path, dir: &Path, mib: u64) -> Result<(), String> {
        let steps = mib * (1 << 20) / STEP as u64;
        let mut buffer = IoBuffer::new(STEP);
        buffer.iter_mut().enumerate().for_each(|(n, byte)| *byte = (n.wrapping_mul(2_654_435_761) >> 13) as u8);
        warm(3 * mib);
        self.write.push(cpu(|| write_three(dir, steps, &buffer))? / 3.0);
        self.read.push(cpu(|| read(source))?);
        self.hop.push(cpu(|| hop(steps, &buffer))?);
        self.crc.push(cpu(|| {
            crc(steps, &buffer);
            Ok(())
        })?);
        Ok(())
    }

    /// Prints them, and gives what a put and a get are the sums of.
    pub(crate) fn sums(&mut self, gib: f64) -> Sums {
        let [write, read, hop, crc] =
            [&mut self.write, &mut self.read, &mut self.hop, &mut self.crc].map(|values| median(values) / gib);
        println!(
            "  primitives, CPU s/GiB: page-cache write {write:.2}, read {read:.2}, loopback hop (both ends) {hop:.2}, CRC32C {crc:.2}"
        );
        // A put reads the source, crosses three hops, is written three times, summed once and verified three times.
        Sums { put: read + 3.0 * (hop + write + crc) + crc, get: hop + crc + write, local: read + crc + write }
    }
}

fn cpu(work: impl FnOnce() -> std::io::Result<()>) -> Result<f64, String> {
    let before: Cpu = cpu_of_self();
    work().map_err(|e| e.to_string())?;
    Ok((cpu_of_self() - before).total())
}

/// As three datanodes on one machine do.
fn write_three(dir: &Path, steps: u64, buffer: &[u8]) -> std::io::Result<()> {
    let names: Vec<_> = (0..3).map(|n| dir.join(format!("primitive-{n}"))).collect();
    let mut files = names.iter().map(File::create).collect::<std::io::Result<Vec<_>>>()?;
    for _ in 0..steps {
        for file in &mut files {
            buffer.chunks(WRITE).try_for_each(|piece| file.write_all(piece))?;
        }
    }
    names.iter().try_for_each(std::fs::remove_file)
}

fn read(source: &Path) -> std::io::Result<()> {
    let mut file = File::open(source)?;
    let mut buffer = IoBuffer::new(STEP);
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

fn hop(steps: u64, buffer: &[u8]) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let sink = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = IoBuffer::new(STEP);
        while stream.read(&mut buffer)? > 0 {}
        Ok(())
    });
    let mut stream = TcpStream::connect(addr)?;
    for _ in 0..steps {
        stream.write_all(buffer)?;
    }
    drop(stream);
    sink.join().map_err(|_| std::io::Error::other("the sink panicked"))?
}

fn crc(steps: u64, buffer: &[u8]) {
    for _ in 0..steps {
        for chunk in buffer.chunks(CHUNK) {
            std::hint::black_box(crc32c::crc32c(chunk));
        }
    }
}
