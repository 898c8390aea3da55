//! Hadoop RPC: what a server and a client read from a connection, and the messages inside.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mammoth_protocol::hadoop::{extended_block, hdfs};
use mammoth_protocol::rpc::{
    self, Auth, ConnectionContext, FRAME_PREFIX, Incoming, Outcome, Preamble, ReplyTo, RpcFailure, SaslState,
};
use mammoth_protocol::{Block, BlockId, GenStamp};
use prost::Message;
use prost::encoding::{DecodeContext, WireType};

/// Longest frame that a server takes by default.
const FRAME_MAX: usize = 4 << 20;

pub(super) fn preamble(bytes: &[u8]) {
    let whole = rpc::parse_preamble(bytes);
    if let Ok(Some(preamble)) = whole {
        assert!(bytes.starts_with(&preamble.encode()));
    }
    for cut in 0..bytes.len().min(8) {
        // What a beginning was judged to be holds for all that begins so.
        match rpc::parse_preamble(bytes.get(..cut).unwrap_or_default()) {
            Ok(None) => {}
            judged => assert_eq!(judged, whole),
        }
    }
}

pub(super) fn preamble_seeds() -> Vec<Vec<u8>> {
    let opening = |auth| Preamble { service_class: 0, auth }.encode().to_vec();
    vec![opening(Auth::None), opening(Auth::Sasl), b"GET / HTTP/1.1".to_vec(), b"hrpc\x08\0\0".to_vec()]
}

/// Takes frames off a stream of bytes.
fn each_frame(bytes: &[u8], mut each: impl FnMut(Bytes)) {
    let mut rest = bytes;
    while let Ok(Some(len)) = rpc::frame_len(rest, FRAME_MAX) {
        let Some((frame, after)) = rest.get(FRAME_PREFIX..).and_then(|body| body.split_at_checked(len)) else { return };
        each(Bytes::copy_from_slice(frame));
        rest = after;
    }
}

/// The one frame in a buffer.
fn only_frame(buffer: &BytesMut) -> Bytes {
    assert_eq!(rpc::frame_len(buffer, usize::MAX), Ok(Some(buffer.len() - FRAME_PREFIX)));
    Bytes::copy_from_slice(buffer.get(FRAME_PREFIX..).unwrap_or_default())
}

pub(super) fn server(bytes: &[u8]) {
    each_frame(bytes, |frame| match rpc::decode_request(frame) {
        Ok(Incoming::Call(call)) => {
            let mut again = BytesMut::new();
            let payload = Encoded(call.payload.clone());
            rpc::encode_call(&mut again, &call.reply_to, &call.protocol, &call.method, &payload, usize::MAX)
                .expect("it came in a frame");
            let Ok(Incoming::Call(back)) = rpc::decode_request(only_frame(&again)) else { panic!("its own call") };
            // What a client of ours never sends: another version, a context.
            let expected = rpc::Call { version: rpc::PROTOCOL_VERSION, caller_context: None, ..call };
            assert_eq!(back, expected);
        }
        Ok(Incoming::Context(context)) => {
            let mut again = BytesMut::new();
            rpc::encode_context(&mut again, [7; 16], &context);
            assert_eq!(rpc::decode_request(only_frame(&again)), Ok(Incoming::Context(context)));
        }
        Ok(Incoming::Sasl(_, message)) => {
            let mut again = BytesMut::new();
            rpc::encode_sasl(&mut again, &message);
            let Ok(Incoming::Sasl(_, back)) = rpc::decode_request(only_frame(&again)) else { panic!("its own step") };
            assert_eq!(back, message);
        }
        Ok(Incoming::Ping) => {}
        Err(fatal) => {
            let mut answer = BytesMut::new();
            rpc::encode_fatal(&mut answer, &fatal.reply_to, &fatal.failure);
            let back = rpc::decode_response(only_frame(&answer)).expect("its own answer");
            assert_eq!((back.call_id, back.outcome), (fatal.reply_to.call_id, Outcome::Fatal(fatal.failure)));
        }
    });
}

/// A message that is encoded already.
#[derive(Debug, Default)]
struct Encoded(Bytes);

