//! The page of one file: its attributes, its blocks, and where each copy is.

use super::explorer::{NAV, crumbs, go_form};
use super::overview::state_of;
use super::verdict::node_name;
use mammoth_namenode_core::api::{DatanodeStatus, FileBlocks, FileStatus, LocatedBlock, Place};
use mammoth_protocol::DfsPath;
use mammoth_web::html::{Html, Piece};
use mammoth_web::page::{Page, Tone, moment, tag};
use mammoth_web::text::{bytes, count, mode, plural};

/// Blocks that the page shows at most; more would make it slow to read and to send.
pub(super) const BLOCKS_MAX: usize = 1000;

/// Draws it. `nodes` are all datanodes, for the state beside each copy.
#[must_use]
pub(super) fn page(path: &DfsPath, file: &FileStatus, blocks: &FileBlocks, nodes: &[DatanodeStatus]) -> Page {
    let mut body = go_form(path.as_str());
    body.add(&crumbs(path)).add(&facts(file, blocks));
    let all = all_blocks(blocks);
    body.fill("<h2>Blocks<span class=\"n\">{}</span></h2>", &[&count(all.len() as u64)]);
    if all.is_empty() {
        body.raw("<p class=\"empty\">This file has no blocks: it is empty.</p>");
    } else {
        body.add(&table(file, blocks, &all, nodes));
    }
    if all.len() > BLOCKS_MAX {
        body.fill("<p class=\"muted\">Only the first {} are shown.</p>", &[&count(BLOCKS_MAX as u64)]);
    }
    Page::new(path.as_str(), NAV, body)
}

/// The blocks in order, the last one included although it may be listed apart.
fn all_blocks(blocks: &FileBlocks) -> Vec<&LocatedBlock> {
    let mut all: Vec<&LocatedBlock> = blocks.blocks.iter().collect();
    let last = blocks.last.as_ref().filter(|last| all.last().is_none_or(|listed| listed.block.id != last.block.id));
    all.extend(last);
    all
}

fn facts(file: &FileStatus, blocks: &FileBlocks) -> Html {
    let writing = if blocks.open { tag(Tone::Wait, "being written") } else { tag(Tone::Ok, "closed") };
    let exact = format!("{} bytes", count(file.len));
    let size = if file.len < 1024 { bytes(file.len) } else { format!("{} ({exact})", bytes(file.len)) };
    let owner = format!("{}:{}", file.owner, file.group);
    let bits = format!("-{}", mode(file.mode));
    let rows: [(&str, &dyn Piece); 8] = [
        ("State", &writing),
        ("Size", &size),
        ("Copies wanted", &file.replication),
        ("Block size", &bytes(file.block_size)),
        ("Modified", &moment(file.mtime_ms)),
        ("Owner", &owner),
        ("Mode", &Html::of("<code>{}</code>", &[&bits])),
        ("File id", &file.id.0),
    ];
    let mut html = Html::literal("<dl class=\"facts\">");
    for (name, value) in rows {
        html.fill("<dt>{}</dt><dd>{}</dd>", &[&name, value]);
    }
    html.raw("</dl>");
    html
}

fn table(file: &FileStatus, blocks: &FileBlocks, all: &[&LocatedBlock], nodes: &[DatanodeStatus]) -> Html {
    let mut html =
        Html::literal("<table><thead><tr><th>Block</th><th class=\"num\">Offset</th><th class=\"num\">Length</th>");
    html.raw("<th class=\"num\">Stamp</th><th>Copies</th></tr></thead><tbody>");
    let last_id = all.last().map(|block| block.block.id);
    for located in all.iter().take(BLOCKS_MAX) {
        let writing = blocks.open && !blocks.last_complete && Some(located.block.id) == last_id;
        html.fill("<tr><th scope=\"row\" class=\"path\"><code>blk_{}</code></th>", &[&located.block.id.0]);
        html.fill("<td class=\"num\" data-label=\"Offset\">{}</td>", &[&count(located.offset)]);
        html.fill("<td class=\"num\" data-label=\"Length\">{}</td>", &[&bytes(located.block.len)]);
        html.fill("<td class=\"num\" data-label=\"Stamp\">{}</td>", &[&located.block.stamp.0]);
        html.fill("<td data-label=\"Copies\"><div>{}</div></td></tr>", &[&copies(file, located, writing, nodes)]);
    }
    html.raw("</tbody></table>");
    html
}

fn copies(file: &FileStatus, located: &LocatedBlock, writing: bool, nodes: &[DatanodeStatus]) -> Html {
    let mut html = Html::new();
    for place in &located.places {
        let (tone, state) = if located.corrupt { (Tone::Bad, "damaged") } else { copy_state(place, writing, nodes) };
        let label = nodes
            .iter()
            .find(|node| node.id == place.datanode)
            .map_or_else(|| format!("{}:{}", place.addr.hostname, place.addr.transfer_port), node_name);
        html.fill("<div class=\"path\">{} {}</div>", &[&label, &tag(tone, state)]);
    }
    let wanted = usize::from(file.replication);
    let here = located.places.len();
    if located.places.is_empty() {
        html.add(&tag(
            if writing { Tone::Wait } else { Tone::Bad },
            if writing { "not placed yet" } else { "no copy known" },
        ));
    } else if !located.corrupt && !writing && here < wanted {
        let text = format!("{} missing", plural((wanted - here) as u64, "copy", "copies"));
        html.add(&tag(Tone::Warn, &text));
    }
    html
}

fn copy_state(place: &Place, writing: bool, nodes: &[DatanodeStatus]) -> (Tone, &'static str) {
    match nodes.iter().find(|node| node.id == place.datanode).map(state_of) {
        Some((tone @ (Tone::Bad | Tone::Warn), state)) => (tone, state),
        _ if writing => (Tone::Wait, "being written"),
        _ => (Tone::Ok, "good"),
    }
}
