// SPDX-License-Identifier: Apache-2.0
//! The report for people.
//!
//! Invariants: the last line has one of the words exact, connections, none, and no other of them.
//! Depends on: `report`.

use crate::check::report::{Feature, Memory, Report};

/// All lines.
pub(crate) fn lines(report: &Report, in_colour: bool) -> Vec<String> {
    let mut lines = vec![format!("kernel {}", report.kernel)];
    let names = report
        .features
        .iter()
        .chain(&report.places)
        .map(|feature| feature.name.chars().count());
    let width = names.chain([REQUESTS.len()]).max().unwrap_or(0);
    let all = report.features.iter().chain(&report.places);
    lines.extend(all.map(|feature| feature_line(feature, width, in_colour)));
    lines.push(requests_line(report, width, in_colour));
    if let Some(load) = &report.load {
        let programs = load.verified_instructions.iter();
        let programs: Vec<String> = programs.map(|(hook, count)| format!("{hook} {count}")).collect();
        lines.push(String::new());
        lines.push(format!(
            "loaded in {} ms; instructions that the verifier walked:",
            load.milliseconds
        ));
        lines.push(format!("  {}", programs.join(", ")));
    }
    if let Some(memory) = &report.memory {
        lines.extend(memory_lines(memory));
    }
    if !report.missing.is_empty() {
        lines.push(String::new());
        lines.push("missing".to_owned());
    }
    for missing in &report.missing {
        lines.push(format!("  {}", missing.what));
        lines.push(format!("    {}", missing.help));
    }
    lines.push(String::new());
    lines.extend(report.why.iter().map(|why| format!("not more, because: {why}")));
    lines.push(last(report));
    lines
}

fn last(report: &Report) -> String {
    let is_more_missing = report.tier != "none" && report.exit() != crate::failure::Exit::Done;
    let condition = if is_more_missing {
        ", once what is missing is there"
    } else {
        ""
    };
    format!("tier: {}{condition}", report.tier)
}

const REQUESTS: &str = "requests through a cgroup of our own";

fn requests_line(report: &Report, width: usize, in_colour: bool) -> String {
    let requests = &report.loopback;
    let made = requests.made;
    let what = match (requests.counted, report.tier) {
        (Some(true), "exact") => format!("counted exactly: {made} of {made}, one HTTP/1.1, one HTTP/2"),
        (Some(true), _) => format!("counted as connections: {made} of {made}"),
        (Some(false), _) => "not counted as they were".to_owned(),
        (None, _) => "not tried".to_owned(),
    };
    line(
        requests.counted,
        REQUESTS,
        &what,
        requests.why_not.as_deref(),
        width,
        in_colour,
    )
}

fn feature_line(feature: &Feature, width: usize, in_colour: bool) -> String {
    let why = feature.why_not.as_deref();
    line(feature.is_there, &feature.name, feature.used_for, why, width, in_colour)
}

fn line(is_there: Option<bool>, name: &str, what: &str, why: Option<&str>, width: usize, in_colour: bool) -> String {
    let (word, colour) = match is_there {
        Some(true) => ("yes", "\x1b[32m"),
        Some(false) => ("no ", "\x1b[31m"),
        None => ("?  ", "\x1b[33m"),
    };
    let (colour, plain) = if in_colour { (colour, "\x1b[0m") } else { ("", "") };
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    format!("  {colour}{word}{plain}  {name:<width$}  {what}{why}")
}

fn memory_lines(memory: &Memory) -> [String; 5] {
    let mut largest = memory.maps.clone();
    largest.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let largest: Vec<String> = largest
        .iter()
        .take(4)
        .map(|(name, bytes)| format!("{name} {}", size(*bytes)))
        .collect();
    [
        String::new(),
        format!("memory {} for {}", size(memory.bytes), memory.room_for),
        format!("  most: {}", largest.join(", ")),
        format!(
            "  and {} B for each open connection that is counted, {} B more when it speaks HTTP/2",
            memory.bytes_per_connection, memory.bytes_per_http2_connection
        ),
        format!(
            "  and, once its request segments come out of order, {} more at a time, up to {} times, until it closes",
            size(memory.bytes_per_stash),
            memory.stashes_per_connection
        ),
    ]
}

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 20 => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        bytes => format!("{:.1} KiB", bytes as f64 / 1024.0),
    }
}
