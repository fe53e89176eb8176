// SPDX-License-Identifier: Apache-2.0
//! Lines of a trace, one at a time.
//!
//! Mechanism: the first lines are kept until the format is told by them; later ones share one buffer.
//! Invariants: no line is longer than its format allows, so memory is bounded whatever the file; blank lines and comments
//! are passed over and counted.
//! Depends on: failure, meter, logic.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead, BufReader, Read as _},
    path::Path,
};

use logic::replay::{Format, LineError};

use super::meter::Meter;
use crate::failure::{Exit, Failure, doing};

/// The longest line of columns, in bytes.
const COLUMNS: usize = 4096;
/// The longest scenario, in bytes.
const SCENARIO: usize = 64 << 20;
/// The format is told by so many lines.
const LOOKED_AT: usize = 64;
const BUFFER: usize = 1 << 18;

/// A trace that is being read.
pub(super) struct Source {
    name: String,
    reader: Box<dyn BufRead>,
    /// Lines read already, with their numbers.
    ahead: VecDeque<(u64, Vec<u8>)>,
    buffer: Vec<u8>,
    /// The line in the buffer.
    number: u64,
    /// Lines taken from the reader.
    taken: u64,
    longest: usize,
    meter: Meter,
}

impl Source {
    pub(super) fn open(path: &Path, name: &str) -> Result<Self, Failure> {
        let file = File::open(path).map_err(doing(format!("opening {name}"), ""))?;
        let about = file.metadata().map_err(doing(format!("looking at {name}"), ""))?;
        if about.is_dir() {
            let message = format!("{name} is a folder, not a trace");
            return Err(Failure::new(Exit::Usage, message, ""));
        }
        let size = about.is_file().then_some(about.len());
        Ok(Self::new(name, Box::new(BufReader::with_capacity(BUFFER, file)), size))
    }

    pub(super) fn new(name: &str, reader: Box<dyn BufRead>, size: Option<u64>) -> Self {
        Self {
            name: name.to_owned(),
            reader,
            ahead: VecDeque::new(),
            buffer: Vec::new(),
            number: 0,
            taken: 0,
            longest: SCENARIO,
            meter: Meter::new(name, size),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the first lines look like.
    pub(super) fn detect(&mut self) -> Result<Format, Failure> {
        while self.ahead.len() < LOOKED_AT && self.read()? {
            let is_json = self.buffer.trim_ascii_start().starts_with(b"{");
            let is_last = is_json || self.buffer.len() > COLUMNS;
            self.ahead.push_back((self.number, std::mem::take(&mut self.buffer)));
            if is_last {
                break;
            }
        }
        let texts: Vec<_> = self
            .ahead
            .iter()
            .map(|(_, line)| String::from_utf8_lossy(line))
            .collect();
        let Some(format) = Format::detect(texts.iter().map(AsRef::as_ref)) else {
            let first = self
                .ahead
                .front()
                .map(|(number, line)| (*number, String::from_utf8_lossy(line)));
            let shapes = [Format::Requests, Format::Seconds, Format::Scenarios].map(Format::shape);
            let expected = shapes.join(", or ");
            return Err(match first {
                Some((number, line)) => self.wrong_at(number, &LineError::new("line", expected, &line)),
                None => self.empty(&expected),
            });
        };
        if format != Format::Scenarios {
            self.longest = COLUMNS;
        }
        Ok(format)
    }

    /// Takes lines only as long as this format has them.
    pub(super) fn expect(&mut self, format: Format) {
        self.longest = if format == Format::Scenarios { SCENARIO } else { COLUMNS };
    }

    /// The next line with content; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, Failure> {
        if !self.advance()? {
            self.meter.end();
            return Ok(None);
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(line) => Ok(Some(line)),
            Err(_) => {
                let found = String::from_utf8_lossy(&self.buffer);
                Err(self.wrong(&LineError::new("line", "text in UTF-8", &found)))
            }
        }
    }

    /// A mistake in the line that was given last.
    pub(super) fn wrong(&self, error: &LineError) -> Failure {
        self.wrong_at(self.number, error)
    }

    /// Something that is no matter of a field, at the line that was given last.
    pub(super) fn stopped(&self, message: &str, help: &str) -> Failure {
        self.meter.end();
        Failure::new(Exit::Failed, format!("{}:{}: {message}", self.name, self.number), help)
    }

    /// There is no line.
    pub(super) fn empty(&self, expected: &str) -> Failure {
        self.meter.end();
        let message = format!("{}: the trace is empty: expected lines like {expected}", self.name);
        Failure::new(Exit::Failed, message, "")
    }

    fn wrong_at(&self, number: u64, error: &LineError) -> Failure {
        self.meter.end();
        let help = match error.field {
            "start_seconds" if error.expected.contains("not before") => {
                "requests must be in order of their start: sort -t, -g -k1,1 puts them"
            }
            "second" if error.expected.contains("after") => {
                "rows must be in order, one a second; or is it a request log? --format requests"
            }
            _ => "",
        };
        Failure::new(Exit::Failed, format!("{}:{number}: {error}", self.name), help)
    }

    fn advance(&mut self) -> Result<bool, Failure> {
        match self.ahead.pop_front() {
            Some((number, line)) => {
                (self.number, self.buffer) = (number, line);
                if self.buffer.len() > self.longest {
                    return Err(self.too_long());
                }
                Ok(true)
            }
            None => self.read(),
        }
    }

    /// Reads the next line with content into the buffer; false at the end.
    fn read(&mut self) -> Result<bool, Failure> {
        loop {
            self.buffer.clear();
            let most = self.longest as u64 + 2;
            let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.buffer);
            let count = read.map_err(doing(format!("reading {}", self.name), ""))?;
            if count == 0 {
                return Ok(false);
            }
            self.taken += 1;
            self.number = self.taken;
            self.meter.add(count as u64);
            while let Some(b'\n' | b'\r') = self.buffer.last() {
                self.buffer.pop();
            }
            if self.buffer.len() > self.longest {
                return Err(self.too_long());
            }
            let text = self.buffer.trim_ascii_start();
            if !text.is_empty() && !text.starts_with(b"#") {
                return Ok(true);
            }
        }
    }

