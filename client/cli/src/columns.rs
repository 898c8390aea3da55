//! Tables whose columns are as wide as their widest cell, two spaces apart.

use crate::fault::Fault;
use crate::format::{left, right};
use crate::session::Session;

/// Rows of cells.
pub(crate) struct Columns<const N: usize> {
    rows: Vec<[String; N]>,
    right: [bool; N],
    has_header: bool,
}

impl<const N: usize> Columns<N> {
    /// A table; `right` tells which columns are aligned to the right.
    pub(crate) fn new(header: Option<[&str; N]>, right: [bool; N]) -> Self {
        let rows: Vec<_> = header.into_iter().map(|cells| cells.map(str::to_owned)).collect();
        Self { has_header: !rows.is_empty(), rows, right }
    }

    pub(crate) fn add(&mut self, row: [String; N]) {
        self.rows.push(row);
    }

    /// Writes the table, unless it has nothing but its header.
    ///
    /// # Errors
    /// Standard output is gone.
    pub(crate) fn print(&self, session: &mut Session<'_>) -> Result<(), Fault> {
        if self.rows.len() == usize::from(self.has_header) {
            return Ok(());
        }
        let mut widths = [0; N];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &self.rows {
            let cells = row.iter().zip(widths).zip(self.right).enumerate();
            let line: Vec<String> = cells
                .map(|(index, ((cell, width), to_right))| match (to_right, index + 1 == N) {
                    (true, _) => right(cell, width),
                    // A last column aligned to the left needs no spaces at its end.
                    (false, true) => cell.clone(),
                    (false, false) => left(cell, width),
                })
                .collect();
            session.line(line.join("  "))?;
        }
        Ok(())
    }
}
