// SPDX-License-Identifier: Apache-2.0
//! A load curve: `second,concurrency[,rps]`, one row a second, in order.
//!
//! Mechanism: a row becomes the requests that would show it in the long run: evenly spaced, each as long as Little's law
//! says (concurrency ÷ rps). Without rps they last as long as the model says.
//! Invariants: seconds rise; one that is left out has no requests; fractions of a request are carried, none is lost.
//! Depends on: header, line, requests.

use super::header;
use super::requests::{Arrival, LATEST, LONGEST, SPAN};
use crate::replay::line::{LineError, number};
use std::time::Duration;

/// What a line looks like.
pub const SHAPE: &str = "second,concurrency[,rps]";
/// The names of its columns.
const COLUMNS: &str = "second,concurrency,rps";
/// The most requests in flight, and begun in a second.
const MOST: f64 = 1e6;
const SECOND: u64 = 1_000_000_000;

/// One second of load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Which second.
    pub second: u64,
    /// Requests in flight, mean.
    pub concurrency: f64,
    /// Requests begun.
    pub rps: Option<f64>,
}

/// Reads line after line.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    first: Option<u64>,
    last: Option<u64>,
    has_begun: bool,
}

impl Reader {
    /// The row of a content line; `None` for a header.
    pub fn line(&mut self, line: &str) -> Result<Option<Row>, LineError> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        if is_first && header::is_header(line) {
            return header::check(line, COLUMNS).map(|()| None);
        }
        let mut fields = line.split(',');
        let second_text = fields.next();
        let second = number("second", second_text, LATEST)?;
        let found = second_text.unwrap_or_default();
        if second.fract() != 0.0 {
            return Err(LineError::new("second", "a whole number", found));
        }
        let second = second as u64;
        let concurrency = number("concurrency", fields.next(), MOST)?;
        let rps = fields.next().filter(|text| !text.trim().is_empty());
        let rps = rps.map(|text| number("rps", Some(text), MOST)).transpose()?;
        if let Some(surplus) = fields.next() {
            return Err(LineError::new("line", format!("two or three fields, {SHAPE}"), surplus));
        }
        if let Some(last) = self.last.filter(|last| second <= *last) {
            let expected = format!("a second after that of the line before ({last})");
            return Err(LineError::new("second", expected, found));
        }
        let first = *self.first.get_or_insert(second);
        if second - first > SPAN {
            let expected = format!("a second within a year of the first ({first})");
            return Err(LineError::new("second", expected, found));
        }
        self.last = Some(second);
        Ok(Some(Row {
            second,
            concurrency,
            rps,
        }))
    }
}

/// Makes requests of rows.
#[derive(Debug, Clone, Default)]
pub struct Maker {
    /// The part of a request that is due.
    carried: f64,
}

impl Maker {
    /// The requests of a row, in order; `lasting` is how long one lasts if the row does not say.
    pub fn requests(&mut self, row: Row, lasting: Duration) -> impl Iterator<Item = Arrival> + use<> {
        let lasting = lasting.as_secs_f64().max(1e-6);
        let (rate, duration) = match row.rps.filter(|rps| *rps > 0.0) {
            Some(rps) => (rps, row.concurrency / rps),
            None => (row.concurrency / lasting, lasting),
        };
        let due = self.carried + rate.min(MOST);
        let count = due.floor();
        self.carried = due - count;
        let duration = (duration.min(LONGEST) * SECOND as f64) as u64;
        let begin = row.second.saturating_mul(SECOND);
        let count = count as u64;
        (0..count).map(move |index| Arrival {
            start: begin + (2 * index + 1) * SECOND / (2 * count),
            duration,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_and_seconds_must_rise() {
        let mut reader = Reader::default();
        assert_eq!(reader.line("second,concurrency"), Ok(None));
        let row = reader.line("7,2.5,10").unwrap().unwrap();
        assert_eq!((row.second, row.concurrency, row.rps), (7, 2.5, Some(10.0)));
        assert_eq!(reader.line("8,1,").unwrap().unwrap().rps, None);
        for wrong in [
            "8,1",
            "7,1",
            "9.5,1",
            "9,inf",
            "9,1,-1",
            "9,1,1,1",
            "99999999,1",
            "",
            "9",
        ] {
            assert!(reader.line(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn fractions_of_a_request_are_carried() {
        let mut maker = Maker::default();
        let row = |second| Row {
            second,
            concurrency: 0.25,
            rps: None,
        };
        let made: Vec<_> = (0..100)
            .flat_map(|second| maker.requests(row(second), Duration::from_secs(1)))
            .collect();
        assert_eq!(made.len(), 25);
    }

    #[test]
    fn a_request_lasts_as_littles_law_says() {
        let row = Row {
            second: 3,
            concurrency: 5.0,
            rps: Some(20.0),
        };
        let made: Vec<_> = Maker::default().requests(row, Duration::from_secs(9)).collect();
        assert_eq!(made.len(), 20);
        assert!(
            made.iter()
                .all(|request| request.duration == 250_000_000 && request.start / SECOND == 3)
        );
    }
}
