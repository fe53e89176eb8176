// SPDX-License-Identifier: Apache-2.0
//! Go's `time.Duration`: signed nanoseconds, its syntax and its text.
//!
//! Invariants: `parse` of what a span prints gives that span; nothing panics.
//! Depends on: nothing.

use std::fmt;
use std::time::Duration;

/// A length of time which may be negative, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

/// A text that is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// No such syntax, or too long.
    #[error("time: invalid duration {}", quoted(.0))]
    Invalid(String),
    /// A number without its unit.
    #[error("time: missing unit in duration {}", quoted(.0))]
    NoUnit(String),
    /// A unit that does not exist.
    #[error("time: unknown unit {} in duration {}", quoted(.unit), quoted(.text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

const SECOND: i64 = 1_000_000_000;
/// The largest magnitude, which only a negative span reaches.
const LIMIT: u64 = 1 << 63;

impl Span {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// So many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// So many seconds; the longest span if there are too many.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(SECOND))
    }

    /// In nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// As a duration; nothing if negative.
    #[must_use]
    pub fn to_duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// Whether it is a multiple of a second.
    #[must_use]
    pub const fn is_whole_seconds(self) -> bool {
        self.0 % SECOND == 0
    }

    /// Reads what Go's `time.ParseDuration` reads: `1h15m`, `1.5s`, `-3ms`, `0`.
    ///
    /// # Errors
    /// Any other text, and what is longer than 292 years.
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let invalid = || SpanError::Invalid(text.to_owned());
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut sum: u64 = 0;
        while !rest.is_empty() {
            let (part, after) = part(rest, text)?;
            sum = sum.checked_add(part).filter(|sum| *sum <= LIMIT).ok_or_else(invalid)?;
            rest = after;
        }
        let signed = if negative { -i128::from(sum) } else { i128::from(sum) };
        i64::try_from(signed).map(Self).map_err(|_| invalid())
    }
}

/// One number with its unit, in nanoseconds, and what follows it.
fn part<'a>(rest: &'a str, text: &str) -> Result<(u64, &'a str), SpanError> {
    let invalid = || SpanError::Invalid(text.to_owned());
    let (whole_digits, after) = split_digits(rest);
    let (fraction_digits, after) = match after.strip_prefix('.') {
        Some(after) => split_digits(after),
        None => ("", after),
    };
    let whole = number(whole_digits).ok_or_else(invalid)?;
    if whole_digits.is_empty() && fraction_digits.is_empty() {
        return Err(invalid());
    }
    let end = after
        .find(|char: char| char == '.' || char.is_ascii_digit())
        .unwrap_or(after.len());
    let (name, after) = after.split_at(end);
    if name.is_empty() {
        return Err(SpanError::NoUnit(text.to_owned()));
    }
    let unit = unit(name).ok_or_else(|| SpanError::UnknownUnit {
        unit: name.to_owned(),
        text: text.to_owned(),
    })?;
    let mut nanoseconds = whole
        .checked_mul(unit)
        .filter(|value| *value <= LIMIT)
        .ok_or_else(invalid)?;
    if !fraction_digits.is_empty() {
        nanoseconds = nanoseconds.saturating_add(fraction(fraction_digits, unit));
    }
    if nanoseconds > LIMIT {
        return Err(invalid());
    }
    Ok((nanoseconds, after))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len()))
}

/// Digits as a number; zero if there are none, nothing if it is too large.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |value, byte| {
        value
            .checked_mul(10)?
            .checked_add(u64::from(byte - b'0'))
            .filter(|value| *value <= LIMIT)
    })
}

/// That part of a unit; digits which no longer fit are dropped, as Go drops them.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Go computes this in floating point too; below one unit, so it fits"
)]
fn fraction(digits: &str, unit: u64) -> u64 {
    let mut value: u64 = 0;
    let mut scale: f64 = 1.0;
    for byte in digits.bytes() {
        let next = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(byte - b'0')));
        let Some(next) = next.filter(|next| *next < LIMIT) else {
            break;
        };
        value = next;
        scale *= 10.0;
    }
    (value as f64 * (unit as f64 / scale)) as u64
}

fn unit(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// As Go quotes the text of a duration: other than ASCII byte by byte.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..0x80 => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
    out
}

impl fmt::Display for Span {
    /// As Go prints it: `1h0m0s`, `1.5s`, `10ms`, `0s`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        match magnitude {
            0 => write!(out, "0s"),
            1..1_000 => write!(out, "{sign}{magnitude}ns"),
            1_000..1_000_000 => write!(out, "{sign}{}µs", decimal(magnitude, 1_000)),
            1_000_000..1_000_000_000 => write!(out, "{sign}{}ms", decimal(magnitude, 1_000_000)),
            _ => {
                let minutes = magnitude / 60_000_000_000;
                let seconds = decimal(magnitude % 60_000_000_000, 1_000_000_000);
                match (minutes / 60, minutes % 60) {
                    (0, 0) => write!(out, "{sign}{seconds}s"),
                    (0, minutes) => write!(out, "{sign}{minutes}m{seconds}s"),
                    (hours, minutes) => write!(out, "{sign}{hours}h{minutes}m{seconds}s"),
                }
            }
        }
    }
}

/// `value / unit`, without trailing zeros.
fn decimal(value: u64, unit: u64) -> String {
    let width = unit.ilog10() as usize;
    let text = format!("{}.{:0width$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_are_those_of_go() {
        let texts = [
            ("61m", "1h1m0s"),
            ("1500ms", "1.5s"),
            ("60s", "1m0s"),
            ("1ms", "1ms"),
            ("-3s", "-3s"),
            ("1h0.5s", "1h0m0.5s"),
            ("10us", "10µs"),
            ("+0", "0s"),
            (".5h", "30m0s"),
            ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
        ];
        for (text, printed) in texts {
            assert_eq!(Span::parse(text).unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn errors_are_those_of_go() {
        let errors = [
            ("x", "time: invalid duration \"x\""),
            ("", "time: invalid duration \"\""),
            ("-1", "time: missing unit in duration \"-1\""),
            ("5y", "time: unknown unit \"y\" in duration \"5y\""),
            ("3000000h", "time: invalid duration \"3000000h\""),
            ("1.s.", "time: invalid duration \"1.s.\""),
            ("1é", "time: unknown unit \"\\xc3\\xa9\" in duration \"1\\xc3\\xa9\""),
        ];
        for (text, error) in errors {
            assert_eq!(Span::parse(text).unwrap_err().to_string(), error);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(nanoseconds: i64) {
            let span = Span::from_nanos(nanoseconds);
            prop_assert_eq!(Span::parse(&span.to_string()), Ok(span));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.a-zµ ]{0,24}") {
            let _ = Span::parse(&text);
        }
    }
}
