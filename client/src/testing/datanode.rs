//! A datanode for tests: replicas in memory, pipelines and reads over the real protocol, failures on demand.

use super::rpc::{self, Answer, Received};
use mammoth_net::data::{DataStream, SocketOptions, datanode_addrs};
use mammoth_protocol::datatransfer::OpRequest;
use mammoth_protocol::datatransfer::ack;
use mammoth_protocol::datatransfer::checksum::default_checksum;
use mammoth_protocol::datatransfer::packet::{HEARTBEAT_SEQNO, PacketHeader, UNKNOWN_SEQNO};
use mammoth_protocol::hadoop::hdfs::{
    self, BlockOpResponseProto, DatanodeInfoProto, PipelineAckProto, Status,
    op_write_block_proto::BlockConstructionStage as Stage,
};
use mammoth_protocol::rpc::RpcFailure;
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// A replica in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replica {
    pub(crate) stamp: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) is_final: bool,
    /// Packets that asked for a sync.
    pub(crate) syncs: u32,
}

/// What goes wrong; each happens once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The node dies as this packet arrives, and stays dead.
    DieAt(i64),
    /// The node answers an error to this packet, and ends the pipeline.
    ErrorAt(i64, Status),
    /// The node neither answers nor forwards this packet or any later one.
    StallAt(i64),
    /// The node dies after it stored and forwarded this packet, before it answers.
    DieAfter(i64),
    /// The node refuses to set a pipeline up.
    RefuseWrite,
    /// The node refuses to read.
    RefuseRead,
    /// A read ends after so many packets.
    CutReadAfter(usize),
    /// A read stops after so many packets, and the connection stays.
    StallReadAfter(usize),
    /// The node hangs up at the second request over a connection.
    HangUpWhenReused,
    /// A byte at this position of the block is not what its checksum says.
    Flip(u64),
}

#[derive(Default)]
struct State {
    replicas: BTreeMap<u64, Replica>,
    faults: Vec<Fault>,
    dead: bool,
    connections: Vec<TcpStream>,
    others: Vec<Weak<FakeDatanode>>,
    heartbeats: u32,
    read_statuses: u32,
    stalled: u32,
    let_go: u32,
    /// Connections over which a block was written serve further requests.
    keeps: bool,
    accepted: u32,
}

pub(crate) struct FakeDatanode {
    info: DatanodeInfoProto,
    state: Mutex<State>,
}

/// Why a pipeline ends.
struct Gone;

impl<E: std::error::Error> From<E> for Gone {
    fn from(_: E) -> Self {
        Self
    }
}

