use super::*;
#[test]
fn experiment() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path().join("x");
    let n = 3000u32;
    let rounds = 8u8;
    {
        let mut s = SledStore::open(&d).unwrap();
        for r in 1..=rounds {
            for i in 0..n { if (i * 7 + r as u32) % 3 == 0 || r == 1 || r == rounds { s.put(&i.to_be_bytes(), &[r; 60]).unwrap(); } }
            s.sync().unwrap();
            s.set_mark(Mark::Applied, Seq(r as u64)).unwrap();
            s.sync().unwrap();
        }
    }
    let good = std::fs::read(d.join("db")).unwrap();
    eprintln!("len {}", good.len());
    let (mut panics, mut errs, mut fine, mut back, mut silent) = (0, 0, 0, 0, 0);
    for k in 0..400usize {
        let mut bad = good.clone();
        let at = (k * 2 + 1) * bad.len() / 800 + k % 13;
        if at >= bad.len() { continue; }
        bad[at] ^= 0x10;
        let d2 = dir.path().join("y");
        let _ = std::fs::remove_dir_all(&d2);
        std::fs::create_dir(&d2).unwrap();
        for e in std::fs::read_dir(&d).unwrap() { let e = e.unwrap(); if e.file_type().unwrap().is_file() { std::fs::copy(e.path(), d2.join(e.file_name())).unwrap(); } else { std::fs::create_dir(d2.join(e.file_name())).unwrap(); } }
        std::fs::write(d2.join("db"), bad).unwrap();
        let r = std::panic::catch_unwind(|| {
            let s = SledStore::open(&d2)?;
            let mark = s.mark(Mark::Applied)?.0;
            let (mut rows, mut old) = (0, 0);
            s.for_each(&mut |_, v| { rows += 1; if v[0] != rounds { old += 1 } Ok(()) })?;
            Ok::<_, JournalError>((mark, rows, old))
        });
        match r {
            Err(_) => panics += 1,
            Ok(Err(_)) => errs += 1,
            Ok(Ok((m, rows, old))) if m == rounds as u64 => { if rows == n && old == 0 { fine += 1 } else { silent += 1; eprintln!("SILENT at {at}: rows {rows} old {old}"); } }
            Ok(Ok((m, rows, old))) => { back += 1; eprintln!("back to {m}: rows {rows} old {old}"); }
        }
    }
    eprintln!("RESULT panics {panics} errs {errs} fine {fine} back {back} silent {silent}");
}
