// SPDX-License-Identifier: Apache-2.0
//! The table for people, as lines of text.
//!
//! Problem: it must be readable on 80 columns and say everything on wide ones, and never wrap.
//! Mechanism: columns have ranks; those that do not fit go, highest rank first. Notes below say in words what a number alone
//! would hide, folded at spaces.
//! Invariants: pure; control characters of names do not reach the terminal.
//! Depends on: `reading`, `words`.

use std::time::Duration;

use crate::{top::reading::Reading, words::plural};

/// A line and how it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What the columns are.
    Heading,
    /// A server.
    Row,
    /// Something to know.
    Note,
    /// Something to worry about.
    Warning,
}

struct Column {
    heading: &'static str,
    /// Columns of rank 0 always stay.
    rank: u8,
    cell: fn(&Reading) -> String,
}

const COLUMNS: [Column; 18] = [
    Column {
        heading: "SERVER",
        rank: 0,
        cell: |reading| printable(&reading.name),
    },
    Column {
        heading: "IN FLIGHT",
        rank: 0,
        cell: |reading| reading.figures.now.in_flight.to_string(),
    },
    Column {
        heading: "MEAN 1s",
        rank: 1,
        cell: |reading| mean(reading, 0),
    },
    Column {
        heading: "10s",
        rank: 3,
        cell: |reading| mean(reading, 1),
    },
    Column {
        heading: "60s",
        rank: 4,
        cell: |reading| mean(reading, 2),
    },
    Column {
        heading: "REQ/s",
        rank: 0,
        cell: |reading| optional(reading.figures.requests_per_second, number),
    },
    Column {
        heading: "p50",
        rank: 2,
        cell: |reading| optional(reading.figures.latency[0], time),
    },
    Column {
        heading: "p90",
        rank: 5,
        cell: |reading| optional(reading.figures.latency[1], time),
    },
    Column {
        heading: "p99",
        rank: 1,
        cell: |reading| optional(reading.figures.latency[2], time),
    },
    Column {
        heading: "2xx/s",
        rank: 6,
        cell: |reading| class(reading, 2),
    },
    Column {
        heading: "3xx/s",
        rank: 8,
        cell: |reading| class(reading, 3),
    },
    Column {
        heading: "4xx/s",
        rank: 7,
        cell: |reading| class(reading, 4),
    },
    Column {
        heading: "5xx/s",
        rank: 3,
        cell: |reading| class(reading, 5),
    },
    Column {
        heading: "CONNS",
        rank: 1,
        cell: |reading| reading.figures.now.open.to_string(),
    },
    Column {
        heading: "UNACC",
        rank: 4,
        cell: |reading| optional(reading.unaccounted, |count| count.to_string()),
    },
    Column {
        heading: "UNCERT",
        rank: 7,
        cell: |reading| reading.figures.now.uncertain.to_string(),
    },
    Column {
        heading: "IN/s",
        rank: 9,
        cell: |reading| optional(reading.figures.bytes_per_second.map(|(into, _)| into), bytes),
    },
    Column {
        heading: "OUT/s",
        rank: 9,
        cell: |reading| optional(reading.figures.bytes_per_second.map(|(_, out)| out), bytes),
    },
];

const GAP: usize = 2;
const NAME_ROOM: usize = 32;

