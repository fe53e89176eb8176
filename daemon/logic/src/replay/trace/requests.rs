// SPDX-License-Identifier: Apache-2.0
//! A request log: `start_seconds,duration_seconds`, in order of start.
//!
//! Invariants: starts never go back and lie within a year of the first; every number is finite and not negative.
//! Depends on: header, line.

use super::header;
use crate::replay::line::{LineError, number};

/// What a line looks like.
pub const SHAPE: &str = "start_seconds,duration_seconds";
/// The latest start: the year 2286.
pub const LATEST: f64 = 1e10;
/// The longest trace, in seconds: a leap year.
pub const SPAN: u64 = 366 * 86_400;
/// The longest request, in seconds: thirty days.
pub const LONGEST: f64 = 30.0 * 86_400.0;
const NANOSECONDS: f64 = 1e9;
const SECOND: u64 = 1_000_000_000;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// When it comes, in nanoseconds of the trace's own clock.
    pub start: u64,
    /// How long a pod works on it, in nanoseconds.
    pub duration: u64,
}

/// Reads line after line.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    first: Option<u64>,
    last: u64,
    has_begun: bool,
}

impl Reader {
    /// The request of a content line; `None` for a header.
    pub fn line(&mut self, line: &str) -> Result<Option<Arrival>, LineError> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if is_first && header::is_header(line) {
            return header::check(line, SHAPE).map(|()| None);
        }
        let mut fields = line.split(',');
        let start_text = fields.next();
        let start = nanoseconds(number("start_seconds", start_text, LATEST)?);
        let duration = nanoseconds(number("duration_seconds", fields.next(), LONGEST)?);
        if let Some(surplus) = fields.next() {
            return Err(LineError::new("line", format!("two fields, {SHAPE}"), surplus));
        }
        let first = *self.first.get_or_insert(start);
        let found = start_text.unwrap_or_default();
        if start < self.last {
            let expected = format!("a start not before that of the line before ({})", seconds(self.last));
            return Err(LineError::new("start_seconds", expected, found));
        }
        if start - first > SPAN * SECOND {
            let expected = format!("a start within a year of the first ({})", seconds(first));
            return Err(LineError::new("start_seconds", expected, found));
        }
        self.last = start;
        Ok(Some(Arrival { start, duration }))
    }
}

/// The number is at most [`LATEST`].
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * NANOSECONDS).round() as u64
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / NANOSECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Result<Vec<Arrival>, LineError> {
        let mut reader = Reader::default();
        let read = lines.iter().filter_map(|line| reader.line(line).transpose());
        read.collect()
    }

    #[test]
    fn a_header_may_stand_first_and_only_there() {
        let read_all = read(&[SHAPE, "1.5,0.25", " 2 , 0 "]).unwrap();
        assert_eq!(read_all[0].start, 1_500_000_000);
        assert_eq!(read_all[0].duration, 250_000_000);
        assert_eq!(read_all.len(), 2);
        assert!(read(&["1,1", SHAPE]).is_err());
        assert!(read(&["duration_seconds,start_seconds"]).is_err());
    }

    #[test]
    fn a_wrong_field_is_named_with_what_was_expected() {
        let cases = [
            (
                "x,1",
                "start_seconds: expected a number from 0 to 10000000000, found `x`",
            ),
            (
                "1",
                "duration_seconds: expected a number from 0 to 2592000, found nothing",
            ),
            (
                "1,-1",
                "duration_seconds: expected a number from 0 to 2592000, found `-1`",
            ),
            (
                "1,NaN",
                "duration_seconds: expected a number from 0 to 2592000, found `NaN`",
            ),
            (
                "1,2,3",
                "line: expected two fields, start_seconds,duration_seconds, found `3`",
            ),
        ];
        for (line, message) in cases {
            assert_eq!(read(&["0,0", line]).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn time_never_goes_back_nor_on_for_years() {
        let back = read(&["5,1", "4.5,1"]).unwrap_err().to_string();
        assert_eq!(
            back,
            "start_seconds: expected a start not before that of the line before (5), found `4.5`"
        );
        assert!(read(&["0,1", "1700000000,1"]).is_err());
    }
}
