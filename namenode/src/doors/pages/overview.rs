//! The start page: the verdict, space, figures, datanodes, files in trouble, work since the start.

use super::verdict::{Verdict, node_name};
use crate::metrics::Figures;
use mammoth_namenode_core::api::{AdminState, DatanodeStatus, FsStats, Health};
use mammoth_protocol::internal::ClusterIdentity;
use mammoth_protocol::{DfsPath, Term};
use mammoth_web::html::{Html, Piece, url_encode};
use mammoth_web::page::{Page, Tone, fill_bar, moment, tag, tile};
use mammoth_web::text::{bytes, count, duration_ms, percent, plural};

/// Seconds between two loads of the start page.
const REFRESH_S: u32 = 5;

/// Everything that the start page shows.
#[derive(Clone, Debug)]
pub(super) struct Overview {
    /// Which file system.
    pub(super) identity: ClusterIdentity,
    /// Reign of this namenode.
    pub(super) term: Term,
    /// The numbers.
    pub(super) health: Health,
    /// All datanodes known.
    pub(super) nodes: Vec<DatanodeStatus>,
    /// Files with a block that nobody can read, perhaps not all.
    pub(super) unreadable: Vec<DfsPath>,
    /// The judgement on all that.
    pub(super) verdict: Verdict,
    /// What the driver counted.
    pub(super) figures: Figures,
}

/// Draws it.
#[must_use]
pub(super) fn page(overview: &Overview) -> Page {
    let mut body = verdict(&overview.verdict);
    body.raw("<h2>Space</h2>").add(&space(&overview.health.stats));
    body.raw("<h2>File system</h2>").add(&tiles(&overview.health));
    unreadable(&mut body, &overview.unreadable);
    datanodes(&mut body, &overview.nodes);
    body.raw("<h2>Since this namenode started</h2>").add(&work(&overview.figures));
    body.raw("<h2>Identity</h2>").add(&identity(overview));
    Page::new("Overview", "/", body).refreshed(REFRESH_S)
}

fn verdict(verdict: &Verdict) -> Html {
    let mut html = Html::of(
        "<section class=\"verdict {}\" aria-label=\"Health\"><p class=\"tag\">{}</p><h1 class=\"path\">{}</h1>",
        &[&verdict.tone, &verdict.label, &verdict.sentence],
    );
    if !verdict.more.is_empty() {
        html.raw("<ul>");
        for text in &verdict.more {
            html.fill("<li class=\"path\">{}</li>", &[text]);
        }
        html.raw("</ul>");
    }
    html.raw("</section>");
    html
}

fn space(stats: &FsStats) -> Html {
    if stats.capacity == 0 {
        return Html::literal("<p class=\"empty\">No datanode offers space yet.</p>");
    }
    let other = stats.capacity.saturating_sub(stats.used).saturating_sub(stats.remaining);
    let label = format!("{} of {} used", bytes(stats.used), bytes(stats.capacity));
    let mut html = Html::literal("<div class=\"panel\">");
    html.add(&fill_bar(stats.used, other, stats.capacity, &label)).raw("<ul class=\"legend\">");
    for (class, name, value) in
        [("used", "Blocks", stats.used), ("other", "Other files", other), ("free", "Free", stats.remaining)]
    {
        html.fill(
            "<li class=\"{}\">{} <strong>{}</strong> <span class=\"unit\">{}</span></li>",
            &[&class, &name, &bytes(value), &percent(value, stats.capacity)],
        );
    }
    html.fill("<li>Capacity <strong>{}</strong></li></ul></div>", &[&bytes(stats.capacity)]);
    html
}

fn tiles(health: &Health) -> Html {
    let stats = &health.stats;
    let alarm = |value: u64, tone: Tone| if value > 0 { tone } else { Tone::Off };
    let mut html = Html::literal("<dl class=\"tiles\">");
    let mut put = |tone, name, value: u64, note: &str| {
        html.add(&tile(tone, name, &count(value), note));
    };
    put(Tone::Off, "Files", health.files, "");
    put(Tone::Off, "Folders", health.dirs, "");
    put(Tone::Off, "Blocks", health.blocks, "");
    put(Tone::Off, "Files being written", health.open_files, "");
    let copying = if health.pending_copies > 0 {
        format!("{} being copied", count(health.pending_copies))
    } else {
        String::new()
    };
    put(alarm(health.under_replicated, Tone::Warn), "Under-replicated blocks", health.under_replicated, &copying);
    put(alarm(health.corrupt_replicas, Tone::Warn), "Corrupt copies", health.corrupt_replicas, "");
    put(alarm(stats.missing_blocks, Tone::Bad), "Unreadable blocks", stats.missing_blocks, "");
    put(Tone::Off, "Copies to be deleted", stats.pending_deletion, "");
    html.raw("</dl>");
    html
}

fn unreadable(body: &mut Html, paths: &[DfsPath]) {
    if paths.is_empty() {
        return;
    }
    body.fill(
        "<h2 id=\"unreadable\">Files that can't be read<span class=\"n\">{}</span></h2>",
        &[&count(paths.len() as u64)],
    );
    body.raw("<table><thead><tr><th>File</th></tr></thead><tbody>");
    for path in paths {
        body.fill(
            "<tr><th scope=\"row\" class=\"path\"><a href=\"/explorer?path={}\">{}</a></th></tr>",
            &[&url_encode(path.as_str()), &path.as_str()],
        );
    }
    body.raw("</tbody></table>");
}

