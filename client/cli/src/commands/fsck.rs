//! `fsck`: the namenode checks the file system and tells in `hdfs fsck`'s words; its last line is the exit status.

use super::Outcome;
use crate::EXIT_USAGE;
use crate::fault::Fault;
use crate::session::Session;
use mammoth_client::{CreateOptions, DfsClient, FileWriter, LocatedBlock, TextStream};
use mammoth_platform::keys;
use mammoth_platform::settings::HostPort;
use mammoth_protocol::DfsPath;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};

/// Variable with the namenode's HTTP door, `http://host:port`.
const HTTP_VARIABLE: &str = "MAMMOTH_HTTP";
/// Where the remains of corrupt files are put.
const LOST_AND_FOUND: &str = "/lost+found";
/// Longest line of an answer that is shown.
const LINE_MAX: u64 = 1 << 20;
/// Bytes of a block that are moved at once.
const COPY: usize = 1 << 20;

/// Options that are parameters of the same meaning, and their names there.
const FLAGS: [(&str, &str); 8] = [
    ("-files", "files"),
    ("-blocks", "blocks"),
    ("-locations", "locations"),
    ("-racks", "racks"),
    ("-replicaDetails", "replicadetails"),
    ("-openforwrite", "openforwrite"),
    ("-delete", "delete"),
    ("-showprogress", "showprogress"),
];

/// Options of Hadoop's that have nothing to work on here.
const PLANNED: [&str; 5] = ["-includeSnapshots", "-maintenance", "-replicate", "-storagepolicies", "-upgradedomains"];

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    path: Option<String>,
    flags: BTreeSet<&'static str>,
    moves: bool,
    lists: bool,
    blocks: Vec<String>,
}

/// `-fsck`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    if args.is_empty() {
        return Err(Fault::Usage("Not enough arguments: expected 1 but got 0".to_owned()));
    }
    let asked = parse(args)?;
    let typed = asked.path.clone().unwrap_or_else(|| "/".to_owned());
    let path = session.lookup(&typed)?.path;
    let client = session.systems.client()?;
    let address = http_address(session, &client)?;
    let user = client.config().user.clone();
    let ids = asked.blocks.join(" ");
    let mut parameters = vec![("ugi", user.as_str())];
    parameters.extend(asked.flags.iter().map(|flag| (*flag, "1")));
    if !asked.blocks.is_empty() {
        parameters.push(("blockId", &ids));
    }
    parameters.push(("path", &path));
    if asked.moves {
        save_remains(session, &client, &address, &user, &path)?;
    }
    session.note(format_args!("Connecting to namenode via http://{address}/fsck?ugi={user}&path={path}"));
    if asked.lists {
        let count = each_corrupt(
            &address,
            &user,
            &path,
            |count, line, session| {
                if count == 1 {
                    session.line(format_args!("The list of corrupt files under path '{path}' are:"))?;
                }
                session.line(line)
            },
            session,
        )?;
        session.line(format_args!("The filesystem under path '{path}' has {count} CORRUPT files"))?;
        session.set_status(if count == 0 { 0 } else { EXIT_USAGE });
        return Ok(());
    }
    let mut last = String::new();
    for line in lines(&address, &parameters)? {
        last = line?;
        session.line(&last)?;
    }
    session.set_status(status_of(&last));
    Ok(())
}

fn parse(args: Vec<String>) -> Result<Asked, Fault> {
    let mut asked = Asked::default();
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-move" => asked.moves = true,
            "-list-corruptfileblocks" => asked.lists = true,
            "-blockId" => {
                while let Some(id) = args.next_if(|next| !next.starts_with('-')) {
                    asked.blocks.extend(id.split_whitespace().map(str::to_owned));
                }
                if asked.blocks.is_empty() {
                    return Err(Fault::Usage("-blockId: the ids of blocks are missing".to_owned()));
                }
            }
            flag if flag.starts_with('-') => match FLAGS.iter().find(|(name, _)| *name == flag) {
                Some((_, parameter)) => drop(asked.flags.insert(parameter)),
                None if PLANNED.contains(&flag) => {
                    return Err(Fault::Other(format!("'{flag}' is not implemented yet")));
                }
                None => return Err(Fault::Usage(format!("Illegal option '{flag}'"))),
            },
            _ if asked.path.is_some() => {
                return Err(Fault::Usage(format!("can only operate on one path at a time '{arg}'")));
            }
            _ => asked.path = Some(arg),
        }
    }
    Ok(asked)
}

