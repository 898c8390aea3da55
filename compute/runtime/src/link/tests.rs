use super::*;
use mammoth_protocol::jobs::Counters;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

const SOON: Duration = Duration::from_secs(10);
const FIRST: &str = r#"{"to":"task","attempt":"attempt_5_0001_m_000000_1","spec":"/s","work_dir":"/w","shuffle_dir":"/f","host":"h","maps":1,"reduces":1,"resources":{"cores":1,"memory_mib":512}}"#;

struct Tracker {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    ended: mpsc::Receiver<String>,
}

fn link() -> (Tracker, Link) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    writeln!(&ours, "{FIRST}").unwrap();
    let (tell, ended) = mpsc::sync_channel(1);
    let reader = theirs.try_clone().unwrap();
    let (first, link) = Link::over(reader, theirs, move |why| tell.send(why.to_owned()).unwrap()).unwrap();
    assert!(matches!(first, ToChild::Task(task) if task.maps == 1));
    let lines = BufReader::new(ours.try_clone().unwrap());
    (Tracker { stream: ours, lines, ended }, link)
}

#[test]
fn events_grants_and_stops_arrive() {
    let (tracker, link) = link();
    assert!(!link.wait_commit(Duration::ZERO).unwrap());
    writeln!(
        &tracker.stream,
        r#"{{"to":"outputs","events":[{{"event":"lost","attempt":"attempt_5_0001_m_000000_0"}}]}}"#
    )
    .unwrap();
    assert_eq!(link.take_outputs(SOON).unwrap().len(), 1);
    assert!(link.take_outputs(Duration::ZERO).unwrap().is_empty(), "each once");
    writeln!(&tracker.stream, r#"{{"to":"commit_granted"}}"#).unwrap();
    assert!(link.wait_commit(SOON).unwrap());
    writeln!(&tracker.stream, r#"{{"to":"stop","reason":"job killed"}}"#).unwrap();
    let stopped = loop {
        if let Err(error) = link.take_outputs(SOON) {
            break error.to_string();
        }
    };
    assert_eq!(stopped, "stopped: job killed");
}

#[test]
fn what_the_child_says_is_one_line_each() {
    let (mut tracker, link) = link();
    link.send(&FromChild::Done { counters: Counters::default(), partitions: vec![3] });
    link.send_failed(&"ä".repeat(REASON_MAX));
    let mut line = String::new();
    tracker.lines.read_line(&mut line).unwrap();
    assert!(matches!(serde_json::from_str(&line).unwrap(), FromChild::Done { partitions, .. } if partitions == [3]));
    line.clear();
    tracker.lines.read_line(&mut line).unwrap();
    assert!(line.len() < LINE_MAX && line.contains("failed"));
}

#[test]
fn the_end_of_the_tracker_is_the_end_of_the_child() {
    let (tracker, link) = link();
    let Tracker { stream, lines, ended } = tracker;
    drop((stream, lines));
    assert_eq!(ended.recv_timeout(SOON).unwrap(), "the tracker is gone");
    assert!(link.wait_commit(SOON).is_err(), "nobody waits for a tracker that is gone");
    assert!(link.stop_reason().is_some());
}

#[test]
fn rubbish_ends_the_link_too() {
    let (tracker, _link) = link();
    writeln!(&tracker.stream, "hello").unwrap();
    assert!(tracker.ended.recv_timeout(SOON).unwrap().starts_with("tracker link: "));
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(ours);
    assert!(Link::over(theirs.try_clone().unwrap(), theirs, |_| ()).is_err());
}
