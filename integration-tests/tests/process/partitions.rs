//! Networks that carry one direction and not the other: between a client and a datanode, between two datanodes, between a
//! datanode and the namenode. Whoever writes ends with the right bytes, whoever reads goes on elsewhere.

use crate::harness::{Flow, LIMIT, StepClient, Way, Wired, bytes_of, poll};
use mammoth_integration_tests::content::difference;
use mammoth_protocol::DfsPath;
use std::io::Read;
use std::time::Duration;

const FLUSHED: u64 = 300_000;
const WHOLE: u64 = (1 << 20) + 300_000;

/// Which ways carry nothing.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Up,
    Down,
    Both,
}

impl Cut {
    const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Both];

    fn ways(self) -> &'static [Way] {
        match self {
            Self::Up => &[Way::Up],
            Self::Down => &[Way::Down],
            Self::Both => &[Way::Up, Way::Down],
        }
    }
}

/// A file that is written, or appended to, with so many bytes flushed.
fn begun(wired: &Wired, appending: bool) -> (StepClient, Vec<String>) {
    let mut client = wired.step_client();
    client.ask("create /a 3");
    client.ask("write 9 0 100000");
    if appending {
        client.ask("close");
        // The replicas that the namenode knows become the pipeline.
        poll("three replicas are known", LIMIT, || {
            let ports = wired.cluster.blocks("/a")?[0].ports.len();
            if ports == 3 { Ok(()) } else { Err(format!("{ports} replicas")) }
        });
        client.ask("append /a");
    }
    client.ask(&format!("write 9 100000 {FLUSHED}"));
    client.ask("hflush");
    let pid = client.pid();
    let pipeline = poll("its pipeline", LIMIT, || wired.cluster.order_of_pipeline(pid));
    (client, pipeline)
}

/// The client writes on and closes; everything is there, also for a reader behind the same network.
fn goes_on(wired: &Wired, mut client: StepClient, what: &str) {
    client.ask(&format!("write 9 {FLUSHED} {WHOLE}"));
    client.ask("close");
    let read = wired.cluster.dfs(&["cat", "/a"]).ok();
    assert_eq!((read.out.len() as u64, difference(9, &read.out)), (WHOLE, None), "{what}");
    assert!(read.took < Duration::from_secs(45), "{what}: {:?}", read.took);
}

/// Three replicas of everything once the network is well.
fn mended(wired: &Wired, what: &str) {
    wired.heal();
    poll(&format!("{what}: three replicas of each block"), LIMIT, || {
        let blocks = wired.cluster.blocks("/a")?;
        if blocks.iter().all(|block| block.ports.len() == 3) { Ok(()) } else { Err(format!("{blocks:?}")) }
    });
    let mut bytes = Vec::new();
    let path = DfsPath::parse("/a").expect("a path");
    wired.onlooker().open(&path).expect("opens").read_to_end(&mut bytes).expect("reads");
    assert_eq!((bytes.len() as u64, difference(9, &bytes)), (WHOLE, None), "{what}");
}

/// The three cuts on three clusters at a time, as each mostly waits.
fn each_cut(scene: impl Fn(Cut) + Sync) {
    std::thread::scope(|scope| {
        for cut in Cut::ALL {
            let scene = &scene;
            scope.spawn(move || scene(cut));
        }
    });
}

/// Swallows what goes to the datanode at this place of the pipeline: from the client for the first, from another datanode for
/// the second.
fn cut_in_the_pipeline(place: usize, appending: bool) {
    each_cut(|cut| {
        let what = format!("{cut:?} at place {place}");
        let wired = Wired::start();
        let (client, pipeline) = begun(&wired, appending);
        let stamp = || wired.cluster.blocks("/a").expect("blocks")[0].stamp;
        let before = stamp();
        cut.ways().iter().for_each(|way| wired.transfer(&pipeline[place]).set(*way, Flow::Swallow));
        goes_on(&wired, client, &what);
        assert!(stamp() > before, "{what}: the pipeline was not rebuilt, so nothing was cut");
        mended(&wired, &what);
    });
}

#[test]
fn a_put_goes_on_when_client_and_first_datanode_are_parted() {
    cut_in_the_pipeline(0, false);
}

#[test]
fn an_append_goes_on_when_client_and_first_datanode_are_parted() {
    cut_in_the_pipeline(0, true);
}

#[test]
fn a_put_goes_on_when_two_datanodes_are_parted() {
    cut_in_the_pipeline(1, false);
}

/// A datanode of the pipeline and the namenode do not hear each other, long enough that it is taken for dead.
#[test]
fn a_put_goes_on_when_a_datanode_and_the_namenode_are_parted() {
    each_cut(|cut| {
        let what = format!("{cut:?} between namenode and datanode");
        let wired = Wired::start();
        let (client, pipeline) = begun(&wired, false);
        wired.internal.only(wired.cluster.pid(&pipeline[1]).as_raw_nonzero().get());
        cut.ways().iter().for_each(|way| wired.internal.set(*way, Flow::Swallow));
        if !matches!(cut, Cut::Down) {
            poll("the datanode is missed", LIMIT, || {
                let health = wired.cluster.status()?["health"].clone();
                if health["dead"] == 1 { Ok(()) } else { Err(health.to_string()) }
            });
        }
        goes_on(&wired, client, &what);
        mended(&wired, &what);
    });
}

/// The network between clients and all datanodes is slow, and so is that to the namenode.
#[test]
fn slow_networks_cost_time_only() {
    let wired = Wired::start();
    let slow = Flow::Delay(Duration::from_millis(40));
    wired.transfers.iter().chain([&wired.rpc, &wired.internal]).for_each(|proxy| proxy.set_both(slow));
    let (client, _) = begun(&wired, false);
    goes_on(&wired, client, "slow");
    mended(&wired, "slow");
}

/// Nobody can reach any datanode: who writes is told so, in time and in one line, and nothing remains in the way.
#[test]
fn a_put_that_reaches_no_datanode_ends_with_a_clear_error() {
    let wired = Wired::start();
    wired.transfers.iter().for_each(|proxy| proxy.set_both(Flow::Swallow));
    let run = wired.cluster.dfs_with(&["put", "-", "/lost"], &bytes_of(91, 400_000));
    assert_eq!((run.code, run.err.lines().count()), (1, 1), "{}", run.err);
    assert!(run.err.starts_with("put: ") && run.err.contains("/lost"), "{}", run.err);
    wired.calm();
    let bytes = bytes_of(92, 400_000);
    wired.cluster.put("/lost", &bytes);
    assert!(wired.cluster.cat("/lost") == bytes);
}
