//! The targets, one file per family.

mod blocks;
mod data;
mod journal;
mod reports;
mod rpc;
mod shuffle;
mod text;

use crate::Target;

/// A target whose memory follows its input closely.
const fn plain(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds, memory_per_byte: 64 }
}

/// A target of protocol buffers or the like: an empty message of two bytes becomes a struct of hundreds, in several copies.
const fn messages(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds, memory_per_byte: 1024 }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    plain("rpc-preamble", rpc::preamble, rpc::preamble_seeds),
    messages("rpc-server", rpc::server, rpc::server_seeds),
    messages("rpc-client", rpc::client, rpc::client_seeds),
    messages("rpc-bodies", rpc::bodies, rpc::body_seeds),
    messages("data-ops", data::ops, data::op_seeds),
    plain("data-packets", data::packets, data::packet_seeds),
    messages("data-acks", data::acks, data::ack_seeds),
    messages("block-stream", data::block_stream, data::block_stream_seeds),
    plain("local-block", blocks::local_block, blocks::local_block_seeds),
    plain("replica-files", blocks::replica_files, blocks::replica_file_seeds),
    plain("volume-texts", blocks::volume_texts, blocks::volume_text_seeds),
    plain("log-segment", journal::segment, journal::segment_seeds),
    messages("name-log", journal::name_log, journal::name_log_seeds),
    messages("name-rows", journal::name_rows, journal::name_row_seeds),
    messages("job-log", journal::job_log, journal::job_log_seeds),
    messages("job-rows", journal::job_rows, journal::job_row_seeds),
    messages("reports", reports::reports, reports::report_seeds),
    messages("internal-json", reports::json, reports::json_seeds),
    plain("shuffle-index", shuffle::index, shuffle::index_seeds),
    Target { memory_per_byte: 1024, ..plain("shuffle-frames", shuffle::frames, shuffle::frame_seeds) },
    plain("keys", shuffle::keys, shuffle::key_seeds),
    messages("job-blobs", shuffle::blobs, shuffle::blob_seeds),
    messages("job-messages", shuffle::messages, shuffle::message_seeds),
    messages("settings", text::settings, text::settings_seeds),
    plain("paths", text::paths, text::path_seeds),
    messages("globs", text::globs, text::glob_seeds),
    plain("lines", text::lines, text::line_seeds),
    messages("queries", text::queries, text::query_seeds),
    messages("host-lists", text::host_lists, text::host_list_seeds),
];
