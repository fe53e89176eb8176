// SPDX-License-Identifier: Apache-2.0
//! Tables and verdicts. `tests/logic-bench` links this file.
//!
//! Depends on: nothing.

use std::fmt::Write as _;

/// A figure that something is required of.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) required: String,
    pub(crate) aim: String,
    pub(crate) measured: String,
    pub(crate) is_met: bool,
    pub(crate) is_aim_met: bool,
}

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    targets: Vec<Target>,
    tables: Vec<String>,
}

impl Report {
    /// Adds a figure that something is required of.
    pub(crate) fn target(&mut self, target: Target) {
        self.targets.push(target);
    }

    /// Adds a table with what must be known to read it.
    pub(crate) fn table(&mut self, title: &str, note: &str, head: &[&str], rows: Vec<Vec<String>>) {
        let head: Vec<String> = head.iter().map(|&word| word.to_owned()).collect();
        self.tables
            .push(format!("## {title}\n\n{note}\n\n{}", table(&head, &rows)));
    }

    /// Targets whose required figure was missed.
    pub(crate) fn missed(&self) -> Vec<String> {
        let missed = self.targets.iter().filter(|target| !target.is_met);
        missed
            .map(|target| format!("{}: {} (required {})", target.name, target.measured, target.required))
            .collect()
    }

    /// Everything, as Markdown.
    pub(crate) fn text(&self) -> String {
        let head = ["figure", "required", "aim", "measured", "verdict"].map(str::to_owned);
        let row = |target: &Target| {
            let verdict = match (target.is_met, target.is_aim_met) {
                (false, _) => "MISSED",
                (true, false) => "met",
                (true, true) => "met, and the aim",
            };
            vec![
                target.name.to_owned(),
                target.required.clone(),
                target.aim.clone(),
                target.measured.clone(),
                verdict.to_owned(),
            ]
        };
        let rows: Vec<Vec<String>> = self.targets.iter().map(row).collect();
        let mut text = format!("## Targets\n\n{}", table(&head, &rows));
        for table in &self.tables {
            text.push('\n');
            text.push_str(table);
        }
        text
    }
}

fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(head[column].chars().count())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |row: &[String]| {
        for (cell, width) in row.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    };
    line(head);
    line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
    for row in rows {
        line(row);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_figure_is_told_and_others_are_not() {
        let target = |name, is_met| Target {
            name,
            required: "1".to_owned(),
            aim: "1".to_owned(),
            measured: "2".to_owned(),
            is_met,
            is_aim_met: false,
        };
        let mut report = Report::default();
        report.target(target("good", true));
        report.target(target("bad", false));
        assert_eq!(report.missed(), ["bad: 2 (required 1)"]);
        assert!(report.text().contains("MISSED"));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let head = ["a", "b"].map(str::to_owned);
        let rows = vec![vec!["µs".to_owned(), "long".to_owned()]];
        assert_eq!(table(&head, &rows), "| a  | b    |\n| -- | ---- |\n| µs | long |\n");
    }
}
