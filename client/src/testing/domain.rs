//! Unix sockets by which fake datanodes give open files away, and what may go wrong there.

use super::datanode::{FakeDatanode, Replica};
use mammoth_net::data::{DataReader, DataWriter, domain};
use mammoth_protocol::datatransfer::{OpRequest, checksum};
use mammoth_protocol::hadoop::hdfs::{BlockOpResponseProto, Status};
use std::fs::File;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// How a datanode answers a request for files, from now on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    /// As it should.
    Good,
    /// The byte at this position of the data is wrong.
    Flip(usize),
    /// The data ends here.
    Cut(usize),
    /// The checksums have no header.
    NoHeader,
    /// It refuses, with this status.
    Refuse(Status),
    /// It says success and gives nothing.
    NoFiles,
    /// It closes the connection.
    HangUp,
}

struct State {
    manner: Manner,
    requests: u32,
}

/// The socket of one datanode.
pub(crate) struct LocalDoor {
    node: Arc<FakeDatanode>,
    dir: tempfile::TempDir,
    state: Mutex<State>,
}

impl LocalDoor {
    /// Opens the door of `node` at its place by `pattern`.
    pub(crate) fn open(pattern: &str, node: &Arc<FakeDatanode>) -> Arc<Self> {
        let port = u16::try_from(node.info().id.xfer_port).unwrap();
        let listener = domain::listen(&domain::effective_path(pattern, port)).unwrap();
        let state = Mutex::new(State { manner: Manner::Good, requests: 0 });
        let door = Arc::new(Self { node: Arc::clone(node), dir: tempfile::tempdir().unwrap(), state });
        let serving = Arc::clone(&door);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serving.serve(&stream);
            }
        });
        door
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.state().manner = manner;
    }

    /// How often it was asked for files.
    pub(crate) fn requests(&self) -> u32 {
        self.state().requests
    }

    fn serve(&self, stream: &UnixStream) {
        let mut output = DataWriter::new(stream);
        while let Ok(Some(OpRequest::ShortCircuitFds(request))) = DataReader::new(stream).read_op() {
            let manner = {
                let mut state = self.state();
                state.requests += 1;
                state.manner
            };
            let replica = self.node.replica(request.header.block.block_id).filter(|replica| replica.is_final);
            let status = match (manner, &replica) {
                (Manner::HangUp, _) => return,
                (Manner::Refuse(status), _) => status,
                (_, None) => Status::Error,
                _ => Status::Success,
            };
            let answer = BlockOpResponseProto { status: status as i32, ..BlockOpResponseProto::default() };
            output.send_message(&answer).unwrap();
            if let (Status::Success, Some(replica)) = (status, replica) {
                if manner == Manner::NoFiles {
                    return;
                }
                let (data, meta) = files(self.dir.path(), &replica, manner);
                domain::send_files(stream, 0, [&data, &meta]).unwrap();
            }
        }
    }
}

fn files(dir: &Path, replica: &Replica, manner: Manner) -> (File, File) {
    let mut data = replica.data.clone();
    let mut sums = checksum::encode_meta_header(512).to_vec();
    checksum::append_checksums(&mut sums, &data, 512);
    match manner {
        Manner::Flip(at) => data[at] ^= 1,
        Manner::Cut(len) => data.truncate(len),
        Manner::NoHeader => sums[..7].fill(0),
        _ => {}
    }
    let open = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        let _ = std::fs::remove_file(&path);
        File::create(&path).unwrap().write_all(bytes).unwrap();
        File::open(&path).unwrap()
    };
    (open("data", &data), open("meta", &sums))
}
