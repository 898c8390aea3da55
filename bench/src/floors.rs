//! What the machine can do at best: the primitive costs of which every figure further down is a sum.

use crate::meter::Wall;
use mammoth_platform::IoBuffer;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const MIB: usize = 1024 * 1024;
const TOTAL: usize = 512 * MIB;

/// Prints the floors.
pub(crate) fn measure() -> Result<(), String> {
    println!("floors (one core each, {} MiB)", TOTAL / MIB);
    let text = |e: std::io::Error| e.to_string();
    let mut buffer = IoBuffer::new(MIB);
    buffer.fill(0x5a);
    println!("  memcpy                {:>8.2} GB/s", memcpy(&buffer));
    println!("  CRC32C                {:>8.2} GB/s", crc(&buffer));
    let dir = tempfile::tempdir().map_err(text)?;
    println!("  page-cache write      {:>8.2} GB/s", write(dir.path(), &buffer).map_err(text)?);
    println!("  page-cache read       {:>8.2} GB/s", read(dir.path()).map_err(text)?);
    println!("  loopback TCP, 1 hop   {:>8.2} GB/s", loopback(&buffer).map_err(text)?);
    println!("  fdatasync of 4 KiB    {:>8.3} ms", fsync(dir.path()).map_err(text)?);
    Ok(())
}

fn rate(wall: &Wall) -> f64 {
    TOTAL as f64 / wall.seconds() / 1e9
}

fn memcpy(buffer: &[u8]) -> f64 {
    let mut target = IoBuffer::new(buffer.len());
    let wall = Wall::start();
    for _ in 0..TOTAL / MIB {
        target.copy_from_slice(std::hint::black_box(buffer));
        std::hint::black_box(&mut target);
    }
    rate(&wall)
}

fn crc(buffer: &[u8]) -> f64 {
    let wall = Wall::start();
    for _ in 0..TOTAL / MIB {
        for chunk in buffer.chunks(512) {
            std::hint::black_box(crc32c::crc32c(chunk));
        }
    }
    rate(&wall)
}

fn write(dir: &std::path::Path, buffer: &[u8]) -> std::io::Result<f64> {
    let mut file = File::create(dir.join("floor"))?;
    let wall = Wall::start();
    for _ in 0..TOTAL / MIB {
        file.write_all(buffer)?;
    }
    Ok(rate(&wall))
}

fn read(dir: &std::path::Path) -> std::io::Result<f64> {
    let mut file = File::open(dir.join("floor"))?;
    let mut buffer = IoBuffer::new(MIB);
    let wall = Wall::start();
    while file.read(&mut buffer)? > 0 {}
    Ok(rate(&wall))
}

fn loopback(buffer: &[u8]) -> std::io::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let sink = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = IoBuffer::new(MIB);
        while stream.read(&mut buffer)? > 0 {}
        Ok(())
    });
    let mut stream = TcpStream::connect(addr)?;
    let wall = Wall::start();
    for _ in 0..TOTAL / MIB {
        stream.write_all(buffer)?;
    }
    drop(stream);
    sink.join().map_err(|_| std::io::Error::other("the sink panicked"))??;
    Ok(rate(&wall))
}

fn fsync(dir: &std::path::Path) -> std::io::Result<f64> {
    let mut file = File::create(dir.join("sync"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let wall = Wall::start();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(wall.seconds() * 1e3);
    }
    Ok(crate::meter::median(&mut times))
}
