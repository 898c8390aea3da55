//! A namenode and datanodes for tests: they speak the real protocols over loopback, keep everything in memory, and fail
//! when told to.

pub(crate) mod datanode;
pub(crate) mod domain;
pub(crate) mod namenode;
pub(crate) mod rpc;

use crate::{ClientConfig, CreateOptions, DfsClient};
use datanode::FakeDatanode;
use mammoth_protocol::DfsPath;
use namenode::FakeNamenode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A namenode, some datanodes, and a client of them.
pub(crate) struct Cluster {
    pub(crate) namenode: FakeNamenode,
    pub(crate) datanodes: Vec<Arc<FakeDatanode>>,
    pub(crate) client: DfsClient,
}

impl Cluster {
    pub(crate) fn start(datanodes: usize) -> Self {
        Self::start_with(datanodes, |_| {})
    }

    /// A cluster with 1 MiB blocks and small packets, whose client's configuration may be changed before.
    pub(crate) fn start_with(datanodes: usize, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let datanodes: Vec<_> = (0..datanodes).map(FakeDatanode::start).collect();
        for node in &datanodes {
            node.meet(&datanodes);
        }
        let namenode = FakeNamenode::start(datanodes.iter().map(|node| node.info()).collect());
        let mut config = ClientConfig::for_uri(&namenode.address).unwrap();
        config.user = "tester".to_owned();
        config.block_size = 64 * 1024;
        config.packet_data = 4096;
        config.write_buffer = 64 * 1024;
        config.socket_timeout = Duration::from_secs(20);
        config.first_connect_budget = Duration::ZERO;
        config.reconnect_budget = Duration::from_secs(5);
        change(&mut config);
        let client = DfsClient::connect(config).unwrap();
        Self { namenode, datanodes, client }
    }

    pub(crate) fn create(&self) -> crate::FileWriter {
        self.client.create(&path(), CreateOptions::default()).unwrap()
    }

    /// Bytes of the file as the datanodes `nodes` have it, checked against the blocks that the namenode knows.
    pub(crate) fn stored(&self, node: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for block in self.namenode.blocks() {
            let replica = self.datanodes.get(node)?.replica(block.block_id)?;
            let is_whole = replica.is_final && replica.stamp == block.generation_stamp;
            if !is_whole || replica.data.len() as u64 != block.num_bytes() {
                return None;
            }
            bytes.extend_from_slice(&replica.data);
        }
        Some(bytes)
    }

    /// Nodes that have the whole file.
    pub(crate) fn holders(&self, expected: &[u8]) -> Vec<usize> {
        (0..self.datanodes.len()).filter(|node| self.stored(*node).as_deref() == Some(expected)).collect()
    }
}

pub(crate) fn path() -> DfsPath {
    DfsPath::parse("/dir/file").unwrap()
}

/// Bytes without a period that chunks or packets could hide.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut state = 12_345_u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..len).map(|_| byte()).collect()
}

/// Waits until something holds, and fails the test if it does not within ten seconds.
#[expect(clippy::disallowed_methods, reason = "a test's own deadline")]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < end, "not within ten seconds: {what}");
        std::thread::yield_now();
    }
}
