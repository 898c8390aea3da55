//! One cell on a lane: a client works until the moment is there, somebody is harmed, the work goes on if it can, and what is
//! there is compared with what was acknowledged.

use super::cells::{Cell, Mode, Outcome, Victim};
use super::moments;
use crate::harness::{BlockOf, Flow, LIMIT, NAMES, StepClient, Stopwatch, Way, Wired, poll};
use mammoth_client::{DfsClient, FileWriter};
use mammoth_integration_tests::content::{content, difference};
use mammoth_protocol::DfsPath;
use rustix::process::Signal;
use std::io::{Read, Write};
use std::time::Duration;

/// How long somebody is stopped whom others cannot do without.
const STOPPED_FOR: Duration = Duration::from_secs(2);
/// Bytes that somebody else appends at the end.
const APPENDED: u64 = 1_000;

/// What is known of a file.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) path: String,
    pub(super) seed: u64,
    /// Bytes that were acknowledged, so that every reader has to get them.
    pub(super) sure: u64,
    /// Bytes that may be there.
    pub(super) most: u64,
}

impl Known {
    fn dfs_path(&self) -> DfsPath {
        DfsPath::parse(&self.path).expect("a path")
    }

    /// Reads the file, and tells its length.
    ///
    /// # Errors
    /// It cannot be read, for now.
    ///
    /// # Panics
    /// It is read, and is not what was acknowledged.
    pub(super) fn read(&self, client: &DfsClient) -> Result<u64, String> {
        let mut bytes = Vec::new();
        let mut reader = client.open(&self.dfs_path()).map_err(|e| e.to_string())?;
        reader.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        if let Some(at) = difference(self.seed, &bytes) {
            panic!("{}: of {} bytes number {at} is wrong", self.path, bytes.len());
        }
        let len = bytes.len() as u64;
        let range = self.sure..=self.most;
        assert!(
            range.contains(&len),
            "{}: {len} bytes, acknowledged were {}, sent {}",
            self.path,
            self.sure,
            self.most
        );
        Ok(len)
    }

    /// As [`Self::read`], for somebody who does not care how long it is.
    pub(super) fn check(&self, client: &DfsClient) -> Result<(), String> {
        self.read(client).map(drop)
    }
}

/// What keeps things as they are at the moment.
#[derive(Clone, Debug)]
pub(super) enum Held {
    Nothing,
    /// An answer of the namenode.
    Answer,
    /// A message of a datanode to the namenode.
    Report,
    /// What comes to this datanode.
    Transfer(String),
    /// What this datanode answers.
    Acks(String),
}

/// A cell under way.
pub(super) struct Scene<'a> {
    pub(super) lane: &'a Wired,
    pub(super) cell: Cell,
    pub(super) client: StepClient,
    pub(super) file: Known,
    pub(super) pipeline: Vec<String>,
    pub(super) held: Held,
    /// What was acknowledged before the harm, in words.
    pub(super) told: String,
}

impl<'a> Scene<'a> {
    /// Plays a cell to its end.
    pub(super) fn play(lane: &'a Wired, cell: Cell, number: usize) -> (Outcome, Known) {
        let seed = 1_000 + number as u64;
        let path = format!("/cell-{number}/file");
        let file = Known { path, seed, sure: 0, most: 0 };
        let (pipeline, told) = (Vec::new(), String::new());
        let mut client = lane.step_client();
        // It knows its namenode by then, so that it waits for one that restarts.
        client.ask(&format!("mkdir /cell-{number}"));
        let mut scene = Self { lane, cell, client, file, pipeline, held: Held::Nothing, told };
        eprintln!("{cell:?}");
        moments::reach(&mut scene);
        let watch = Stopwatch::start();
        scene.harm();
        let alive = cell.victim != Victim::Client;
        if alive {
            moments::go_on(&mut scene);
        }
        let onlooker = lane.onlooker();
        let file = scene.file.clone();
        poll(&format!("{cell:?}: what was acknowledged can be read"), LIMIT, || file.check(&onlooker));
        let readable = watch.elapsed();
        scene.append_by_another(&onlooker);
        let writable = watch.elapsed();
        if !alive && cell.mode == Mode::Stop {
            scene.awake();
        }
        scene.file.check(&onlooker).unwrap_or_else(|reason| panic!("{cell:?}: {reason}"));
        let outcome = Outcome { cell, acknowledged: scene.told.clone(), readable, writable };
        (outcome, scene.file)
    }

    /// A step of the client that must succeed.
    #[track_caller]
    pub(super) fn ask(&mut self, step: &str) -> String {
        self.client.ask(step)
    }

    /// The client creates the file.
    pub(super) fn create(&mut self, replicas: u16) {
        let step = format!("create {} {replicas}", self.file.path);
        self.ask(&step);
    }

    /// The client writes up to this length.
    pub(super) fn write_to(&mut self, to: u64) {
        let step = format!("write {} {} {to}", self.file.seed, self.file.most);
        self.ask(&step);
        self.file.most = to;
    }

