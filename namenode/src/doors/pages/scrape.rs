//! `/metrics`.

use super::Pages;
use super::overview::Overview;
use axum::extract::State;
use mammoth_namenode_core::api::{FsStats, Health, SafeMode};
use mammoth_web::HttpError;
use mammoth_web::metrics::MetricsText;
use std::sync::Arc;

/// All metrics as text.
pub(super) async fn metrics(State(pages): State<Arc<Pages>>) -> Result<MetricsText, HttpError> {
    let overview = pages.overview().await?;
    let mut text = MetricsText::new();
    health(&mut text, &overview.health);
    space(&mut text, &overview.health.stats);
    work(&mut text, &overview);
    process(&mut text, pages.uptime_ms());
    Ok(text)
}

fn health(text: &mut MetricsText, health: &Health) {
    let safe = u8::from(health.safe_mode != SafeMode::Off);
    text.gauge("mammoth_namenode_safe_mode", "1 while the namespace cannot change.", safe);
    text.gauge("mammoth_namenode_files", "Files.", health.files);
    text.gauge("mammoth_namenode_directories", "Folders.", health.dirs);
    text.gauge("mammoth_namenode_blocks", "Blocks of all files.", health.blocks);
    text.gauge("mammoth_namenode_open_files", "Files being written.", health.open_files);
    let name = "mammoth_namenode_datanodes";
    text.family(name, "Datanodes by state; stale ones are live too.", "gauge");
    for (state, value) in [("live", health.live), ("dead", health.dead), ("stale", health.stale)] {
        text.sample(name, &[("state", state)], value);
    }
    text.gauge(
        "mammoth_namenode_under_replicated_blocks",
        "Blocks with fewer copies than wanted.",
        health.under_replicated,
    );
    text.gauge("mammoth_namenode_over_replicated_blocks", "Blocks with surplus copies.", health.over_replicated);
    text.gauge("mammoth_namenode_misplaced_blocks", "Blocks on one rack though there are several.", health.misplaced);
    text.gauge("mammoth_namenode_pending_copies", "Copies ordered and not confirmed.", health.pending_copies);
    text.gauge("mammoth_namenode_corrupt_replicas", "Copies known to be damaged.", health.corrupt_replicas);
    text.gauge("mammoth_namenode_lease_recoveries", "Files being recovered from lost writers.", health.recoveries);
    text.gauge("mammoth_namenode_reclaiming", "Deleted folders still being freed.", health.reclaiming);
}

fn space(text: &mut MetricsText, stats: &FsStats) {
    text.gauge("mammoth_namenode_capacity_bytes", "Space of all datanodes.", stats.capacity);
    text.gauge("mammoth_namenode_used_bytes", "Space that blocks take.", stats.used);
    text.gauge("mammoth_namenode_remaining_bytes", "Space that can be written.", stats.remaining);
    text.gauge("mammoth_namenode_missing_blocks", "Blocks that no reader can get.", stats.missing_blocks);
    text.gauge("mammoth_namenode_corrupt_blocks", "Blocks with a damaged copy.", stats.corrupt_blocks);
    text.gauge("mammoth_namenode_pending_deletion", "Copies to be deleted.", stats.pending_deletion);
}

fn work(text: &mut MetricsText, overview: &Overview) {
    let figures = &overview.figures;
    let name = "mammoth_namenode_operations_total";
    text.family(name, "Calls by operation.", "counter");
    for (operation, count) in &figures.operations {
        text.sample(name, &[("operation", operation)], count);
    }
    text.counter("mammoth_namenode_refused_total", "Calls that ended in an error.", figures.refused);
    text.counter("mammoth_namenode_log_records_total", "Records of the edit log.", figures.records);
    text.counter("mammoth_namenode_log_bytes_total", "Bytes of those records.", figures.record_bytes);
    text.counter("mammoth_namenode_log_syncs_total", "Groups of records, each synced once.", figures.groups);
    let waited = seconds(figures.sync_us);
    text.counter("mammoth_namenode_log_sync_seconds_total", "Time of writing and syncing the log.", waited);
    let longest = seconds(figures.longest_sync_us);
    text.gauge("mammoth_namenode_log_longest_sync_seconds", "Longest write and sync of a group.", longest);
    text.gauge("mammoth_namenode_log_largest_group", "Most records of one group.", figures.largest_group);
    text.counter(
        "mammoth_namenode_busy_seconds_total",
        "Time that the deciding thread worked.",
        seconds(figures.busy_us),
    );
    text.gauge("mammoth_namenode_queued_requests", "Requests not looked at yet.", figures.queued);
    text.counter("mammoth_namenode_ticks_total", "Rounds of timers.", figures.ticks);
    text.counter("mammoth_namenode_checkpoints_total", "Checkpoints written.", figures.checkpoints);
    text.gauge("mammoth_namenode_term", "Reign of this namenode.", overview.term.0);
}

fn process(text: &mut MetricsText, uptime_ms: u64) {
    text.gauge(
        "mammoth_uptime_seconds",
        "Time since the start of the daemon.",
        seconds(uptime_ms.saturating_mul(1000)),
    );
    let resident = mammoth_platform::process::resident_bytes();
    text.gauge("process_resident_memory_bytes", "Resident memory of the process.", resident);
    let cpu = mammoth_platform::process::cpu_seconds();
    text.counter("process_cpu_seconds_total", "Processor time of the process.", cpu);
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}
