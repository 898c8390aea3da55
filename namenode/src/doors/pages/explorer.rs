//! The file browser: a folder with its entries.

use mammoth_namenode_core::api::{FileStatus, Listing};
use mammoth_protocol::DfsPath;
use mammoth_web::html::{Html, url_encode};
use mammoth_web::page::{Page, moment};
use mammoth_web::text::{bytes, count, mode, plural};

/// The navigation entry of the browser.
pub(super) const NAV: &str = "/explorer";

/// Address of the browser's page for a path.
#[must_use]
pub(super) fn href(path: &str) -> String {
    format!("/explorer?path={}", url_encode(path))
}

/// The way from the root to `path`, each step a link.
#[must_use]
pub(super) fn crumbs(path: &DfsPath) -> Html {
    let mut html = Html::literal("<nav aria-label=\"Path\"><ol class=\"crumbs\">");
    let parts: Vec<&str> = path.parts().collect();
    let mut so_far = String::new();
    if parts.is_empty() {
        html.raw("<li aria-current=\"page\">root folder</li>");
    } else {
        html.raw("<li><a href=\"/explorer?path=/\">root folder</a></li>");
    }
    for (i, part) in parts.iter().enumerate() {
        so_far.push('/');
        so_far.push_str(part);
        if i + 1 == parts.len() {
            html.fill("<li aria-current=\"page\">{}</li>", &[part]);
        } else {
            html.fill("<li><a href=\"{}\">{}</a></li>", &[&href(&so_far), part]);
        }
    }
    html.raw("</ol></nav>");
    html
}

/// The field that takes one to a path.
#[must_use]
pub(super) fn go_form(path: &str) -> Html {
    Html::of(
        "<form class=\"go\" action=\"/explorer\" method=\"get\" role=\"search\">\
         <input name=\"path\" value=\"{}\" aria-label=\"Path\" spellcheck=\"false\" autocomplete=\"off\">\
         <button>Go</button></form>",
        &[&path],
    )
}

/// A folder; `after` is the name that this page of its entries starts after, empty for the first page.
#[must_use]
pub(super) fn folder_page(path: &DfsPath, folder: &FileStatus, listing: &Listing, after: &str) -> Page {
    let mut body = go_form(path.as_str());
    body.add(&crumbs(path));
    body.fill(
        "<p class=\"muted\">{}, owned by {}:{}, {}</p>",
        &[
            &plural(u64::from(folder.children), "entry", "entries"),
            &folder.owner,
            &folder.group,
            &format!("d{}", mode(folder.mode)),
        ],
    );
    if listing.entries.is_empty() {
        let text = if after.is_empty() { "This folder is empty." } else { "There is nothing after this name." };
        body.fill("<p class=\"empty\">{}</p>", &[&text]);
    } else {
        body.add(&table(path, &listing.entries));
    }
    body.add(&paging(path, listing, after));
    Page::new(path.as_str(), NAV, body)
}

fn table(path: &DfsPath, entries: &[FileStatus]) -> Html {
    let mut html =
        Html::literal("<table><thead><tr><th>Name</th><th class=\"num\">Size</th><th class=\"num\">Copies</th>");
    html.raw("<th class=\"num\">Block size</th><th>Modified</th><th>Owner</th><th>Group</th><th>Mode</th></tr></thead><tbody>");
    let base = path.as_str().trim_end_matches('/');
    for entry in entries {
        let kind = if entry.is_dir { 'd' } else { '-' };
        let address = href(&format!("{base}/{}", entry.name));
        let slash = if entry.is_dir { "/" } else { "" };
        html.fill(
            "<tr><th scope=\"row\" class=\"path\"><a href=\"{}\">{}{}</a></th>",
            &[&address, &entry.name, &slash],
        );
        if entry.is_dir {
            let children = plural(u64::from(entry.children), "entry", "entries");
            html.fill("<td class=\"num\" data-label=\"Holds\"><span class=\"unit\">{}</span></td>", &[&children]);
            html.raw("<td class=\"num minor\"></td><td class=\"num minor\"></td>");
        } else {
            html.fill("<td class=\"num\" data-label=\"Size\">{}</td>", &[&bytes(entry.len)]);
            html.fill("<td class=\"num\" data-label=\"Copies\">{}</td>", &[&entry.replication]);
            html.fill("<td class=\"num minor\">{}</td>", &[&bytes(entry.block_size)]);
        }
        html.fill("<td class=\"keep\" data-label=\"Modified\">{}</td>", &[&moment(entry.mtime_ms)]);
        html.fill("<td data-label=\"Owner\">{}</td>", &[&entry.owner]);
        html.fill("<td class=\"minor\">{}</td>", &[&entry.group]);
        html.fill("<td data-label=\"Mode\"><code>{}{}</code></td></tr>", &[&kind, &mode(entry.mode)]);
    }
    html.raw("</tbody></table>");
    html
}

fn paging(path: &DfsPath, listing: &Listing, after: &str) -> Html {
    let mut html = Html::literal("<p class=\"pages\">");
    if !after.is_empty() {
        html.fill("<a href=\"{}\">First page</a>", &[&href(path.as_str())]);
    }
    if let Some(last) = listing.entries.last().filter(|_| listing.remaining > 0) {
        html.fill(
            "<a href=\"{}&amp;after={}\">Next page</a> <span class=\"muted\">{} more</span>",
            &[&href(path.as_str()), &url_encode(&last.name), &count(u64::from(listing.remaining))],
        );
    }
    html.raw("</p>");
    html
}
