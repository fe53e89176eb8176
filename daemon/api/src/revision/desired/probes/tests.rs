// SPDX-License-Identifier: Apache-2.0
//! docs/probes.md is the table; every row of it is run here.

use super::*;

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/probes.md"));

/// A row: which probe, what the user wrote, what the pod has.
struct Row {
    line: usize,
    probe: &'static str,
    given: Option<Probe>,
    result: Option<Probe>,
}

fn rows() -> Vec<Row> {
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    PAGE.lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("| ") && line.contains('`'))
        .map(|(index, line)| match cells(line).as_slice() {
            [probe, given, result, _why] => Row {
                line: index + 1,
                probe,
                given: parsed(given),
                result: parsed(result),
            },
            _ => panic!("line {}: four cells are wanted", index + 1),
        })
        .collect()
}

/// The probe of this JSON; `none` is no probe.
fn parsed(cell: &str) -> Option<Probe> {
    match cell.trim_matches('`') {
        "none" => None,
        text => Some(serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))),
    }
}

/// What becomes of a probe at the user's port 8080.
fn outcome(row: &Row) -> Option<Probe> {
    let given = row.given.clone();
    let mut container = Container::default();
    let (kind, rest) = row.probe.split_once(", ").unwrap_or((row.probe, ""));
    let role = match rest {
        "sidecar" => Role::Beside,
        "" => Role::Serving {
            port: 8080,
            keeps_port: false,
        },
        "multi" => Role::Serving {
            port: 8080,
            keeps_port: true,
        },
        other => panic!("line {}: no such case: {other}", row.line),
    };
    let slot: fn(&mut Container) -> &mut Option<Probe> = match kind {
        "readiness" => |container| &mut container.readiness_probe,
        "liveness" => |container| &mut container.liveness_probe,
        "startup" => |container| &mut container.startup_probe,
        other => panic!("line {}: no probe `{other}`", row.line),
    };
    *slot(&mut container) = given;
    rewrite(&mut container, role);
    slot(&mut container).take()
}

#[test]
fn the_page_says_what_the_code_does() {
    let rows = rows();
    assert!(rows.len() >= 20, "the table was not found: {} rows", rows.len());
    for row in &rows {
        assert_eq!(outcome(row), row.result, "docs/probes.md:{}", row.line);
    }
}

#[test]
fn a_second_time_changes_nothing() {
    for row in rows() {
        let once = outcome(&row);
        let line = row.line;
        let again = outcome(&Row {
            given: once.clone(),
            ..row
        });
        assert_eq!(again, once, "docs/probes.md:{line}");
    }
}
