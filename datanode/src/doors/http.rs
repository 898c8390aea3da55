//! The status page (9864), the same as JSON, and metrics.

use crate::daemon::Shared;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mammoth_protocol::internal::StorageUsage;
use mammoth_web::metrics::MetricsText;
use mammoth_web::page::{Shell, Tone, fill_bar, tag};
use mammoth_web::{AllowedHosts, Html, Page, assets, text};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The setting that names further hosts.
const HOSTS_SETTING: &str = "mammoth.http.allowed-hosts";

/// One volume, as the page shows it.
#[derive(Clone, Debug, Serialize)]
struct VolumeStatus {
    storage: String,
    folder: String,
    capacity: u64,
    used: u64,
    remaining: u64,
    /// Why it does not work.
    failure: Option<String>,
}

/// All that the page shows.
#[derive(Clone, Debug, Serialize)]
struct Status {
    software: &'static str,
    datanode: Option<String>,
    cluster_id: Option<String>,
    pool_id: Option<String>,
    /// Whether a namenode has taken it in.
    registered: bool,
    namenodes: Vec<String>,
    uptime_ms: u64,
    replicas: usize,
    bad_replicas: usize,
    connections: usize,
    transfers: usize,
    copies: u32,
    /// Moves of the balancer.
    moves: usize,
    bytes_written: u64,
    bytes_read: u64,
    /// Replicas whose open files were given to clients on this machine.
    short_circuits: u64,
    operations: u64,
    failed_operations: u64,
    volumes: Vec<VolumeStatus>,
}

/// The routes, guarded by the check of names.
pub(crate) fn router(shared: Arc<Shared>, host_names: &[String]) -> Router {
    let hosts = AllowedHosts::new(HOSTS_SETTING).with(host_names);
    let routes = Router::new()
        .route("/", get(page))
        .route("/api/v1/status", get(status))
        .route("/metrics", get(metrics))
        .with_state(shared)
        .merge(assets::router());
    hosts.guard(routes)
}