/// The lines, none longer than `width`.
pub(crate) fn lines(readings: &[Reading], width: usize) -> Vec<Line> {
    let mut columns: Vec<(&Column, Vec<String>)> = COLUMNS
        .iter()
        .map(|column| (column, readings.iter().map(column.cell).collect()))
        .collect();
    while total(&columns) > width {
        let ranks = columns.iter().map(|(column, _)| column.rank).enumerate();
        // Of equals the last.
        let Some((worst, _)) = ranks.filter(|(_, rank)| *rank > 0).max_by_key(|(_, rank)| *rank) else {
            break;
        };
        columns.remove(worst);
    }
    let headings = columns
        .iter()
        .map(|(column, cells)| pad(column.heading, column, cells))
        .collect();
    let mut lines = vec![line(headings, Kind::Heading)];
    for row in 0..readings.len() {
        let cells = columns
            .iter()
            .map(|(column, cells)| pad(&cells[row], column, cells))
            .collect();
        lines.push(line(cells, Kind::Row));
    }
    for line in &mut lines {
        line.text = cut(&line.text, width);
    }
    let mut notes: Vec<Line> = readings.iter().flat_map(notes).collect();
    if readings.iter().any(|reading| reading.is_read_only) {
        notes.push(Line {
            text: "read only: another sluice holds this folder".to_owned(),
            kind: Kind::Note,
        });
    }
    lines.extend(notes.iter().flat_map(|note| folded(note, width)));
    lines
}

/// Over as many lines as it takes: the end of a sentence may be what matters.
fn folded(note: &Line, width: usize) -> Vec<Line> {
    const INDENT: &str = "  ";
    let mut texts: Vec<String> = Vec::new();
    for word in note.text.split(' ') {
        match texts.last_mut() {
            Some(text) if text.chars().count() + 1 + word.chars().count() <= width => {
                text.push(' ');
                text.push_str(word);
            }
            Some(_) => texts.push(format!("{INDENT}{word}")),
            None => texts.push(word.to_owned()),
        }
    }
    let line = |text: String| Line {
        text: cut(&text, width),
        kind: note.kind,
    };
    texts.into_iter().map(line).collect()
}

fn line(cells: Vec<String>, kind: Kind) -> Line {
    let text = cells.join(&" ".repeat(GAP)).trim_end().to_owned();
    Line { text, kind }
}

fn total(columns: &[(&Column, Vec<String>)]) -> usize {
    let widths = columns.iter().map(|(column, cells)| width_of(column, cells));
    widths.sum::<usize>() + GAP * columns.len().saturating_sub(1)
}

fn width_of(column: &Column, cells: &[String]) -> usize {
    let widest = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0);
    // Figures that change must not move their neighbours.
    widest.max(column.heading.len()).max(6)
}

fn pad(cell: &str, column: &Column, cells: &[String]) -> String {
    let width = width_of(column, cells);
    if column.heading == COLUMNS[0].heading {
        format!("{cell:<width$}")
    } else {
        format!("{cell:>width$}")
    }
}

fn notes(reading: &Reading) -> Vec<Line> {
    let name = printable(&reading.name);
    let warnings = warnings(reading).into_iter().map(|text| (Kind::Warning, text));
    let all = warnings.chain([(Kind::Note, totals(reading))]);
    let line = |(kind, text)| Line {
        text: format!("{name}: {text}"),
        kind,
    };
    all.map(line).collect()
}

/// Programs that are gone; where the cgroup is, so are they.
pub(crate) fn lost(reading: &Reading) -> Option<String> {
    let lost = reading
        .lost
        .as_ref()
        .filter(|lost| reading.is_there && !lost.is_empty())?;
    let words: Vec<&str> = lost.iter().map(|hook| hook.word()).collect();
    Some(format!(
        "not counted rightly any more: somebody detached {}; end this, then `sluice top` again",
        words.join(", ")
    ))
}