    fn too_long(&self) -> Failure {
        let begin = String::from_utf8_lossy(self.buffer.get(..64).unwrap_or_default());
        let expected = format!("at most {} bytes", self.longest);
        self.wrong(&LineError::new("line", expected, &begin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn source(text: impl Into<Vec<u8>>) -> Source {
        Source::new("trace", Box::new(Cursor::new(text.into())), None)
    }

    fn message(failure: Failure) -> String {
        failure.into_parts().0
    }

    #[test]
    fn lines_are_given_in_order_with_those_looked_at_for_the_format() {
        let mut source = source("# hello\r\n0.5,1\r\n\n1.5,2");
        assert!(matches!(source.detect(), Ok(Format::Requests)));
        assert_eq!(source.next().ok().flatten(), Some("0.5,1"));
        assert_eq!(source.next().ok().flatten(), Some("1.5,2"));
        let error = LineError::new("x", "y", "z");
        assert_eq!(message(source.wrong(&error)), "trace:4: x: expected y, found `z`");
        assert!(matches!(source.next(), Ok(None)));
    }

    #[test]
    fn a_line_that_is_too_long_is_named_and_not_kept() {
        let mut long = source(format!("0,1\n{}", "1".repeat(1 << 20)));
        long.expect(Format::Requests);
        assert!(long.next().is_ok());
        assert!(message(long.next().unwrap_err()).starts_with("trace:2: line: expected at most 4096 bytes"));
        assert!(long.buffer.capacity() < 1 << 16);
    }

    #[test]
    fn telling_the_format_reads_no_further_than_a_line_no_format_has() {
        let line = format!("0,1,{}\n", "1".repeat(8192));
        let mut source = source(line.repeat(50));
        assert!(source.detect().is_ok());
        assert_eq!(source.ahead.len(), 1);
        assert!(message(source.next().unwrap_err()).starts_with("trace:1: line: expected at most"));
    }

    #[test]
    fn an_empty_trace_and_one_of_no_format_say_what_was_expected() {
        assert!(message(source("\n#\n").detect().unwrap_err()).starts_with("trace: the trace is empty"));
        assert!(message(source("a,b\n").detect().unwrap_err()).starts_with("trace:1: line: expected start_seconds"));
        let mut binary = source(*b"0.5,\xff\n");
        binary.expect(Format::Requests);
        assert!(message(binary.next().unwrap_err()).starts_with("trace:1: line: expected text in UTF-8"));
    }
}