/// The exit status that the last line stands for.
fn status_of(last: &str) -> u8 {
    const ENDS: [(&str, u8); 7] = [
        ("is HEALTHY", 0),
        ("does not exist", 0),
        ("is DECOMMISSIONED", 2),
        ("is DECOMMISSIONING", 3),
        ("is IN MAINTENANCE", 4),
        ("is ENTERING MAINTENANCE", 5),
        ("is STALE", 6),
    ];
    if last.contains("is CORRUPT") {
        return 1;
    }
    if last.contains("Incorrect blockId format:") {
        return 0;
    }
    ENDS.iter().find(|(end, _)| last.ends_with(end)).map_or(EXIT_USAGE, |(_, status)| *status)
}

/// `host:port` of the namenode's HTTP door: as the variable says, as the settings say, or the usual port of its host.
fn http_address(session: &Session<'_>, client: &DfsClient) -> Result<String, Fault> {
    let settings = session.systems.settings();
    let given = settings.is_given(keys::DFS_NAMENODE_HTTP_ADDRESS.name());
    let variable = std::env::var(HTTP_VARIABLE).ok().filter(|value| !value.is_empty());
    if let Some(variable) = variable.filter(|_| !given) {
        let rest = variable.strip_prefix("http://").unwrap_or(&variable);
        return Ok(rest.trim_end_matches('/').to_owned());
    }
    let HostPort { host, port } = settings.addr(keys::DFS_NAMENODE_HTTP_ADDRESS)?;
    let namenode = client.config().namenode.host.clone();
    let everywhere = matches!(host.as_str(), "0.0.0.0" | "::" | "[::]" | "");
    let host = if everywhere { namenode } else { host };
    Ok(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

/// The lines of an answer.
fn lines(
    address: &str,
    parameters: &[(&str, &str)],
) -> Result<impl Iterator<Item = Result<String, Fault>> + use<>, Fault> {
    let mut input = BufReader::new(TextStream::get(address, "/fsck", parameters)?);
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        match (&mut input).take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line);
                Some(Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned()))
            }
            Err(error) => Some(Err(Fault::Other(error.to_string()))),
        }
    })
    .fuse())
}

/// Gives every corrupt block below a path, as a line `blk_N TAB path`, and their number.
fn each_corrupt<C>(
    address: &str,
    user: &str,
    path: &str,
    mut each: impl FnMut(u64, &str, &mut C) -> Outcome,
    context: &mut C,
) -> Result<u64, Fault> {
    let (mut count, mut cookie) = (0, 0_u64);
    loop {
        let after = cookie.to_string();
        let parameters = [("ugi", user), ("listcorruptfileblocks", "1"), ("startblockafter", &after), ("path", path)];
        let before = count;
        for line in lines(address, &parameters)? {
            let line = line?;
            if let Some(next) = line.strip_prefix("Cookie:\t") {
                cookie = next.parse().unwrap_or(cookie);
            } else if line.starts_with("blk_") {
                count += 1;
                each(count, &line, context)?;
            } else if line.ends_with(" FAILED") || line.ends_with("does not exist") {
                return Err(Fault::Other(line));
            }
        }
        if count == before {
            return Ok(count);
        }
    }
}