fn datanodes(body: &mut Html, nodes: &[DatanodeStatus]) {
    let live = nodes.iter().filter(|node| node.live).count();
    let dead = nodes.len() - live;
    let note = match (live, dead) {
        (0, 0) => String::new(),
        (_, 0) => format!("{live} live"),
        _ => format!("{live} live, {dead} dead"),
    };
    body.fill("<h2 id=\"datanodes\">Datanodes<span class=\"n\">{}</span></h2>", &[&note]);
    if nodes.is_empty() {
        body.raw("<p class=\"empty\">None yet. A datanode appears here as soon as it registers.</p>");
        return;
    }
    body.raw("<table><thead><tr><th>Datanode</th><th>State</th><th>Last contact</th><th class=\"num\">Blocks</th>");
    body.raw("<th class=\"num\">Transfers</th><th>Used</th></tr></thead><tbody>");
    let mut sorted: Vec<_> = nodes.iter().collect();
    sorted.sort_by_key(|node| (node.live, node.addr.hostname.clone(), node.addr.transfer_port, node.id));
    for node in sorted {
        body.add(&datanode(node));
    }
    body.raw("</tbody></table>");
}

fn datanode(node: &DatanodeStatus) -> Html {
    let (tone, state) = state_of(node);
    let address = format!("{}:{}", node.addr.ip, node.addr.transfer_port);
    let contact: Html = if node.last_contact_wall_ms == 0 {
        Html::literal("never")
    } else {
        Html::of("{} ago<small>{}</small>", &[&duration_ms(node.last_contact_ms), &moment(node.last_contact_wall_ms)])
    };
    let used = format!("{} of {}", bytes(node.used), bytes(node.capacity));
    let other = node.capacity.saturating_sub(node.used).saturating_sub(node.remaining);
    let mut html = Html::of(
        "<tr><th scope=\"row\" class=\"path\">{}<small>{}</small><small>{}</small></th>",
        &[&node_name(node), &address, &node.rack],
    );
    html.fill("<td data-label=\"State\"><div>{}</div></td>", &[&tag(tone, state)]);
    html.fill("<td class=\"keep\" data-label=\"Last contact\"><div>{}</div></td>", &[&contact]);
    html.fill("<td class=\"num\" data-label=\"Blocks\">{}</td>", &[&count(node.blocks)]);
    html.fill("<td class=\"num\" data-label=\"Transfers\">{}</td>", &[&count(u64::from(node.xceivers))]);
    html.fill(
        "<td data-label=\"Used\"><div>{} <span class=\"unit\">{}</span>{}</div></td></tr>",
        &[&used, &percent(node.used, node.capacity), &fill_bar(node.used, other, node.capacity, &used)],
    );
    html
}

/// A datanode's state in words.
#[must_use]
pub(super) fn state_of(node: &DatanodeStatus) -> (Tone, &'static str) {
    match node {
        DatanodeStatus { admin: AdminState::Decommissioned, .. } => (Tone::Off, "decommissioned"),
        DatanodeStatus { admin: AdminState::InMaintenance, .. } => (Tone::Off, "in maintenance"),
        DatanodeStatus { live: false, .. } => (Tone::Bad, "dead"),
        DatanodeStatus { failed_volumes: 1.., .. } => (Tone::Warn, "volume failed"),
        DatanodeStatus { admin: AdminState::Decommissioning, .. } => (Tone::Wait, "decommissioning"),
        DatanodeStatus { admin: AdminState::EnteringMaintenance, .. } => (Tone::Wait, "entering maintenance"),
        DatanodeStatus { stale: true, .. } => (Tone::Warn, "silent"),
        DatanodeStatus { reported: false, .. } => (Tone::Wait, "reporting"),
        _ => (Tone::Ok, "live"),
    }
}

fn work(figures: &Figures) -> Html {
    let mut html = Html::literal("<dl class=\"tiles\">");
    let per_sync = |total: u64| match figures.groups {
        0 => String::new(),
        groups => format!("{} a sync", count(total.div_ceil(groups))),
    };
    let mut put = |name, value: String, note: &str| {
        html.add(&tile(Tone::Off, name, &value, note));
    };
    put("Calls", count(figures.calls()), &plural(figures.refused, "refused", "refused"));
    put("Changes", count(figures.records), &per_sync(figures.records));
    put("Waiting", count(figures.queued), "calls at present");
    put("Busy", duration_ms(figures.busy_us / 1000), "of the deciding thread");
    html.raw("</dl>");
    let busiest = figures.busiest(8);
    if busiest.is_empty() {
        html.raw("<p class=\"empty\">No client has called yet.</p>");
        return html;
    }
    html.raw("<ul class=\"legend\">");
    for (name, calls) in busiest {
        html.fill("<li><code>{}</code> {}</li>", &[&name, &count(calls)]);
    }
    html.raw("</ul>");
    html
}

fn identity(overview: &Overview) -> Html {
    let identity = &overview.identity;
    let mut html = Html::literal("<dl class=\"facts\">");
    let rows: [(&str, &dyn Piece); 5] = [
        ("Cluster", &identity.cluster_id),
        ("Block pool", &identity.pool_id),
        ("Namespace", &identity.namespace_id),
        ("Formatted", &moment(identity.created_ms)),
        ("Term", &overview.term.0),
    ];
    for (name, value) in rows {
        html.fill("<dt>{}</dt><dd>{}</dd>", &[&name, value]);
    }
    html.raw("</dl>");
    html
}