impl FakeDatanode {
    pub(crate) fn start(number: usize) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let node = Arc::new_cyclic(|node: &Weak<Self>| {
            let asked = Weak::clone(node);
            let ipc = rpc::serve(move |call| match asked.upgrade() {
                Some(node) => node.visible_len(&call),
                None => Answer::HangUp,
            });
            let id = hdfs::DatanodeIdProto {
                ip_addr: addr.ip().to_string(),
                host_name: "localhost".to_owned(),
                datanode_uuid: format!("node-{number}"),
                xfer_port: u32::from(addr.port()),
                info_port: 0,
                ipc_port: u32::from(ipc.port()),
                info_secure_port: None,
            };
            let info = DatanodeInfoProto { id, ..DatanodeInfoProto::default() };
            Self { info, state: Mutex::new(State::default()) }
        });
        let serving = Arc::clone(&node);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let node = Arc::clone(&serving);
                std::thread::spawn(move || node.serve(stream));
            }
        });
        node
    }

    pub(crate) fn info(&self) -> DatanodeInfoProto {
        self.info.clone()
    }

    pub(crate) fn addr(&self) -> String {
        format!("{}:{}", self.info.id.ip_addr, self.info.id.xfer_port)
    }

    /// Learns who else there is.
    pub(crate) fn meet(&self, others: &[Arc<Self>]) {
        self.state().others = others.iter().map(Arc::downgrade).collect();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    pub(crate) fn replica(&self, id: u64) -> Option<Replica> {
        self.state().replicas.get(&id).cloned()
    }

    pub(crate) fn heartbeats(&self) -> u32 {
        self.state().heartbeats
    }

    /// Reads that stopped in the middle.
    pub(crate) fn stalled(&self) -> u32 {
        self.state().stalled
    }

    /// Stalled reads whose readers went away.
    pub(crate) fn let_go(&self) -> u32 {
        self.state().let_go
    }

    /// From now on, connections over which a block was written serve further requests.
    pub(crate) fn keep_connections(&self) {
        self.state().keeps = true;
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> u32 {
        self.state().accepted
    }

    /// Ends all connections; new ones are taken.
    pub(crate) fn drop_connections(&self) {
        for stream in self.state().connections.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Readers that said all was well.
    pub(crate) fn read_statuses(&self) -> u32 {
        self.state().read_statuses
    }

    /// Kills it: connections break, new ones are closed at once.
    pub(crate) fn die(&self) {
        let mut state = self.state();
        state.dead = true;
        for stream in state.connections.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn revive(&self) {
        self.state().dead = false;
    }

    fn take_fault(&self, pick: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut state = self.state();
        let at = state.faults.iter().position(pick)?;
        Some(state.faults.remove(at))
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        {
            let mut state = self.state();
            if state.dead {
                return None;
            }
            state.connections.push(stream.try_clone().ok()?);
            state.accepted += 1;
        }
        let mut stream = DataStream::new(stream).ok()?;
        let mut served = 0;
        while let Ok(Some(request)) = stream.reader.read_op() {
            if served > 0 && self.take_fault(|fault| *fault == Fault::HangUpWhenReused).is_some() {
                break;
            }
            let keeps = matches!(request, OpRequest::WriteBlock(_)) && self.state().keeps;
            let outcome = match request {
                OpRequest::WriteBlock(request) => self.write(&mut stream, &request),
                OpRequest::ReadBlock(request) => self.read(&mut stream, &request),
                OpRequest::TransferBlock(request) => self.transfer(&mut stream, &request),
                OpRequest::BlockChecksum(request) => self.checksum(&mut stream, &request),
                _ => Err(Gone),
            };
            if outcome.is_err() || !keeps {
                break;
            }
            served += 1;
        }
        let _ = stream.writer.stream().shutdown(Shutdown::Both);
        Some(())
    }

    // ---- writing ----

    fn write(&self, stream: &mut DataStream, request: &hdfs::OpWriteBlockProto) -> Result<(), Gone> {
        let refuse = |link: String| BlockOpResponseProto {
            status: Status::Error as i32,
            first_bad_link: Some(link),
            ..BlockOpResponseProto::default()
        };
        if self.take_fault(|fault| *fault == Fault::RefuseWrite).is_some() {
            return Ok(stream.writer.send_message(&refuse(String::new()))?);
        }
        let mut downstream = match request.targets.split_first() {
            None => None,
            Some((next, rest)) => match self.forward(request, next, rest) {
                Ok(stream) => Some(stream),
                Err(link) => return Ok(stream.writer.send_message(&refuse(link))?),
            },
        };
        let id = request.header.base_header.block.block_id;
        if !self.set_up(request) {
            return Ok(stream.writer.send_message(&refuse(String::new()))?);
        }
        stream.writer.send_message(&BlockOpResponseProto::default())?;
        if request.stage() == Stage::PipelineCloseRecovery {
            return Ok(());
        }
        while self.packet(id, stream, downstream.as_mut())? {}
        Ok(())
    }

    fn forward(
        &self,
        request: &hdfs::OpWriteBlockProto,
        next: &DatanodeInfoProto,
        rest: &[DatanodeInfoProto],
    ) -> Result<DataStream, String> {
        let link = format!("{}:{}", next.id.ip_addr, next.id.xfer_port);
        let request = hdfs::OpWriteBlockProto { targets: rest.to_vec(), ..request.clone() };
        let connect = || -> Result<_, Gone> {
            let addr = datanode_addrs(&next.id, false)?.remove(0);
            let mut stream = DataStream::connect(addr, &SocketOptions::default())?;
            self.state().connections.push(stream.writer.stream().try_clone()?);
            stream.writer.send_op(&OpRequest::WriteBlock(Box::new(request)))?;
            let response: BlockOpResponseProto = stream.reader.read_message("answer")?;
            Ok((stream, response))
        };
        match connect() {
            Ok((stream, response)) if response.status == Status::Success as i32 => Ok(stream),
            Ok((_, response)) if !response.first_bad_link().is_empty() => Err(response.first_bad_link().to_owned()),
            Ok(_) | Err(Gone) => Err(link),
        }
    }

    /// HDFS's rules about which replica a stage finds; false refuses.
    fn set_up(&self, request: &hdfs::OpWriteBlockProto) -> bool {
        let block = &request.header.base_header.block;
        let mut state = self.state();
        let stage = request.stage();
        if stage == Stage::PipelineSetupCreate {
            let replica = Replica { stamp: block.generation_stamp, ..Replica::default() };
            return state.replicas.insert(block.block_id, replica).is_none();
        }
        let Some(replica) = state.replicas.get_mut(&block.block_id) else { return false };
        let len = replica.data.len() as u64;
        let fits = request.min_bytes_rcvd <= len && len <= request.max_bytes_rcvd;
        let stamp_fits = replica.stamp >= block.generation_stamp && replica.stamp < request.latest_generation_stamp;
        let right_state = match stage {
            Stage::PipelineSetupStreamingRecovery => !replica.is_final,
            Stage::PipelineSetupAppend => replica.is_final,
            _ => true,
        };
        if !fits || !stamp_fits || !right_state {
            return false;
        }
        replica.stamp = request.latest_generation_stamp;
        replica.is_final = stage == Stage::PipelineCloseRecovery;
        true
    }

    /// Takes one packet through; false after the last one.
    fn packet(&self, id: u64, up: &mut DataStream, down: Option<&mut DataStream>) -> Result<bool, Gone> {
        let packet = up.reader.read_packet()?;
        let seqno = packet.header.seqno;
        if seqno == HEARTBEAT_SEQNO {
            self.state().heartbeats += 1;
        } else {
            packet.verify(512)?;
        }
        if self.take_fault(|fault| *fault == Fault::DieAt(seqno)).is_some() {
            self.die();
            return Err(Gone);
        }
        if let Some(Fault::ErrorAt(_, status)) = self.take_fault(|f| matches!(f, Fault::ErrorAt(at, _) if *at == seqno))
        {
            let mut message = PipelineAckProto::default();
            ack::fill(&mut message, UNKNOWN_SEQNO, status, None);
            up.writer.send_message(&message)?;
            return Err(Gone);
        }
        if self.take_fault(|fault| *fault == Fault::StallAt(seqno)).is_some() {
            // Until the other side gives up.
            while up.reader.read_packet().is_ok() {}
            return Err(Gone);
        }
        if seqno != HEARTBEAT_SEQNO {
            self.store(id, &packet.header, packet.data)?;
        }
        let last = packet.header.last;
        let mut message = PipelineAckProto::default();
        if let Some(down) = down {
            let mut below = PipelineAckProto::default();
            let forwarded = down.writer.send_raw(packet.raw).and_then(|()| down.reader.read_ack(&mut below));
            if forwarded.is_err() {
                below.reply = vec![Status::Error as i32];
            }
            ack::fill(&mut message, seqno, Status::Success, Some(&below));
        } else {
            ack::fill(&mut message, seqno, Status::Success, None);
        }
        if self.take_fault(|fault| *fault == Fault::DieAfter(seqno)).is_some() {
            self.die();
            return Err(Gone);
        }
        up.writer.send_message(&message)?;
        let failed = ack::first_failure(&message).is_some();
        if failed { Err(Gone) } else { Ok(!last) }
    }

    fn store(&self, id: u64, header: &PacketHeader, data: &[u8]) -> Result<(), Gone> {
        let mut state = self.state();
        let replica = state.replicas.get_mut(&id).ok_or(Gone)?;
        let offset = usize::try_from(header.offset).unwrap();
        let overlap = replica.data.len().checked_sub(offset).expect("a packet may not leave a gap");
        let known = overlap.min(data.len());
        assert_eq!(replica.data[offset..offset + known], data[..known], "what is sent twice is the same");
        replica.data.extend_from_slice(&data[known..]);
        replica.is_final = header.last;
        replica.syncs += u32::from(header.sync);
        Ok(())
    }

    fn transfer(&self, stream: &mut DataStream, request: &hdfs::OpTransferBlockProto) -> Result<(), Gone> {
        let id = request.header.base_header.block.block_id;
        let replica = self.replica(id).ok_or(Gone)?;
        let others: Vec<_> = self.state().others.iter().filter_map(Weak::upgrade).collect();
        for target in &request.targets {
            let target =
                others.iter().find(|node| node.info.id.datanode_uuid == target.id.datanode_uuid).ok_or(Gone)?;
            target.state().replicas.insert(id, replica.clone());
        }
        Ok(stream.writer.send_message(&BlockOpResponseProto::default())?)
    }

    // ---- reading ----

    fn read(&self, stream: &mut DataStream, request: &hdfs::OpReadBlockProto) -> Result<(), Gone> {
        let block = &request.header.base_header.block;
        let replica = self.replica(block.block_id).filter(|replica| replica.stamp >= block.generation_stamp);
        let refused = self.take_fault(|fault| *fault == Fault::RefuseRead).is_some();
        let Some(replica) = replica.filter(|_| !refused) else {
            let response = BlockOpResponseProto {
                status: Status::Error as i32,
                message: Some("no such replica".to_owned()),
                ..BlockOpResponseProto::default()
            };
            return Ok(stream.writer.send_message(&response)?);
        };
        let from = request.offset - request.offset % 512;
        let to = (request.offset + request.len).next_multiple_of(512).min(replica.data.len() as u64);
        let info = hdfs::ReadOpChecksumInfoProto { checksum: default_checksum(), chunk_offset: from };
        let response = BlockOpResponseProto { read_op_checksum_info: Some(info), ..BlockOpResponseProto::default() };
        stream.writer.send_message(&response)?;
        let cut = self.take_fault(|fault| matches!(fault, Fault::CutReadAfter(_)));
        let stall = self.take_fault(|fault| matches!(fault, Fault::StallReadAfter(_)));
        let flip = self.take_fault(|fault| matches!(fault, Fault::Flip(at) if (from..to).contains(at)));
        let (mut offset, mut seqno) = (from, 0);
        while offset < to {
            if cut == Some(Fault::CutReadAfter(usize::try_from(seqno).unwrap())) {
                return Err(Gone);
            }
            if stall == Some(Fault::StallReadAfter(usize::try_from(seqno).unwrap())) {
                self.state().stalled += 1;
                // Nothing comes but the end of the connection.
                let _ = stream.reader.read_byte();
                self.state().let_go += 1;
                return Err(Gone);
            }
            let end = (offset + 2048).min(to);
            let mut data = replica.data[usize::try_from(offset).unwrap()..usize::try_from(end).unwrap()].to_vec();
            let mut checksums = Vec::new();
            mammoth_protocol::datatransfer::checksum::append_checksums(&mut checksums, &data, 512);
            if let Some(Fault::Flip(at)) = flip
                && (offset..end).contains(&at)
            {
                data[usize::try_from(at - offset).unwrap()] ^= 1;
            }
            let header = PacketHeader { offset, seqno, data_len: data.len(), ..PacketHeader::default() };
            stream.writer.send_packet(&header, &checksums, &data)?;
            (offset, seqno) = (end, seqno + 1);
        }
        let header = PacketHeader { offset, seqno, last: true, ..PacketHeader::default() };
        stream.writer.send_packet(&header, &[], &[])?;
        let status: hdfs::ClientReadStatusProto = stream.reader.read_message("status")?;
        assert_eq!(status.status, Status::ChecksumOk as i32);
        self.state().read_statuses += 1;
        Ok(())
    }

    /// The datanode's side of checksums, written once more and over the data itself.
    fn checksum(&self, stream: &mut DataStream, request: &hdfs::OpBlockChecksumProto) -> Result<(), Gone> {
        let block = &request.header.block;
        let refused = self.take_fault(|fault| *fault == Fault::RefuseRead).is_some();
        let replica = self.replica(block.block_id).filter(|replica| !refused && replica.is_final);
        let options = request.block_checksum_options.unwrap_or_default();
        let response = replica.map(|replica| {
            let data = &replica.data[..replica.data.len().min(usize::try_from(block.num_bytes()).unwrap())];
            let mut sums = Vec::new();
            mammoth_protocol::datatransfer::checksum::append_checksums(&mut sums, data, 512);
            let block_checksum = match options.block_checksum_type() {
                hdfs::BlockChecksumTypeProto::Md5crc => Md5::digest(&sums).to_vec(),
                hdfs::BlockChecksumTypeProto::CompositeCrc => {
                    mammoth_protocol::datatransfer::checksum::crc(data).to_be_bytes().to_vec()
                }
            };
            hdfs::OpBlockChecksumResponseProto {
                bytes_per_crc: 512,
                crc_per_block: replica.data.len().div_ceil(512) as u64,
                block_checksum,
                crc_type: Some(hdfs::ChecksumTypeProto::ChecksumCrc32c as i32),
                block_checksum_options: Some(options),
            }
        });
        let status = if response.is_some() { Status::Success } else { Status::Error } as i32;
        let answer = BlockOpResponseProto { status, checksum_response: response, ..BlockOpResponseProto::default() };
        Ok(stream.writer.send_message(&answer)?)
    }

    fn visible_len(&self, call: &Received) -> Answer {
        let request: hdfs::GetReplicaVisibleLengthRequestProto = call.message();
        match self.replica(request.block.block_id).filter(|_| !self.state().dead) {
            Some(replica) => {
                Answer::of(&hdfs::GetReplicaVisibleLengthResponseProto { length: replica.data.len() as u64 })
            }
            None => Answer::Fail(RpcFailure::application(
                "org.apache.hadoop.hdfs.server.datanode.ReplicaNotFoundException",
                "no such replica",
            )),
        }
    }
}
