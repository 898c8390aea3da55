//! A plan for people.

use super::{Edge, Plan};
use mammoth_engine_core::api::DatasetId;
use std::collections::BTreeSet;
use std::fmt::Write as _;

impl Plan {
    /// The lineage of a dataset, one line each; a new indent begins behind each shuffle.
    pub(crate) fn describe(&self, root: DatasetId) -> String {
        let mut text = String::new();
        let mut todo = vec![(root, 0, "")];
        let mut seen = BTreeSet::new();
        while let Some((dataset, indent, mark)) = todo.pop() {
            let Some(node) = self.nodes.get(&dataset) else { continue };
            let cached = if node.cache.is_some() { " [cached]" } else { "" };
            let again = if seen.insert(dataset) { "" } else { " (see above)" };
            let (name, partitions, place) = (&node.name, node.partitions, node.call_site);
            let place = format!("{}:{}", place.file(), place.line());
            let pad = "  ".repeat(indent);
            let _ = writeln!(text, "{pad}{mark}({partitions}) {name} [{dataset}] at {place}{cached}{again}");
            if !again.is_empty() {
                continue;
            }
            for input in node.inputs.iter().rev() {
                match input {
                    Edge::Narrow { dataset, .. } => todo.push((*dataset, indent, "| ")),
                    Edge::Shuffle(shuffle) => {
                        todo.extend(self.shuffles.get(shuffle).map(|shuffle| (shuffle.dataset, indent + 1, "+-")));
                    }
                }
            }
        }
        text
    }
}
