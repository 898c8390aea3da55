use super::overview::{Overview, state_of};
use super::verdict::verdict;
use super::{explorer, file, overview};
use mammoth_namenode_core::api::{
    AdminState, DatanodeStatus, FileBlocks, FileStatus, FsStats, Health, Listing, LocatedBlock, Place, SafeMode,
};
use mammoth_protocol::internal::{ClusterIdentity, DatanodeAddr};
use mammoth_protocol::{Block, BlockId, DatanodeId, DfsPath, GenStamp, InodeId, StorageId, Term, Uuid};
use mammoth_web::page::{Page, Shell, Tone};
use std::net::{IpAddr, Ipv4Addr};

const SILENT_MS: u64 = 9_000;
const GIB: u64 = 1 << 30;

fn path(text: &str) -> DfsPath {
    DfsPath::parse(text).expect("a path")
}

fn node(nth: u16) -> DatanodeStatus {
    let addr = DatanodeAddr {
        ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        hostname: format!("node-{nth}"),
        transfer_port: 9866,
        info_port: 9864,
        ipc_port: 9867,
    };
    DatanodeStatus {
        id: DatanodeId(Uuid(u128::from(nth))),
        addr,
        rack: "/default-rack".to_owned(),
        live: true,
        stale: false,
        admin: Default::default(),
        capacity: 100 * GIB,
        used: 12 * GIB,
        remaining: 60 * GIB,
        xceivers: 2,
        blocks: 1204,
        last_contact_ms: 1_200,
        last_contact_wall_ms: 1_763_700_000_000,
        last_report_wall_ms: 1_763_699_000_000,
        failed_volumes: 0,
        reported: true,
    }
}

fn nodes() -> Vec<DatanodeStatus> {
    (1..=3).map(node).collect()
}

fn health() -> Health {
    Health {
        safe_mode: SafeMode::Off,
        files: 310,
        dirs: 42,
        blocks: 1204,
        open_files: 0,
        live: 3,
        dead: 0,
        stale: 0,
        under_replicated: 0,
        over_replicated: 0,
        misplaced: 0,
        pending_copies: 0,
        corrupt_replicas: 0,
        stats: FsStats { capacity: 300 * GIB, used: 36 * GIB, remaining: 180 * GIB, ..FsStats::default() },
        recoveries: 0,
        reclaiming: 0,
    }
}

/// A page as text without markup, for sentences; and its whole document.
fn drawn(page: &Page) -> (String, String) {
    let shell = Shell {
        daemon: "Namenode",
        place: "hdfs://127.0.0.1:8020".to_owned(),
        nav: &[("Overview", "/"), ("Files", explorer::NAV)],
        version: "0.1.0",
    };
    let document = shell.document(page, 3_723_000).into_string();
    check_markup(&document);
    let mut text = String::new();
    let mut inside = false;
    for c in document.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    (text.split_whitespace().collect::<Vec<_>>().join(" "), document)
}

