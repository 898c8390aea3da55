//! The HTTP door: segments, logs, pages.

use super::fake::{Cluster, DONE, map};
use mammoth_protocol::Uuid;
use mammoth_protocol::jobs::shuffle::{Index, Segment, route};
use std::fs;

const OUTPUT: &str = "attempt_5_0001_m_000000_0";

/// Leaves an output of these partitions, as a map would.
fn leave(cluster: &Cluster, owner: &str, output: &str, partitions: &[Vec<u8>]) {
    let dir = cluster.root().join(owner).join("shuffle");
    fs::create_dir_all(&dir).unwrap();
    let mut index = Index::default();
    for bytes in partitions {
        let (offset, len) = (index.data_len(), bytes.len() as u64);
        index.segments.push(Segment { offset, len, raw: len, records: 1 });
    }
    fs::write(dir.join(format!("{output}.data")), partitions.concat()).unwrap();
    fs::write(dir.join(format!("{output}.index")), index.encode().unwrap()).unwrap();
}

fn generation(cluster: &Cluster) -> Uuid {
    cluster.jobtracker.said.lock().unwrap().registrations[0].generation
}

#[test]
fn segments_are_served_as_they_lie() {
    let cluster = Cluster::start();
    let large: Vec<u8> = (0..3_000_001_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let partitions = [b"first".to_vec(), Vec::new(), large];
    leave(&cluster, "jobs/job_5_0001", OUTPUT, &partitions);
    leave(&cluster, "apps/application_5_0002", "block-7_1", &partitions[..1]);
    let generation = generation(&cluster);
    for (partition, bytes) in (0..).zip(&partitions) {
        let (status, body) = cluster.get(&route("job_5_0001", OUTPUT, partition, generation));
        assert_eq!(status, 200);
        assert!(body == *bytes, "partition {partition}: {} bytes", body.len());
    }
    assert_eq!(cluster.get(&route("application_5_0002", "block-7_1", 0, generation)).1, b"first");
    let metrics = cluster.text("/metrics");
    assert!(metrics.contains("mammoth_tasktracker_shuffle_segments_total 4\n"), "{metrics}");
}

#[test]
fn what_is_not_there_is_told_from_what_is_gone() {
    let cluster = Cluster::start();
    leave(&cluster, "jobs/job_5_0001", OUTPUT, &[b"x".to_vec()]);
    let dir = cluster.root().join("jobs/job_5_0001/shuffle");
    fs::write(dir.join("bad.data"), "").unwrap();
    fs::write(dir.join("bad.index"), "rubbish").unwrap();
    leave(&cluster, "jobs/job_5_0001", "short", &[b"12345".to_vec()]);
    fs::write(dir.join("short.data"), "1234").unwrap();
    let present = generation(&cluster);
    for (status, route) in [
        (404, route("job_5_0001", OUTPUT, 1, present)),
        (404, route("job_5_0001", "attempt_5_0001_m_000001_0", 0, present)),
        (404, route("job_5_0002", OUTPUT, 0, present)),
        (404, route("..%2F..", OUTPUT, 0, present)),
        (404, route("job_5_0001", "..%2Fspec", 0, present)),
        (404, format!("/shuffle/v1/job_5_0001/{OUTPUT}/-1?generation={present}")),
        (404, format!("/shuffle/v1/job_5_0001/{OUTPUT}/+0?generation={present}")),
        (410, route("job_5_0001", OUTPUT, 0, Uuid(1))),
        (400, format!("/shuffle/v1/job_5_0001/{OUTPUT}/0")),
        (500, route("job_5_0001", "bad", 0, present)),
        (500, route("job_5_0001", "short", 0, present)),
        (404, "/logs/attempt_5_0001_m_000009_0/stderr".to_owned()),
        (404, "/logs/..%2F..%2FVERSION/stderr".to_owned()),
        (404, format!("/logs/{OUTPUT}/..%2F..")),
        (404, "/logs/application_5_0002/007/stderr".to_owned()),
        (404, "/tasklog?attemptid=../x".to_owned()),
    ] {
        assert_eq!(cluster.get(&route).0, status, "{route}");
    }
}

#[test]
fn the_page_shows_what_is_held() {
    let cluster = Cluster::start();
    assert!(cluster.text("/").contains("No attempt is held."));
    cluster.run(map(0), "echo '<b>' >&2; exit 1");
    cluster.run(map(1), DONE);
    cluster.jobtracker.failure_of(map(0));
    cluster.jobtracker.end_of(map(1));
    let page = cluster.text("/");
    for part in ["This tasktracker runs tasks", OUTPUT, "FAILED", "exited with status 1", "SUCCEEDED", "0 of 2"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let status: serde_json::Value = serde_json::from_str(&cluster.text("/api/v1/status")).unwrap();
    assert_eq!(status["attempts"].as_array().map(Vec::len), Some(2));
    assert_eq!((status["failed"].as_u64(), status["succeeded"].as_u64()), (Some(1), Some(1)));
    assert_eq!(status["programs"].as_array().map(Vec::len), Some(2));
    assert_eq!(status["registered"].as_bool(), Some(true));
}
