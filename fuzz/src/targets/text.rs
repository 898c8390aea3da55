//! Texts: settings, paths, patterns, lines of input, parameters of requests, lists of hosts.

use crate::feed::{Feed, put_part};
use mammoth_protocol::{DfsPath, StorageId, Uuid};

/// A pair as on a command line, and an XML file.
pub(super) fn settings(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let (Ok(pair), Ok(xml)) = (std::str::from_utf8(feed.part()), std::str::from_utf8(feed.rest())) else { return };
    mammoth_platform::fuzzing::settings(pair, xml);
}

pub(super) fn settings_seeds() -> Vec<Vec<u8>> {
    let seed = |pair: &str, xml: &str| {
        let mut out = Vec::new();
        put_part(&mut out, pair.as_bytes());
        out.extend_from_slice(xml.as_bytes());
        out
    };
    let property = "<configuration><property><name>dfs.blocksize</name><value>64m</value><final>true</final></property>\
                    <property name=\"dfs.replication\" value=\"${env.X:-2}\"/></configuration>";
    vec![
        seed("dfs.datanode.data.dir=[SSD]file:///a%20b,/c", property),
        seed("dfs.heartbeat.interval=3s", "<configuration/>"),
        seed("fs.defaultFS=hdfs://[::1]:9000", "<configuration><!-- ${a} --></configuration>"),
        seed("dfs.namenode.safemode.threshold-pct=0.9f", ""),
        seed("hadoop.tmp.dir=${hadoop.tmp.dir}x${user.name}", ""),
        seed("dfs.namenode.rpc-address=h:0x10", ""),
    ]
}

/// A path is written as it is read; joining and splitting fit together. Also identities, and what users type.
pub(super) fn paths(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = DfsPath::parse(text) {
        assert_eq!(DfsPath::parse(path.as_str()).as_ref(), Ok(&path));
        assert_eq!(path.as_str(), if text == "/" { "/" } else { text.trim_end_matches('/') });
        if let Some(parent) = path.parent() {
            assert_eq!(parent.join(path.name()).as_ref(), Ok(&path));
            assert!(path.starts_with(&parent));
        }
        let _ = path.reserved();
    }
    if let Ok(joined) = DfsPath::root().join(text) {
        assert_eq!(joined.name(), text);
    }
    if let Ok(id) = text.parse::<StorageId>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase().replacen("ds-", "DS-", 1));
    }
    if let Ok(id) = text.parse::<Uuid>() {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
    }
    mammoth_client::fuzzing::uri(text);
    mammoth_cli::fuzzing::typed_path(text);
}

pub(super) fn path_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "/",
        "/a/b c/ü/",
        "hdfs://nn:9000/a/../b",
        "hdfs://[::1]:9000/",
        "../a",
        "DS-abababab-abab-4bab-abab-abababababab",
        "abababab-abab-4bab-abab-abababababab",
        "file:///tmp/x",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A pattern and a name, for the shell and for the inputs of jobs.
pub(super) fn globs(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let (Ok(pattern), Ok(name)) = (std::str::from_utf8(feed.part()), std::str::from_utf8(feed.rest())) else { return };
    mammoth_cli::fuzzing::glob(pattern, name);
    mammoth_runtime::fuzzing::glob(pattern, name);
}

pub(super) fn glob_seeds() -> Vec<Vec<u8>> {
    let seed = |pattern: &str, name: &str| {
        let mut out = Vec::new();
        put_part(&mut out, pattern.as_bytes());
        out.extend_from_slice(name.as_bytes());
        out
    };
    vec![
        seed("/a/{b,c{d,e}}/*.t?t", "x.txt"),
        seed("[a-c^\\]]*", "abc"),
        seed("a*b*c*d", "aaabbbcccddd"),
        seed("[^!-~]", "ü"),
        seed("\\*{,a}", "*a"),
    ]
}

/// A text in pieces: however it is cut, each line belongs to exactly one of them.
pub(super) fn lines(bytes: &[u8]) {
    let mut feed = Feed::new(bytes);
    let cuts = [u64::from(feed.byte()), u64::from(feed.u16())];
    let text = feed.rest();
    let len = text.len() as u64;
    let whole = lines_of(text, 0, len);
    let first = cuts[0].min(len);
    let second = (first + cuts[1]).min(len);
    let mut pieces = Vec::new();
    for (start, end) in [(0, first), (first, second), (second, len)] {
        // A split has bytes; the last one of a file may have none only if the file is empty.
        if end > start {
            pieces.extend(lines_of(text, start, end - start));
        }
    }
    assert_eq!(pieces, whole);
    let text_bytes: usize = whole.iter().map(|(_, line)| line.len()).sum();
    assert!(text_bytes <= text.len());
}

fn lines_of(text: &[u8], start: u64, len: u64) -> Vec<(u64, Vec<u8>)> {
    let from = text.get(usize::try_from(start).unwrap_or(usize::MAX)..).unwrap_or_default();
    let reader = mammoth_runtime::input::LineReader::new(from, "text".to_owned(), start, len);
    let mut reader = reader.expect("memory does not fail");
    let mut lines = Vec::new();
    while let Some((at, line)) = reader.next_line().expect("memory does not fail") {
        lines.push((at, line.to_vec()));
    }
    lines
}

pub(super) fn line_seeds() -> Vec<Vec<u8>> {
    let seed = |cut: u8, second: u16, text: &[u8]| [&[cut][..], &second.to_le_bytes(), text].concat();
    vec![
        seed(3, 4, b"one\ntwo\r\nthree\rfour"),
        seed(4, 1, b"abc\r\n\r\n\n\r"),
        seed(2, 2, b"\xef\xbb\xbfa\nb\n"),
        seed(0, 0, b""),
    ]
}

/// The part of a URL behind the question mark, for every door that has parameters of its own.
pub(super) fn queries(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    mammoth_namenode::fuzzing::query(text);
    mammoth_jobtracker::fuzzing::query(text);
    mammoth_tasktracker::fuzzing::query(text);
}

pub(super) fn query_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "path=/a%20b&ugi=ann,g&files=1&blocks=1&startblockafter=5&blockId=blk_1073741825",
        "path=%2F&after=x",
        "version=5&wait_ms=100",
        "from=3&max=5",
        "generation=abababab-abab-4bab-abab-abababababab",
        "tail=5&attemptid=attempt_5_0001_m_000000_1&filter=stdout",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The operator's lists of hosts and racks.
pub(super) fn host_lists(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        mammoth_namenode::fuzzing::hosts(text);
    }
}

pub(super) fn host_list_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "a b:9866 # c\n[::1]:1\n::2\n10.0.0.1",
        r#"[{"hostName":"b","port":5,"adminState":"IN_MAINTENANCE","maintenanceExpireTimeInMS":"17"}]"#,
        r#"{"hostName":"a"}{"hostName":"b"}"#,
        "127.0.0.1:1001 /r1\n[::1]:5 /r2\nh1 /a/b",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