/// Every element that is opened is closed, in order.
fn check_markup(document: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in document.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        let void = matches!(name, "!DOCTYPE" | "meta" | "link" | "input" | "br") || tag.ends_with('/');
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closed out of order");
        } else if !void {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

fn overview_of(health: Health, nodes: Vec<DatanodeStatus>, unreadable: Vec<DfsPath>) -> Overview {
    let verdict = verdict(&health, &nodes, &unreadable, SILENT_MS);
    let identity = ClusterIdentity {
        cluster_id: "CID-1".to_owned(),
        namespace_id: 7,
        pool_id: "BP-1-127.0.0.1-1".to_owned(),
        created_ms: 1_763_600_000_000,
    };
    Overview { identity, term: Term(4), health, nodes, unreadable, verdict, figures: Default::default() }
}

#[test]
fn all_is_well_in_one_sentence() {
    let (text, document) = drawn(&overview::page(&overview_of(health(), nodes(), Vec::new())));
    assert!(text.contains("Healthy All 1,204 blocks are safe on 3 datanodes."), "{text}");
    assert!(text.contains("3 live") && !text.contains("dead"), "{text}");
    assert!(text.contains("36 GiB") && text.contains("300 GiB"), "{text}");
    assert!(document.contains("http-equiv=\"refresh\"") && !document.contains("Files that can"), "{document}");
}

#[test]
fn an_empty_file_system_says_so() {
    let empty = Health { files: 0, dirs: 1, blocks: 0, ..health() };
    assert_eq!(
        verdict(&empty, &nodes(), &[], SILENT_MS).sentence,
        "The file system is empty, and 3 datanodes can take files."
    );
    let alone = Health { live: 0, stats: FsStats::default(), ..empty };
    let (text, _) = drawn(&overview::page(&overview_of(alone, Vec::new(), Vec::new())));
    assert!(text.contains("No datanode has registered yet, so no file can be written."), "{text}");
    assert!(text.contains("No datanode offers space yet.") && text.contains("None yet."), "{text}");
}

#[test]
fn a_silent_datanode_and_its_blocks_are_one_sentence() {
    let mut nodes = nodes();
    nodes[1].last_contact_ms = 12_000;
    let low = Health { under_replicated: 7, pending_copies: 7, ..health() };
    let found = verdict(&low, &nodes, &[], SILENT_MS);
    assert_eq!(found.tone, Tone::Warn);
    assert_eq!(
        found.sentence,
        "Datanode node-2:9866 has been silent for 12 s; 7 blocks have fewer copies than wanted and are being copied."
    );
    assert!(found.more.is_empty());
}

#[test]
fn a_dead_datanode_is_named_and_comes_first() {
    let mut nodes = nodes();
    nodes[2].live = false;
    nodes[2].last_contact_ms = 700_000;
    let page = overview::page(&overview_of(Health { live: 2, dead: 1, ..health() }, nodes.clone(), Vec::new()));
    let (text, _) = drawn(&page);
    assert!(text.contains("Datanode node-3:9866 has been silent for 11 min 40 s and counts as dead."), "{text}");
    assert!(text.contains("2 live, 1 dead"), "{text}");
    let (dead, live) = (text.rfind("node-3:9866").expect("listed"), text.rfind("node-1:9866").expect("listed"));
    assert!(dead < live, "what needs care stands first");
    assert_eq!(state_of(&nodes[2]), (Tone::Bad, "dead"));
    nodes[2].last_contact_wall_ms = 0;
    let never = verdict(&health(), &nodes, &[], SILENT_MS).sentence;
    assert!(never.contains("has not been heard since this namenode started"), "{never}");
}

#[test]
fn a_file_that_nobody_can_read_outranks_everything_else() {
    let mut nodes = nodes();
    nodes[0].stale = true;
    let bad = Health {
        stats: FsStats { missing_blocks: 2, ..health().stats },
        corrupt_replicas: 1,
        under_replicated: 1,
        ..health()
    };
    let overview = overview_of(bad, nodes, vec![path("/data/<b>.csv")]);
    assert_eq!(overview.verdict.tone, Tone::Bad);
    assert_eq!(overview.verdict.sentence, "1 file can't be read: /data/<b>.csv.");
    assert_eq!(overview.verdict.more.len(), 2);
    assert!(overview.verdict.more[0].contains("1 block has fewer copies than wanted and waits to be copied"));
    let (_, document) = drawn(&overview::page(&overview));
    assert!(document.contains("<a href=\"/explorer?path=/data/%3Cb%3E.csv\">/data/&lt;b&gt;.csv</a>"), "{document}");
    assert!(!document.contains("<b>"), "a name became markup");
}

#[test]
fn safe_mode_says_what_it_waits_for() {
    let startup = |reported, extension_left_ms| Health {
        safe_mode: SafeMode::Startup { reported, needed: 1203, total: 1204, extension_left_ms },
        under_replicated: 392,
        stats: FsStats { missing_blocks: 392, ..health().stats },
        ..health()
    };
    let waiting = verdict(&startup(812, None), &nodes(), &[path("/a")], SILENT_MS);
    assert_eq!((waiting.tone, waiting.label), (Tone::Wait, "Safe mode"));
    assert_eq!(
        waiting.sentence,
        "Starting: 812 of 1,204 blocks have been reported, 1,203 are needed before files can change."
    );
    assert!(waiting.more.is_empty(), "what is not reported yet is not lost: {:?}", waiting.more);
    let late = verdict(&startup(1203, Some(12_500)), &nodes(), &[], SILENT_MS).sentence;
    assert!(late.ends_with("late datanodes have another 12 s."), "{late}");
    let manual = Health { safe_mode: SafeMode::Manual, ..health() };
    let mut nodes = nodes();
    nodes[0].live = false;
    let manual = verdict(&manual, &nodes, &[], SILENT_MS);
    assert!(manual.sentence.starts_with("Safe mode is on by order") && manual.more.len() == 1, "{manual:?}");
    let behind = SafeMode::Behind { message: "datanode x has seen term 9".to_owned() };
    let behind = verdict(&Health { safe_mode: behind, ..health() }, &nodes, &[], SILENT_MS);
    assert!(behind.tone == Tone::Bad && behind.sentence.contains("datanode x has seen term 9"), "{behind:?}");
}

fn status(name: &str, is_dir: bool, len: u64) -> FileStatus {
    FileStatus {
        id: InodeId(16_400),
        name: name.to_owned(),
        is_dir,
        len,
        replication: if is_dir { 0 } else { 3 },
        block_size: if is_dir { 0 } else { 128 << 20 },
        mtime_ms: 1_763_700_000_000,
        atime_ms: 0,
        mode: if is_dir { 0o1777 } else { 0o640 },
        owner: "ann".to_owned(),
        group: "staff".to_owned(),
        children: if is_dir { 3 } else { 0 },
        blocks: None,
    }
}

#[test]
fn a_folder_shows_its_entries_and_the_way_on() {
    let listing = Listing { entries: vec![status("a&b", true, 0), status("c d", false, 1_536)], remaining: 1_000 };
    let page = explorer::folder_page(&path("/x/y"), &status("", true, 0), &listing, "Z");
    let (text, document) = drawn(&page);
    assert!(text.contains("a&amp;b/") && text.contains("c d") && text.contains("1.5 KiB"), "{text}");
    assert!(text.contains("-rw-r-----") && text.contains("drwxrwxrwt"), "{text}");
    assert!(document.contains("href=\"/explorer?path=/x/y/a%26b\""), "{document}");
    assert!(document.contains("href=\"/explorer?path=/x/y&amp;after=c%20d\"") && text.contains("1,000 more"));
    assert!(document.contains("<a href=\"/explorer?path=/x\">x</a>") && text.contains("First page"), "{document}");
    let empty = Listing { entries: Vec::new(), remaining: 0 };
    let (text, _) = drawn(&explorer::folder_page(&DfsPath::root(), &status("", true, 0), &empty, ""));
    assert!(text.contains("This folder is empty.") && !text.contains("Next page"), "{text}");
}

fn located(id: i64, holders: &[u16]) -> LocatedBlock {
    let places = holders.iter().map(|nth| Place {
        datanode: node(*nth).id,
        storage: StorageId(Uuid(u128::from(*nth))),
        addr: node(*nth).addr,
        rack: "/default-rack".to_owned(),
        admin: AdminState::default(),
    });
    LocatedBlock {
        block: Block { id: BlockId(id), stamp: GenStamp(1001), len: 1_000_000 },
        offset: 0,
        places: places.collect(),
        corrupt: false,
    }
}

#[test]
fn a_file_shows_each_copy_of_each_block() {
    let mut nodes = nodes();
    nodes[1].live = false;
    let mut damaged = located(3, &[3]);
    damaged.corrupt = true;
    let last = located(5, &[1, 3]);
    let blocks = FileBlocks {
        len: 4_000_000,
        open: true,
        blocks: vec![located(1, &[1, 2, 3]), located(2, &[1]), damaged, located(4, &[])],
        last: Some(last),
        last_complete: false,
    };
    let (text, _) = drawn(&file::page(&path("/f"), &status("", false, 4_000_000), &blocks, &nodes));
    for expected in [
        "blk_1 0 977 KiB 1001 node-1:9866 good node-2:9866 dead node-3:9866 good",
        "blk_2 0 977 KiB 1001 node-1:9866 good 2 copies missing",
        "blk_3 0 977 KiB 1001 node-3:9866 damaged",
        "blk_4 0 977 KiB 1001 no copy known",
        "blk_5 0 977 KiB 1001 node-1:9866 being written node-3:9866 being written",
        "State being written",
        "3.8 MiB (4,000,000 bytes)",
        "Blocks 5",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    let none = FileBlocks { last_complete: true, ..FileBlocks::default() };
    let (text, _) = drawn(&file::page(&path("/f"), &status("", false, 0), &none, &nodes));
    assert!(text.contains("This file has no blocks: it is empty.") && text.contains("State closed"), "{text}");
}