impl Message for Encoded {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buffer, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

pub(super) fn server_seeds() -> Vec<Vec<u8>> {
    let mut out = BytesMut::new();
    let context = ConnectionContext {
        user: "ann".to_owned(),
        real_user: Some("bob".to_owned()),
        protocol: mammoth_protocol::hadoop::CLIENT_PROTOCOL.to_owned(),
    };
    rpc::encode_context(&mut out, [1; 16], &context);
    let to = ReplyTo { call_id: 5, client_id: Some([1; 16]), retry_count: 0 };
    let request = hdfs::GetFileInfoRequestProto { src: "/a".to_owned() };
    let called = rpc::encode_call(&mut out, &to, &context.protocol, "getFileInfo", &request, usize::MAX);
    called.expect("it is short");
    let mut sasl = BytesMut::new();
    rpc::encode_sasl(&mut sasl, &mammoth_protocol::hadoop::common::RpcSaslProto::default());
    rpc::encode_ping(&mut sasl, [1; 16]);
    vec![out.to_vec(), sasl.to_vec()]
}

pub(super) fn client(bytes: &[u8]) {
    each_frame(bytes, |frame| {
        let Ok(response) = rpc::decode_response(frame) else { return };
        let to = ReplyTo { call_id: response.call_id, client_id: response.client_id, retry_count: -1 };
        let mut again = BytesMut::new();
        match &response.outcome {
            Outcome::Success(payload) => rpc::encode_success(&mut again, &to, payload),
            Outcome::Error(failure) => rpc::encode_failure(&mut again, &to, failure),
            Outcome::Fatal(failure) => rpc::encode_fatal(&mut again, &to, failure),
        }
        assert_eq!(rpc::decode_response(only_frame(&again)), Ok(response));
    });
}

pub(super) fn client_seeds() -> Vec<Vec<u8>> {
    let to = ReplyTo { call_id: 5, client_id: Some([1; 16]), retry_count: 0 };
    let mut success = BytesMut::new();
    rpc::encode_success(&mut success, &to, &[1, 2, 3]);
    let mut failure = BytesMut::new();
    rpc::encode_failure(&mut failure, &to, &RpcFailure::application("java.io.IOException", "no such thing"));
    rpc::encode_sasl_reply(&mut failure, &to, SaslState::Success);
    let mut fatal = BytesMut::new();
    rpc::encode_fatal(&mut fatal, &to, &RpcFailure::version_mismatch(8));
    vec![success.to_vec(), failure.to_vec(), fatal.to_vec()]
}

/// Decodes a message, and encodes and decodes it again.
fn message<M: Message + Default + PartialEq>(bytes: &[u8]) {
    if let Ok(message) = M::decode(bytes) {
        assert!(M::decode(message.encode_to_vec().as_slice()).as_ref() == Ok(&message));
    }
}

/// Kinds of messages, by their place.
const KINDS: &[fn(&[u8])] = &[
    message::<hdfs::AbandonBlockRequestProto>,
    message::<hdfs::AddBlockRequestProto>,
    message::<hdfs::AppendRequestProto>,
    message::<hdfs::CheckAccessRequestProto>,
    message::<hdfs::CompleteRequestProto>,
    message::<hdfs::ConcatRequestProto>,
    message::<hdfs::CreateRequestProto>,
    message::<hdfs::DeleteRequestProto>,
    message::<hdfs::FsyncRequestProto>,
    message::<hdfs::GetAdditionalDatanodeRequestProto>,
    message::<hdfs::GetBlockLocationsRequestProto>,
    message::<hdfs::GetContentSummaryRequestProto>,
    message::<hdfs::GetDatanodeReportRequestProto>,
    message::<hdfs::GetFileInfoRequestProto>,
    message::<hdfs::GetListingRequestProto>,
    message::<hdfs::GetLocatedFileInfoRequestProto>,
    message::<hdfs::ListOpenFilesRequestProto>,
    message::<hdfs::MkdirsRequestProto>,
    message::<hdfs::RecoverLeaseRequestProto>,
    message::<hdfs::RenameRequestProto>,
    message::<hdfs::Rename2RequestProto>,
    message::<hdfs::RenewLeaseRequestProto>,
    message::<hdfs::ReportBadBlocksRequestProto>,
    message::<hdfs::SaveNamespaceRequestProto>,
    message::<hdfs::SetOwnerRequestProto>,
    message::<hdfs::SetPermissionRequestProto>,
    message::<hdfs::SetReplicationRequestProto>,
    message::<hdfs::SetSafeModeRequestProto>,
    message::<hdfs::SetTimesRequestProto>,
    message::<hdfs::TruncateRequestProto>,
    message::<hdfs::UpdateBlockForPipelineRequestProto>,
    message::<hdfs::UpdatePipelineRequestProto>,
    message::<hdfs::GetReplicaVisibleLengthRequestProto>,
    message::<hdfs::AddBlockResponseProto>,
    message::<hdfs::AppendResponseProto>,
    message::<hdfs::BlockOpResponseProto>,
    message::<hdfs::CreateResponseProto>,
    message::<hdfs::GetAdditionalDatanodeResponseProto>,
    message::<hdfs::GetBlockLocationsResponseProto>,
    message::<hdfs::GetContentSummaryResponseProto>,
    message::<hdfs::GetDatanodeReportResponseProto>,
    message::<hdfs::GetFileInfoResponseProto>,
    message::<hdfs::GetFsStatsResponseProto>,
    message::<hdfs::GetListingResponseProto>,
    message::<hdfs::GetServerDefaultsResponseProto>,
    message::<hdfs::ListOpenFilesResponseProto>,
    message::<hdfs::OpBlockChecksumResponseProto>,
    message::<hdfs::UpdateBlockForPipelineResponseProto>,
    mammoth_client::fuzzing::file_status,
    mammoth_client::fuzzing::listing,
    mammoth_client::fuzzing::block_locations,
    mammoth_client::fuzzing::datanode,
    mammoth_client::fuzzing::server_defaults,
];

/// The first byte chooses the kind of message.
pub(super) fn bodies(bytes: &[u8]) {
    if let Some((kind, body)) = bytes.split_first()
        && let Some(decode) = KINDS.get(usize::from(*kind))
    {
        decode(body);
    }
}

pub(super) fn body_seeds() -> Vec<Vec<u8>> {
    let bodies = [located_blocks().encode_to_vec(), listing().encode_to_vec(), add_block().encode_to_vec()];
    let kinds = (0..KINDS.len()).filter_map(|kind| u8::try_from(kind).ok());
    let rich = kinds.flat_map(|kind| bodies.iter().map(move |body| [&[kind], body.as_slice()].concat()));
    // Few of them fit, but each shows the way into one kind.
    rich.step_by(2).collect()
}

fn block() -> hdfs::ExtendedBlockProto {
    extended_block("BP-1", Block { id: BlockId(1_073_741_825), stamp: GenStamp(1001), len: 512 })
}

fn located() -> hdfs::LocatedBlockProto {
    let id = hdfs::DatanodeIdProto {
        ip_addr: "127.0.0.1".to_owned(),
        host_name: "localhost".to_owned(),
        datanode_uuid: "abababab-abab-4bab-abab-abababababab".to_owned(),
        xfer_port: 9866,
        info_port: 9864,
        ipc_port: 9867,
        info_secure_port: Some(0),
    };
    let node = hdfs::DatanodeInfoProto { id, location: Some("/r".to_owned()), ..hdfs::DatanodeInfoProto::default() };
    hdfs::LocatedBlockProto {
        b: block(),
        locs: vec![node],
        storage_types: vec![1],
        storage_ids: vec!["DS-1".to_owned()],
        ..hdfs::LocatedBlockProto::default()
    }
}

fn located_blocks() -> hdfs::LocatedBlocksProto {
    hdfs::LocatedBlocksProto {
        file_length: 512,
        blocks: vec![located()],
        last_block: Some(located()),
        is_last_block_complete: true,
        ..hdfs::LocatedBlocksProto::default()
    }
}

fn listing() -> hdfs::DirectoryListingProto {
    let status = hdfs::HdfsFileStatusProto {
        file_type: 2,
        path: b"a".to_vec(),
        length: 512,
        owner: "ann".to_owned(),
        group: "g".to_owned(),
        block_replication: Some(3),
        locations: Some(located_blocks()),
        ..hdfs::HdfsFileStatusProto::default()
    };
    hdfs::DirectoryListingProto { partial_listing: vec![status], ..hdfs::DirectoryListingProto::default() }
}

fn add_block() -> hdfs::AddBlockRequestProto {
    hdfs::AddBlockRequestProto {
        src: "/a".to_owned(),
        client_name: "c".to_owned(),
        previous: Some(block()),
        ..hdfs::AddBlockRequestProto::default()
    }
}