/// What the figures alone would hide.
fn warnings(reading: &Reading) -> Vec<String> {
    let now = &reading.figures.now;
    let is_exact = reading.tier == "exact";
    let connections = |count: u64| plural(count, "connection");
    let told = [
        (!reading.is_there).then(|| "its cgroup is gone".to_owned()),
        (reading.is_there && reading.is_listening == Some(false)).then(|| "nobody listens there any more".to_owned()),
        lost(reading),
        (!is_exact).then(|| "counted as connections: this kernel cannot read requests".to_owned()),
        match reading.unaccounted {
            None => Some("connections could not be listed: unaccounted is not known".to_owned()),
            Some(0) => None,
            Some(count) => Some(format!("{} not counted: older than the counting", connections(count))),
        },
        (now.not_counted > 0).then(|| {
            format!(
                "{} not counted: no memory for their state",
                connections(now.not_counted)
            )
        }),
        (is_exact && now.opaque > 0).then(|| {
            format!(
                "{} counted as connections: not HTTP as we read it (TLS?)",
                connections(now.opaque)
            )
        }),
        (now.uncertain > 0).then(|| {
            format!(
                "{} uncertain: packets were lost on the way to us",
                connections(now.uncertain)
            )
        }),
    ];
    told.into_iter().flatten().collect()
}

fn totals(reading: &Reading) -> String {
    let now = &reading.figures.now;
    let [unknown, one, two, three, four, five] = now.status;
    let mut text = format!(
        "{} since counting began, {} ended (2xx {two}, 3xx {three}, 4xx {four}, 5xx {five}",
        now.started, now.ended
    );
    for (count, what) in [(one, "1xx"), (unknown, "unknown"), (now.aborted, "aborted")] {
        if count > 0 {
            text.push_str(&format!(", {what} {count}"));
        }
    }
    text.push_str(&format!("); {}", plural(now.connections, "connection")));
    for (count, told) in [
        (now.http2, format!("{} HTTP/2", now.http2)),
        (now.tunnels, plural(now.tunnels, "tunnel")),
        (now.uncertain, format!("{} uncertain", now.uncertain)),
        (now.probes, plural(now.probes, "probe")),
    ] {
        if count > 0 {
            text.push_str(&format!(", {told}"));
        }
    }
    text
}

fn mean(reading: &Reading, window: usize) -> String {
    optional(reading.figures.means[window], |mean| format!("{mean:.2}"))
}

fn class(reading: &Reading, class: usize) -> String {
    optional(reading.figures.status_per_second.map(|rates| rates[class]), number)
}

fn optional<T>(value: Option<T>, show: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), show)
}

fn number(value: f64) -> String {
    match value {
        value if value >= 99_950.0 => format!("{:.0}k", value / 1e3),
        value if value >= 99.95 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        seconds if seconds >= 9.95 => format!("{seconds:.0}s"),
        seconds if seconds >= 0.9995 => format!("{seconds:.1}s"),
        seconds if seconds >= 0.00995 => format!("{:.0}ms", seconds * 1e3),
        seconds if seconds >= 0.000_999_5 => format!("{:.1}ms", seconds * 1e3),
        seconds => format!("{:.0}µs", seconds * 1e6),
    }
}

fn bytes(count: f64) -> String {
    const STEPS: [(f64, &str); 3] = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match STEPS.iter().find(|(step, _)| count >= *step) {
        Some((step, unit)) => format!("{:.1}{unit}", count / step),
        None => format!("{count:.0}B"),
    }
}

