//! Who is connected to whom on this machine, as the system tells.

use std::collections::BTreeMap;

/// A connection: the ports of its two ends, and what the system calls it in `/proc/PID/fd`.
struct Connection {
    from: u16,
    to: u16,
    file: String,
}

fn connections() -> Result<Vec<Connection>, String> {
    let table = std::fs::read_to_string("/proc/net/tcp").map_err(|e| e.to_string())?;
    let port = |addr: &str| u16::from_str_radix(addr.rsplit_once(':')?.1, 16).ok();
    let connection = |line: &str| {
        // Number, local address, remote address, state (01 is an open connection), …, inode.
        let row: Vec<&str> = line.split_whitespace().collect();
        let open = row.len() > 9 && row[3] == "01";
        open.then(|| Some(Connection { from: port(row[1])?, to: port(row[2])?, file: format!("socket:[{}]", row[9]) }))?
    };
    Ok(table.lines().filter_map(connection).collect())
}

/// Which of these processes has this connection's end.
fn owner<'a>(file: &str, parties: &'a [(String, i32)]) -> Option<&'a str> {
    let has = |pid: i32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|link| link.to_string_lossy() == *file)
    };
    parties.iter().find(|(_, pid)| has(*pid)).map(|(name, _)| name.as_str())
}

/// Which of these processes has the connection from one port of the machine to another. A port may be the end of several
/// connections, to different ones.
pub(crate) fn owner_of(from: u16, to: u16, parties: &[(String, i32)]) -> Result<String, String> {
    let all = connections()?;
    let mut found = all.iter().filter(|one| (one.from, one.to) == (from, to));
    let name = found.find_map(|one| owner(&one.file, parties)).map(str::to_owned);
    name.ok_or_else(|| format!("nobody has a connection from port {from} to {to}"))
}

/// The chain of connections that begins at the first of these parties, each given with its process and the port at which it
/// listens: who is connected to whom, one after the other.
pub(crate) fn chain(parties: &[(String, i32)], doors: &[(String, u16)]) -> Result<Vec<String>, String> {
    let mut next = BTreeMap::new();
    for one in connections()? {
        let Some((to, _)) = doors.iter().find(|(_, port)| *port == one.to) else { continue };
        if let Some(from) = owner(&one.file, parties) {
            next.insert(from, to.as_str());
        }
    }
    let mut order: Vec<String> = Vec::new();
    let mut at = parties.first().map_or("", |(name, _)| name.as_str());
    while let Some(&to) = next.get(at)
        && !order.iter().any(|known| known == to)
    {
        order.push(to.to_owned());
        at = to;
    }
    Ok(order)
}