/// Copies what can still be read of corrupt files below a path to `/lost+found`, each run of readable blocks as a file of
/// its own. The files themselves stay.
fn save_remains(session: &mut Session<'_>, client: &DfsClient, address: &str, user: &str, path: &str) -> Outcome {
    let mut files = BTreeSet::new();
    each_corrupt(
        address,
        user,
        path,
        |_, line, files: &mut BTreeSet<String>| {
            files.extend(line.split_once('\t').map(|(_, path)| path.to_owned()));
            Ok(())
        },
        &mut files,
    )?;
    for file in files {
        let result = save(client, &file);
        if let Ok(target) = &result {
            session.note(format_args!("copied the remains of the corrupted file {file} to {target}"));
        }
        session.absorb(result.map(drop))?;
    }
    Ok(())
}

fn save(client: &DfsClient, file: &str) -> Result<DfsPath, Fault> {
    let source = DfsPath::parse(file).map_err(|bad| Fault::Other(bad.to_string()))?;
    let target = format!("{LOST_AND_FOUND}{file}");
    let target = DfsPath::parse(&target).map_err(|bad| Fault::Other(bad.to_string()))?;
    if client.file_info(&target)?.is_some() {
        let text = format!("can't copy the remains of {source} to lost+found, because {target} already exists");
        return Err(Fault::Other(text));
    }
    let found = client.block_locations(&source, 0, u64::MAX >> 1)?;
    if found.under_construction {
        return Err(Fault::Other(format!("{source} is being written, its remains are not copied")));
    }
    client.mkdirs(&target, None, true)?;
    let (mut chain, mut writer) = (0, None::<FileWriter>);
    for block in &found.blocks {
        if !block.nodes.is_empty() {
            if writer.is_none() {
                let name = target.join(&chain.to_string()).map_err(|bad| Fault::Other(bad.to_string()))?;
                writer = Some(client.create(&name, CreateOptions::default())?);
                chain += 1;
            }
            if let Some(open) = &mut writer
                && copy_block(client, &source, block, open)?
            {
                continue;
            }
        }
        if let Some(open) = writer.take() {
            open.close()?;
        }
    }
    if let Some(open) = writer.take() {
        open.close()?;
    }
    Ok(target)
}

/// Copies a block; false if it cannot be read to its end.
fn copy_block(client: &DfsClient, source: &DfsPath, block: &LocatedBlock, to: &mut FileWriter) -> Result<bool, Fault> {
    let reader = client.open(source)?;
    let (mut at, end) = (block.offset, block.offset.saturating_add(block.block.len));
    let mut buffer = vec![0; COPY];
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(COPY).min(COPY);
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        match reader.read_at(at, part) {
            Ok(read) if read > 0 => {
                to.write_all(part.get(..read).unwrap_or_default()).map_err(|e| Fault::stream(source.as_str(), e))?;
                at += read as u64;
            }
            Ok(_) | Err(_) => return Ok(false),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Result<Asked, Fault> {
        parse(line.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn options_are_hadoops() {
        let asked = args("/p -files -blocks -racks -move -blockId blk_1 blk_2 -openforwrite").unwrap();
        assert_eq!(asked.path.as_deref(), Some("/p"));
        assert_eq!(asked.flags, BTreeSet::from(["files", "blocks", "racks", "openforwrite"]));
        assert_eq!((asked.moves, asked.lists, asked.blocks.len()), (true, false, 2));
        for (line, part) in [
            ("-x", "Illegal option '-x'"),
            ("/a /b", "one path at a time '/b'"),
            ("-blockId", "ids"),
            ("/ -replicate", "not implemented"),
        ] {
            assert!(args(line).unwrap_err().to_string().contains(part), "{line}");
        }
    }

    #[test]
    fn the_last_line_tells_the_status() {
        for (line, status) in [
            ("The filesystem under path '/' is HEALTHY", 0),
            ("The filesystem under path '/' is CORRUPT", 1),
            ("Block replica on datanode/rack: h/r is CORRUPT\t ReasonCode: X", 1),
            ("Path '/x' does not exist", 0),
            ("Fsck on path '/' FAILED", 255),
            ("", 255),
        ] {
            assert_eq!(status_of(line), status, "{line}");
        }
    }
}
