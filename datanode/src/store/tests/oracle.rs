//! Random sequences of writing, failing and going on, against a plain vector of bytes.

use crate::store::testing::{block, bytes, create, open, read, resume, send};
use crate::store::{ReplicaWriter, Resume, Store};
use mammoth_protocol::{Block, GenStamp};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    /// Send so many bytes in packets of that size, beginning so many bytes before the end.
    Send { len: usize, packet: usize, overlap: usize },
    /// Everything is acknowledged.
    Ack,
    /// The pipeline breaks, and goes on.
    Break,
    /// The block is closed, and opened again for appending.
    Append,
    /// The datanode is killed; the block is recovered and opened again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_usize..2500, 1_usize..1500, 0_usize..700)
            .prop_map(|(len, packet, overlap)| Step::Send { len, packet, overlap }),
        3 => Just(Step::Ack),
        2 => Just(Step::Break),
        2 => Just(Step::Append),
        1 => Just(Step::Restart),
    ]
}

struct World<'a> {
    dir: &'a Path,
    store: Option<Arc<Store>>,
    writer: Option<ReplicaWriter>,
    stamp: u64,
    /// Bytes that a reader must find, and bytes that are on the disk.
    acked: u64,
    len: u64,
}

impl World<'_> {
    fn store(&self) -> Arc<Store> {
        Arc::clone(self.store.as_ref().expect("open"))
    }

    fn present(&self) -> Block {
        block(1, self.stamp)
    }

    fn resume(&mut self, how: Resume) {
        let from = self.present();
        self.stamp += 1;
        self.writer = Some(resume(&self.store(), from, self.stamp, how).expect("goes on"));
        self.len = self.acked;
    }

    fn run(&mut self, step: &Step) {
        let writer = self.writer.as_mut().expect("always open");
        match *step {
            Step::Send { len, packet, overlap } => {
                let from = self.len.saturating_sub(overlap as u64);
                send(writer, from, &bytes(from, len), packet).expect("written");
                self.len = self.len.max(from + len as u64);
            }
            Step::Ack => {
                writer.ticket().set_acked(self.len);
                self.acked = self.len;
            }
            Step::Break => {
                self.writer = None;
                self.resume(Resume::RecoverStreaming { acked: self.acked, sent: self.len });
            }
            Step::Append => {
                self.store().finalize(self.writer.take().expect("open").ticket(), false).expect("closed");
                self.acked = self.len;
                self.resume(Resume::Append { len: self.len });
            }
            Step::Restart => {
                self.writer = None;
                self.store = None;
                self.store = Some(open(self.dir));
                let recovery = GenStamp(self.stamp + 1);
                let found = self.store().init_recovery(self.present(), recovery).expect("fits").expect("is there");
                assert_eq!(found.block.len, self.len, "nothing that had reached the disk is lost");
                self.store().update_recovery(self.present(), recovery, self.acked).expect("cut");
                self.stamp += 1;
                self.resume(Resume::Append { len: self.acked });
            }
        }
        assert_eq!(self.writer.as_ref().expect("open").block().len, self.len);
        assert_eq!(read(&self.store(), self.present()).expect("readable"), bytes(0, self.len as usize));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_replica_is_always_what_was_sent(steps in prop::collection::vec(step(), 1..25)) {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(dir.path());
        let writer = create(&store, block(1, 1), false).expect("created");
        let mut world =
            World { dir: dir.path(), store: Some(store), writer: Some(writer), stamp: 1, acked: 0, len: 0 };
        for step in &steps {
            world.run(step);
        }
        let store = world.store();
        store.finalize(world.writer.take().expect("open").ticket(), false).expect("closed");
        prop_assert_eq!(read(&store, world.present()).expect("readable"), bytes(0, world.len as usize));
        drop((store, world.store.take()));
        let store = open(dir.path());
        prop_assert_eq!(read(&store, world.present()).expect("readable"), bytes(0, world.len as usize));
        let used = world.len + 7 + world.len.div_ceil(512) * 4;
        prop_assert_eq!(store.usage()[0].used, used, "the books balance");
    }
}
