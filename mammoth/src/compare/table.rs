//! The table: one column an engine, figures and phases as rows.

use mammoth_web::text::bytes;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What one way of doing the work took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Column {
    /// For people.
    pub name: String,
    /// Wall time from start to end, as the user waits for it, microseconds.
    pub wall_us: u64,
    /// Processor time of driver and tasks, microseconds.
    pub cpu_us: u64,
    /// Bytes read from the distributed file system.
    pub dfs_read: u64,
    /// Bytes written to it.
    pub dfs_written: u64,
    /// Bytes that went to local disks besides the shuffle's.
    pub spilled: u64,
    /// Bytes that went from one phase to the next.
    pub shuffled: u64,
    /// The most bytes of data held in memory.
    pub held: u64,
    /// Wall time of all tasks together, microseconds.
    pub task_us: u64,
    /// Where that time went, microseconds.
    pub phases: BTreeMap<String, u64>,
}

/// Draws it.
#[must_use]
pub(super) fn render(columns: &[Column]) -> String {
    let seconds = |us: u64| format!("{:.3} s", us as f64 / 1e6);
    let size = |n: u64| if n == 0 { "–".to_owned() } else { bytes(n) };
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, value: &dyn Fn(&Column) -> String| {
        let mut cells = vec![name.to_owned()];
        cells.extend(columns.iter().map(value));
        rows.push(cells);
    };
    row("", &|column| column.name.clone());
    row("wall time", &|column| seconds(column.wall_us));
    row("CPU time", &|column| seconds(column.cpu_us));
    row("read from the file system", &|column| size(column.dfs_read));
    row("written to it", &|column| size(column.dfs_written));
    row("spilled to local disk", &|column| size(column.spilled));
    row("shuffled", &|column| size(column.shuffled));
    row("held in memory", &|column| size(column.held));
    row("time of all tasks", &|column| seconds(column.task_us));
    let phases: BTreeSet<&String> = columns.iter().flat_map(|column| column.phases.keys()).collect();
    for phase in phases {
        row(&format!("  {phase}"), &|column| {
            column.phases.get(phase).map_or_else(|| "–".to_owned(), |us| seconds(*us))
        });
    }
    layout(&rows)
}

fn layout(rows: &[Vec<String>]) -> String {
    let width =
        |at: usize| rows.iter().map(|row| row.get(at).map_or(0, |cell| cell.chars().count())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[at] - cell.chars().count());
            line += &if at == 0 { format!("{cell}{pad}") } else { format!("   {pad}{cell}") };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_stands_under_its_column() {
        let disk = Column {
            name: "on disk".to_owned(),
            wall_us: 1_500_000,
            phases: [("sort".to_owned(), 1000)].into(),
            ..Column::default()
        };
        let memory = Column { name: "in memory".to_owned(), held: 2048, ..Column::default() };
        let text = render(&[disk, memory]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].trim_start().starts_with("on disk") && lines[0].ends_with("in memory"), "{text}");
        assert!(lines[1].contains("1.500 s") && lines[1].ends_with("0.000 s"), "{text}");
        assert!(lines.iter().any(|line| line.trim_start().starts_with("sort") && line.ends_with('–')), "{text}");
        let ends: Vec<usize> = lines[1..].iter().map(|line| line.chars().count()).collect();
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "columns are flush: {text}");
    }
}