    /// The client flushes what it wrote, and is told that all datanodes have it.
    pub(super) fn flush(&mut self) {
        self.ask("hflush");
        self.file.sure = self.file.most;
    }

    /// The client writes up to this length and closes the file.
    pub(super) fn write_and_close(&mut self, to: u64) {
        self.write_to(to);
        self.ask("close");
        self.file.sure = to;
    }

    /// Notes the pipeline that the client writes to now, in its order, and gives the block.
    pub(super) fn note_pipeline(&mut self) -> BlockOf {
        let pid = self.client.pid();
        let (block, names) = poll("three datanodes in a row", LIMIT, || {
            let names = self.lane.cluster.order_of_pipeline(pid)?;
            let (block, known) = self.lane.pipeline(&self.file.path)?;
            let same = names.iter().all(|name| known.contains(name));
            if same { Ok((block, names)) } else { Err(format!("{names:?}, {known:?}")) }
        });
        self.pipeline = names;
        block
    }

    /// Waits until nothing is being done to the file's last block.
    pub(super) fn await_closed(&self) {
        let (client, path) = (self.lane.onlooker(), self.file.dfs_path());
        poll(&format!("{:?}: the file is closed", self.cell), LIMIT, || match client.is_file_closed(&path) {
            Ok(true) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    fn harmed_datanode(&self) -> Option<&str> {
        let place = self.cell.victim.place()?;
        // A copy has two ends, the last of which is the second.
        self.pipeline.get(place.min(self.pipeline.len() - 1)).map(String::as_str)
    }

    fn harm(&mut self) {
        let cluster = &self.lane.cluster;
        match (self.cell.victim, self.cell.mode) {
            (Victim::Namenode, Mode::Kill) => {
                cluster.kill("namenode");
                self.release(true);
                cluster.restart("namenode").ok();
            }
            (Victim::Namenode, Mode::Stop) => {
                cluster.signal("namenode", Signal::STOP);
                self.release(false);
                let watch = Stopwatch::start();
                poll("time passes", LIMIT, || if watch.elapsed() > STOPPED_FOR { Ok(()) } else { Err(String::new()) });
                cluster.signal("namenode", Signal::CONT);
            }
            (Victim::Client, Mode::Kill) => {
                self.client.kill();
                self.release(false);
            }
            (Victim::Client, Mode::Stop) => {
                self.client.signal(Signal::STOP);
                self.release(false);
            }
            (_, mode) => {
                let name = self.harmed_datanode().expect("a datanode").to_owned();
                match mode {
                    Mode::Kill => cluster.kill(&name),
                    Mode::Stop => cluster.signal(&name, Signal::STOP),
                }
                self.release(mode == Mode::Kill);
            }
        }
    }

    /// What was held goes on. `died`: what the victim itself had sent last is lost with it.
    fn release(&mut self, died: bool) {
        let lane = self.lane;
        let held = std::mem::replace(&mut self.held, Held::Nothing);
        let victim = self.harmed_datanode();
        match held {
            Held::Nothing => {}
            Held::Answer if died && self.cell.victim == Victim::Namenode => lane.rpc.lose(),
            Held::Answer => lane.rpc.let_go(),
            Held::Report if died => lane.internal.lose(),
            Held::Report => lane.internal.let_go(),
            Held::Transfer(name) => lane.transfer(&name).let_go(),
            Held::Acks(name) => {
                let proxy = lane.transfer(&name);
                if died && victim == Some(&name) {
                    proxy.sever();
                }
                proxy.set(Way::Down, Flow::Pass);
            }
        }
    }

    /// Somebody else appends to the file, as soon as it may.
    fn append_by_another(&mut self, client: &DfsClient) {
        let what = format!("{:?}: somebody else appends", self.cell);
        let path = self.file.dfs_path();
        let mut writer: FileWriter = poll(&what, LIMIT, || client.append(&path).map_err(|e| e.to_string()));
        let at = writer.position();
        let known = &self.file;
        assert!((known.sure..=known.most).contains(&at), "{known:?}: appending begins at {at}");
        writer.write_all(&content(known.seed, at, at + APPENDED)).expect("written");
        let len = writer.close().expect("closed");
        assert_eq!(len, at + APPENDED);
        (self.file.sure, self.file.most) = (len, len);
    }

    /// A client that was stopped goes on: the file is another's now, and it must not claim otherwise.
    fn awake(&mut self) {
        self.client.signal(Signal::CONT);
        if self.told_pending() {
            // All datanodes had these bytes when it was stopped, so this answer may be either.
            assert!(self.client.answer_within(LIMIT).is_some(), "{:?}: it answers", self.cell);
        }
        self.client.tell("close");
        let answer = self.client.answer_within(LIMIT).expect("it answers");
        assert!(!answer.starts_with("done"), "{:?}: it lost the file, and says: {answer}", self.cell);
    }

    fn told_pending(&self) -> bool {
        self.cell.moment == super::cells::Moment::Hflush
    }
}

/// A datanode, where it does not matter which.
pub(super) fn any_datanode() -> String {
    NAMES[0].to_owned()
}