fn printable(name: &str) -> String {
    let clean: String = name
        .chars()
        .map(|letter| if letter.is_control() { '?' } else { letter })
        .collect();
    let length = clean.chars().count();
    if length <= NAME_ROOM {
        return clean;
    }
    let end: String = clean.chars().skip(length + 1 - NAME_ROOM).collect();
    format!("…{end}")
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::{
        figures::{Figures, tests::nothing},
        history::History,
    };
    use kernel::Hook;

    fn reading(name: &str) -> Reading {
        let history = History::new(Duration::from_secs(60), 0, nothing());
        Reading {
            name: name.to_owned(),
            cgroup: "/c/a".to_owned(),
            netns: Some(1),
            port: 80,
            tier: "exact".to_owned(),
            figures: Figures::of(&history, &nothing()),
            unaccounted: Some(0),
            is_listening: Some(true),
            is_there: true,
            lost: Some(Vec::new()),
            is_read_only: false,
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let readings = [reading("a:80"), reading(&"long".repeat(40))];
        for width in [20, 40, 80, 120, 200] {
            for line in lines(&readings, width) {
                assert!(line.text.chars().count() <= width, "{width}: {}", line.text);
            }
        }
    }

    #[test]
    fn a_narrow_terminal_keeps_what_matters_most() {
        let narrow = lines(&[reading("a:80")], 80)[0].text.clone();
        for heading in ["IN FLIGHT", "REQ/s", "p99", "CONNS"] {
            assert!(narrow.contains(heading), "{narrow}");
        }
        let wide = lines(&[reading("a:80")], 200)[0].text.clone();
        assert!(COLUMNS.iter().all(|column| wide.contains(column.heading)), "{wide}");
    }

    #[test]
    fn notes_are_folded_and_lose_no_word() {
        let mut reading = reading("pid 4711:8080");
        reading.unaccounted = Some(3);
        let all = |width| lines(std::slice::from_ref(&reading), width);
        let words = |lines: Vec<Line>| {
            let notes = lines.into_iter().skip(2).map(|line| line.text);
            notes
                .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(words(all(40)), words(all(200)));
        assert!(all(40)[0].text.contains("REQ/s"), "{}", all(40)[0].text);
        let warnings = all(40).into_iter().filter(|line| line.kind == Kind::Warning);
        assert_eq!(
            warnings.map(|line| line.text.starts_with("  ")).collect::<Vec<_>>(),
            [false, true]
        );
    }

    #[test]
    fn what_is_not_counted_is_said_in_words() {
        let mut older = reading("a:80");
        older.unaccounted = Some(3);
        assert!(
            lines(&[older], 200)
                .iter()
                .any(|line| line.kind == Kind::Warning && line.text.contains("3 connections not counted"))
        );
        let mut unknown = reading("a:80");
        unknown.unaccounted = None;
        assert!(
            lines(&[unknown], 200)
                .iter()
                .any(|line| line.text.contains("not known"))
        );
        let mut opaque = reading("a:80");
        opaque.figures.now.opaque = 2;
        assert!(
            lines(&[opaque], 200)
                .iter()
                .any(|line| line.text.contains("counted as connections"))
        );
    }

    #[test]
    fn programs_that_are_gone_are_told_unless_their_cgroup_is() {
        let mut reading = reading("a:80");
        reading.lost = Some(vec![Hook::Ingress, Hook::SockOps]);
        let told = |reading: &Reading| {
            let all = lines(std::slice::from_ref(reading), 200);
            all.iter()
                .any(|line| line.kind == Kind::Warning && line.text.contains("detached ingress, sock_ops"))
        };
        assert!(told(&reading));
        reading.is_there = false;
        assert!(!told(&reading));
    }

    #[test]
    fn who_only_looks_is_told_so_once() {
        let mut readings = [reading("a:80"), reading("a:81")];
        readings.iter_mut().for_each(|reading| reading.is_read_only = true);
        let all = lines(&readings, 80);
        assert_eq!(all.iter().filter(|line| line.text.starts_with("read only")).count(), 1);
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        let text: String = lines(&[reading("a\x1b[2Jb:80")], 200)
            .into_iter()
            .map(|line| line.text)
            .collect();
        assert!(!text.contains('\x1b'), "{text:?}");
    }

    #[test]
    fn figures_have_three_digits_or_so() {
        assert_eq!(number(0.0), "0.0");
        assert_eq!(number(1234.4), "1234");
        assert_eq!(number(123_456.0), "123k");
        assert_eq!(time(Duration::from_micros(250)), "250µs");
        assert_eq!(time(Duration::from_micros(1500)), "1.5ms");
        assert_eq!(time(Duration::from_millis(250)), "250ms");
        assert_eq!(time(Duration::from_secs(75)), "75s");
        assert_eq!(bytes(12.0), "12B");
        assert_eq!(bytes(1_500_000.0), "1.5MB");
    }
}
