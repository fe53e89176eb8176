// SPDX-License-Identifier: Apache-2.0
//! The formats of traces, and which one a file has.
//!
//! Mechanism: a header or a brace decides; two bare columns are seconds if the first only has whole numbers that rise by one
//! value each line, else requests.
//! Invariants: blank lines and lines that begin with `#` are no content; a header is the first content line or none.
//! Depends on: header, requests, seconds.

mod header;
pub mod requests;
pub mod seconds;

use header::is_header;

/// What the lines of a trace are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One recorded scenario a line: JSON as in `kpa-decider.jsonl`.
    Scenarios,
    /// `second,concurrency[,rps]`.
    Seconds,
    /// `start_seconds,duration_seconds`: a request a line.
    Requests,
}

impl Format {
    /// How a person calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scenarios => "scenarios",
            Self::Seconds => "seconds",
            Self::Requests => "requests",
        }
    }

    /// What a line of it looks like.
    pub const fn shape(self) -> &'static str {
        match self {
            Self::Scenarios => "{\"name\",\"start_unix\",\"spec\",\"steps\"}",
            Self::Seconds => seconds::SHAPE,
            Self::Requests => requests::SHAPE,
        }
    }

    /// The format that the first content lines have; `None` if they have none of them. A few dozen are enough.
    pub fn detect<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut lines = lines.into_iter().filter(|line| is_content(line)).peekable();
        let first = lines.peek()?.trim();
        if first.starts_with('{') {
            return Some(Self::Scenarios);
        }
        if is_header(first) {
            let has = |name| first.to_ascii_lowercase().contains(name);
            return match (has("duration"), has("concurrency")) {
                (true, false) => Some(Self::Requests),
                (false, true) => Some(Self::Seconds),
                _ => None,
            };
        }
        match first.split(',').count() {
            2 if are_seconds(lines) => Some(Self::Seconds),
            2 => Some(Self::Requests),
            3 => Some(Self::Seconds),
            _ => None,
        }
    }
}

/// Whether a line says something.
pub fn is_content(line: &str) -> bool {
    let line = line.trim_start();
    !line.is_empty() && !line.starts_with('#')
}

fn are_seconds<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let mut last = None;
    for line in lines {
        let text = line.split(',').next().unwrap_or_default();
        let Ok(second) = text.trim().parse::<u64>() else {
            return false;
        };
        if last.is_some_and(|last| second <= last) {
            return false;
        }
        last = Some(second);
    }
    true
}

#[cfg(test)]
mod tests;