fn gather(shared: &Shared) -> Status {
    let store = shared.transfers.store().ok();
    let counters = &shared.transfers.counters;
    let volumes = store.map(|store| {
        let pair = |(usage, (storage, folder, failure)): (StorageUsage, (_, &std::path::Path, Option<&str>))| {
            let storage: mammoth_protocol::StorageId = storage;
            VolumeStatus {
                storage: storage.to_string(),
                folder: folder.display().to_string(),
                capacity: usage.capacity,
                used: usage.used,
                remaining: usage.remaining,
                failure: failure.map(str::to_owned),
            }
        };
        store.usage().into_iter().zip(store.volumes()).map(pair).collect()
    });
    Status {
        software: env!("CARGO_PKG_VERSION"),
        datanode: store.map(|store| store.datanode.to_string()),
        cluster_id: store.map(|store| store.identity.cluster_id.clone()),
        pool_id: store.map(|store| store.identity.pool_id.clone()),
        registered: shared.registered(),
        namenodes: shared.namenodes(),
        uptime_ms: shared.uptime_ms(),
        replicas: store.map_or(0, |store| store.replica_count()),
        bad_replicas: store.map_or(0, |store| store.bad_count()),
        connections: shared.transfers.sockets.count(),
        transfers: shared.transfers.sockets.busy(),
        copies: counters.copies.load(Ordering::Relaxed),
        moves: shared.transfers.balance.under_way(),
        bytes_written: counters.bytes_written.load(Ordering::Relaxed),
        bytes_read: counters.bytes_read.load(Ordering::Relaxed),
        short_circuits: counters.short_circuits.load(Ordering::Relaxed),
        operations: counters.ops.load(Ordering::Relaxed),
        failed_operations: counters.failed_ops.load(Ordering::Relaxed),
        volumes: volumes.unwrap_or_default(),
    }
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(gather(&shared))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> MetricsText {
    let status = gather(&shared);
    let mut text = MetricsText::new();
    text.gauge("mammoth_datanode_registered", "1 if a namenode has taken it in.", u8::from(status.registered))
        .gauge("mammoth_datanode_replicas", "Replicas in place.", status.replicas)
        .gauge("mammoth_datanode_bad_replicas", "Replicas set aside for wrong bytes.", status.bad_replicas)
        .gauge("mammoth_datanode_connections", "Open data-transfer connections.", status.connections)
        .gauge("mammoth_datanode_transfers", "Of these, connections that move data.", status.transfers)
        .gauge("mammoth_datanode_copies", "Copies to other datanodes under way.", status.copies)
        .gauge("mammoth_datanode_moves", "Moves of the balancer under way.", status.moves)
        .counter("mammoth_datanode_written_bytes_total", "Bytes of data received.", status.bytes_written)
        .counter("mammoth_datanode_read_bytes_total", "Bytes of data sent.", status.bytes_read)
        .counter(
            "mammoth_datanode_short_circuits_total",
            "Replicas whose open files were given to clients on this machine.",
            status.short_circuits,
        )
        .counter("mammoth_datanode_operations_total", "Data-transfer operations.", status.operations)
        .counter("mammoth_datanode_failed_operations_total", "Of these, failed ones.", status.failed_operations);
    type Field = (&'static str, &'static str, fn(&VolumeStatus) -> u64);
    let fields: [Field; 4] = [
        ("mammoth_datanode_volume_capacity_bytes", "Size of a volume.", |volume| volume.capacity),
        ("mammoth_datanode_volume_used_bytes", "Bytes that its replicas take.", |volume| volume.used),
        ("mammoth_datanode_volume_remaining_bytes", "Bytes that can be written.", |volume| volume.remaining),
        ("mammoth_datanode_volume_failed", "1 if it does not work.", |volume| u64::from(volume.failure.is_some())),
    ];
    for (name, help, value) in fields {
        text.family(name, help, "gauge");
        for volume in &status.volumes {
            text.sample(name, &[("storage", &volume.storage)], value(volume));
        }
    }
    text
}

async fn page(State(shared): State<Arc<Shared>>) -> Response {
    let status = gather(&shared);
    let shell = Shell {
        daemon: "Datanode",
        place: shared.place(),
        nav: &[("Overview", "/")],
        version: env!("CARGO_PKG_VERSION"),
    };
    let page = Page::new("Overview", "/", body(&status)).refreshed(10);
    shell.respond(&page, status.uptime_ms).into_response()
}

fn body(status: &Status) -> Html {
    let failed = status.volumes.iter().filter(|volume| volume.failure.is_some()).count();
    let (tone, label, heading) = match (failed, status.registered) {
        (0, true) => (Tone::Ok, "in service", "This datanode serves its cluster."),
        (0, false) => (Tone::Wait, "waiting", "This datanode waits for its namenode."),
        _ => (Tone::Bad, "volume failed", "A volume of this datanode does not work."),
    };
    let mut html = Html::of("<section class=\"verdict {}\"><p>{}</p>", &[&tone.class(), &tag(tone, label)]);
    html.fill(
        "<h1>{}</h1><p>{} replicas, {} set aside as bad.</p></section>",
        &[&heading, &status.replicas, &status.bad_replicas],
    );
    html.raw(
        "<section><h2>Volumes</h2><table><thead><tr><th>Folder</th><th>Storage</th><th>Used</th><th>Remaining</th>",
    );
    html.raw("<th>State</th></tr></thead><tbody>");
    for volume in &status.volumes {
        let state = match &volume.failure {
            None => tag(Tone::Ok, "works"),
            Some(reason) => tag(Tone::Bad, reason),
        };
        let others = volume.capacity.saturating_sub(volume.used).saturating_sub(volume.remaining);
        let used = text::bytes(volume.used);
        let bar = fill_bar(volume.used, others, volume.capacity, &used);
        html.fill(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            &[&volume.folder, &volume.storage, &bar, &text::bytes(volume.remaining), &state],
        );
    }
    html.raw("</tbody></table></section><section><h2>Transfers</h2><table><tbody>");
    let rows: [(&str, String); 7] = [
        ("Connections", format!("{} open, {} moving data", status.connections, status.transfers)),
        ("Copies under way", status.copies.to_string()),
        ("Moves under way", status.moves.to_string()),
        ("Written", text::bytes(status.bytes_written).to_string()),
        ("Read", text::bytes(status.bytes_read).to_string()),
        ("Opened for local readers", format!("{} replicas", status.short_circuits)),
        ("Operations", format!("{}, of which {} failed", status.operations, status.failed_operations)),
    ];
    for (name, value) in rows {
        html.fill("<tr><th>{}</th><td>{}</td></tr>", &[&name, &value]);
    }
    html.raw("</tbody></table></section>");
    html
}
