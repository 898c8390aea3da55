//! `count`: folders, files, bytes and quotas.

use super::Outcome;
use crate::args::Format;
use crate::format::{right, size};
use crate::session::Session;
use mammoth_client::ContentSummary;

/// `-count`.
pub(crate) fn run(session: &mut Session<'_>, args: Vec<String>) -> Outcome {
    let parsed = Format::at_least(1, &["q", "h", "v", "u", "x"]).parse(args)?;
    let (quotas_only, human) = (parsed.has("u"), parsed.has("h"));
    let quotas = quotas_only || parsed.has("q");
    if quotas && parsed.has("x") {
        session.line("q or u option is given, the -x option is ignored.")?;
    }
    if parsed.has("v") {
        let mut header = String::new();
        if quotas {
            header += &quota_columns(["QUOTA", "REM_QUOTA", "SPACE_QUOTA", "REM_SPACE_QUOTA"].map(str::to_owned));
        }
        if !quotas_only {
            header += &count_columns(["DIR_COUNT", "FILE_COUNT", "CONTENT_SIZE"].map(str::to_owned));
        }
        session.line(header + "PATHNAME")?;
    }
    session.each(&parsed.operands, |session, item| {
        let summary = item.fs.summary(&item.path)?;
        let mut line = String::new();
        if quotas {
            line += &quota_columns(quota_cells(&summary, human));
        }
        if !quotas_only {
            let counts = [summary.directory_count, summary.file_count, summary.length];
            line += &count_columns(counts.map(|count| size(i128::from(count), human)));
        }
        session.line(line + &item.shown)
    })
}

fn quota_cells(summary: &ContentSummary, human: bool) -> [String; 4] {
    let names = summary.file_count.saturating_add(summary.directory_count);
    let cells = |quota: Option<u64>, used: u64| match quota {
        Some(quota) => [size(i128::from(quota), human), size(i128::from(quota) - i128::from(used), human)],
        None => ["none".to_owned(), "inf".to_owned()],
    };
    let [quota, left] = cells(summary.quota, names);
    let [space_quota, space_left] = cells(summary.space_quota, summary.space_consumed);
    [quota, left, space_quota, space_left]
}

fn quota_columns(cells: [String; 4]) -> String {
    columns(&cells, &[12, 15, 15, 15])
}

fn count_columns(cells: [String; 3]) -> String {
    columns(&cells, &[12, 12, 18])
}

fn columns(cells: &[String], widths: &[usize]) -> String {
    cells.iter().zip(widths).map(|(cell, width)| right(cell, *width) + " ").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_shown_with_what_is_left() {
        let summary = ContentSummary {
            length: 10,
            file_count: 2,
            directory_count: 3,
            space_consumed: 4096,
            quota: Some(4),
            space_quota: None,
        };
        assert_eq!(quota_cells(&summary, false), ["4", "-1", "none", "inf"]);
        let summary = ContentSummary { quota: None, space_quota: Some(8192), ..summary };
        assert_eq!(quota_cells(&summary, true), ["none", "inf", "8 K", "4 K"]);
        let line = quota_columns(quota_cells(&summary, false));
        assert_eq!(line, "        none             inf            8192            4096 ");
    }
}
