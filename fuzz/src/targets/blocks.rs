//! What lies on a datanode's disks: data and checksum files, names, and the small texts of a volume.

use crate::feed::{Feed, put_part};
use mammoth_protocol::datatransfer::checksum;

/// Splits an input into a replica's files. With an even first byte the checksum file is the input's own; otherwise it is made
/// to fit, and one byte of it changed at most. Gives data, checksum file, and the
/// chunk size if they fit.
fn files<'a>(feed: &mut Feed<'a>) -> (&'a [u8], Vec<u8>, Option<u16>) {
    let kind = feed.byte();
    let meta = feed.part();
    let change = (feed.u16(), feed.byte());
    let data = feed.part();
    if kind & 1 == 0 {
        return (data, meta.to_vec(), None);
    }
    let chunk = [1_u16, 7, 512, 4096].get(usize::from(kind >> 1) % 4).copied().unwrap_or(512);
    let mut fitting = checksum::encode_meta_header(u32::from(chunk)).to_vec();
    checksum::append_checksums(&mut fitting, data, usize::from(chunk));
    let changed = fitting.get_mut(usize::from(change.0)).map(|byte| *byte ^= change.1).is_some() && change.1 != 0;
    (data, fitting, (!changed).then_some(chunk))
}

/// A client reads the open files of a replica.
pub(super) fn local_block(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let (data, meta, chunk) = files(&mut feed);
    let (at, end, buffer) = (u64::from(feed.u16()), u64::from(feed.u16()), usize::from(feed.u16()) + 1);
    let jump = u64::from(feed.u16());
    let read = mammoth_client::fuzzing::read_files(data, &meta, at..end, buffer, jump);
    if let Ok(parts) = &read {
        for (from, part) in parts {
            let from = usize::try_from(*from).unwrap_or(usize::MAX);
            let expected = data.get(from..from + part.len());
            assert_eq!(Some(part.as_slice()), expected, "what is read is what is there");
        }
    }
    if chunk.is_some() && end <= data.len() as u64 {
        assert!(read.is_ok(), "good files are read: {read:?}");
    }
}

fn replica(kind: u8, meta: &[u8], data: &[u8], rest: &[u16]) -> Vec<u8> {
    let mut out = vec![kind];
    put_part(&mut out, meta);
    out.extend_from_slice(&[0xff, 0xff, 0]);
    put_part(&mut out, data);
    rest.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    out
}

pub(super) fn local_block_seeds() -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..=255).cycle().take(1500).collect();
    let mut meta = checksum::encode_meta_header(512).to_vec();
    checksum::append_checksums(&mut meta, &data, 512);
    vec![
        replica(0, &meta, &data, &[0, 1500, 299, 700]),
        replica(5, &[], &data, &[100, 1400, 511, 3]),
        replica(3, &[], &data, &[1, 1500, 2000, 0]),
    ]
}

/// A datanode looks at a replica after a crash, and verifies it.
pub(super) fn replica_files(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let (data, meta, chunk) = files(&mut feed);
    let len = u64::from(feed.u16());
    let prefix = mammoth_datanode::fuzzing::valid_prefix(data, &meta);
    if chunk.is_some() {
        assert_eq!(prefix.as_ref().ok(), Some(&(data.len() as u64)), "all of it is valid");
    }
    if let Ok(prefix) = prefix {
        assert!(prefix <= data.len() as u64);
    }
    let verified = mammoth_datanode::fuzzing::verify(data, &meta, len);
    if let Some(chunk) = chunk {
        // Up to its end, or to that of any chunk; a checksum may fit a part of its chunk only by chance.
        let whole = len.is_multiple_of(chunk.into()) && len <= data.len() as u64;
        assert!(verified || !(whole || len == data.len() as u64), "{len} of {}", data.len());
    }
}

pub(super) fn replica_file_seeds() -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..=255).cycle().take(1500).collect();
    let mut meta = checksum::encode_meta_header(512).to_vec();
    checksum::append_checksums(&mut meta, &data, 512);
    vec![replica(0, &meta, &data, &[1500]), replica(5, &[], &data, &[1500]), replica(0, &[], &data, &[3])]
}

/// The first byte chooses: names of files, `VERSION` files, the memory of a volume, a tasktracker's `VERSION`.
pub(super) fn volume_texts(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let kind = feed.byte();
    let bytes = feed.rest();
    match (kind % 4, std::str::from_utf8(bytes)) {
        (0, Ok(text)) => mammoth_datanode::fuzzing::file_name(text),
        (1, Ok(text)) => mammoth_datanode::fuzzing::version_file(text),
        (2, _) => mammoth_datanode::fuzzing::volume_memory(bytes),
        (3, Ok(text)) => mammoth_tasktracker::fuzzing::version_file(text),
        _ => {}
    }
}

pub(super) fn volume_text_seeds() -> Vec<Vec<u8>> {
    let id = "abababab-abab-4bab-abab-abababababab";
    let version = format!(
        "storageID=DS-{id}\nclusterID=CID-{id}\ncTime=0\ndatanodeUuid={id}\nstorageType=DATA_NODE\nlayoutVersion=-57\n"
    );
    let memory = r#"{"version":1,"boot_id":"b","synced_ms":5,"seen":{"term":3,"seq":9,"block":7},"scrubbed":null,"scrub_began_ms":0}"#;
    let tracker = format!("# c\nlayout_version=1\ntracker_id={id}\n");
    let with = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    vec![with(0, "blk_1073741825_1001.meta"), with(0, "blk_-16"), with(1, &version), with(2, memory), with(3, &tracker)]
}
