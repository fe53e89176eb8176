// SPDX-License-Identifier: Apache-2.0
//! A line as one JSON object.
//!
//! Invariants: what a client sent can neither end a string nor a line: control characters, quotes and bytes that are not
//! UTF-8 are escaped or replaced; a field that does not apply is left out.
//! Depends on: facts, message.

use super::facts::{Ended, Facts};
use crate::message::{BodySize, Version};
use http::{HeaderName, header};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The line, without its end.
pub(super) fn render(line: &Facts<'_>, ended: &Ended) -> String {
    let mut object = Object::begin();
    object.raw("time", format_args!("\"{}\"", Utc(line.arrived)));
    object.text("method", line.method.as_str().as_bytes());
    object.text("host", line.host.as_bytes());
    object.text("path", line.uri.as_bytes());
    object.text("protocol", protocol(line.version).as_bytes());
    object.raw("status", ended.status);
    object.text("end", line.outcome.word().as_bytes());
    match line.body {
        BodySize::None => object.raw("request_bytes", 0),
        BodySize::Known(length) => object.raw("request_bytes", length),
        BodySize::Open => {}
    }
    object.raw("response_bytes", ended.bytes);
    object.raw("duration_ms", Milliseconds(ended.took));
    if let Some(waited) = line.waited {
        object.raw("waited_ms", Milliseconds(waited));
    }
    object.raw("client", format_args!("\"{}\"", line.peer));
    if let Some(revision) = &line.revision {
        object.text("namespace", revision.identity.namespace.as_bytes());
        object.text("revision", revision.identity.name.as_bytes());
    }
    if let Some(pod) = line.pod {
        object.raw("pod", format_args!("\"{pod}\""));
        object.raw("attempts", line.attempts);
    }
    object.header("user_agent", line, &header::USER_AGENT);
    object.header("referer", line, &header::REFERER);
    if let Some(id) = trace(line) {
        object.text("trace_id", id);
    }
    object.end()
}

/// Of W3C's header, else of B3's.
fn trace<'a>(line: &'a Facts<'_>) -> Option<&'a [u8]> {
    let of = |name: &'static str| line.headers.get(name).map(http::HeaderValue::as_bytes);
    let part = |value: &'a [u8], index| value.split(|byte| *byte == b'-').nth(index);
    line.log.traces.then_some(())?;
    of("traceparent")
        .and_then(|value| part(value, 1))
        .or_else(|| {
            of("b3")
                .filter(|value| value.len() > 16)
                .and_then(|value| part(value, 0))
        })
        .or_else(|| of("x-b3-traceid"))
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::One0 => "HTTP/1.0",
        Version::One1 => "HTTP/1.1",
        Version::Two => "HTTP/2.0",
    }
}

/// An object in the making.
struct Object(String);

impl Object {
    fn begin() -> Self {
        let mut out = String::with_capacity(512);
        out.push('{');
        Self(out)
    }

    fn name(&mut self, name: &'static str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    /// A value that is JSON already.
    fn raw(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.name(name);
        // Writing to a String does not fail.
        let _ = write!(self.0, "{value}");
    }

    fn text(&mut self, name: &'static str, value: &[u8]) {
        self.name(name);
        self.0.push('"');
        escape(&String::from_utf8_lossy(value), &mut self.0);
        self.0.push('"');
    }

    fn header(&mut self, name: &'static str, line: &Facts<'_>, header: &HeaderName) {
        if let Some(value) = line.headers.get(header) {
            self.text(name, value.as_bytes());
        }
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// What stands between the quotes of a JSON string (RFC 8259 7); line ends of Unicode are escaped, too.
fn escape(text: &str, out: &mut String) {
    let is_special = |char: char| {
        matches!(char, '"' | '\\' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}') || char.is_ascii_control()
    };
    let mut rest = text;
    while let Some((at, char)) = rest.char_indices().find(|(_, char)| is_special(*char)) {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            other => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
        }
        rest = after.get(char.len_utf8()..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// Milliseconds with three decimals.
struct Milliseconds(Duration);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.0.as_micros();
        write!(to, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

/// A time as RFC 3339 has it, to the millisecond.
struct Utc(SystemTime);

impl std::fmt::Display for Utc {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (day, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, date) = civil(day);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let millisecond = since.subsec_millis();
        write!(
            to,
            "{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z"
        )
    }
}

/// Year, month and day of a day since 1970 (Gregorian): years are taken to begin in March, so that a leap day is the last.
fn civil(day: u64) -> (u64, u64, u64) {
    // 1970-01-01 is day 719 468 since 0000-03-01; 400 years have 146 097 days.
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(seconds: u64) -> String {
        Utc(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7)).to_string()
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(time(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(time(951_782_399), "2000-02-28T23:59:59.007Z");
        assert_eq!(time(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(time(4_107_542_400), "2100-03-01T00:00:00.007Z");
        assert_eq!(time(1_795_258_108), "2026-11-21T10:48:28.007Z");
    }

    #[test]
    fn a_duration_has_three_decimals() {
        assert_eq!(Milliseconds(Duration::from_micros(12_034)).to_string(), "12.034");
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_line_that_reads_as_they_were(bytes: Vec<u8>, text in "\\PC*[\"\\\\\n\r\t\u{2028}\u{0}-\u{1f}]*") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let mut object = Object::begin();
                object.text("a", bytes);
                object.text("b", b"");
                let line = object.end();
                let is_split = line.chars().any(|char| char.is_control() || char == '\u{2028}');
                prop_assert!(!is_split);
                let read: serde_json::Value = serde_json::from_str(&line).unwrap();
                prop_assert_eq!(read["a"].as_str().unwrap(), String::from_utf8_lossy(bytes));
            }
        }
    }
}
