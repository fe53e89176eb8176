// SPDX-License-Identifier: Apache-2.0
//! The log of a container: lines with time and stream, as the CRI has them, in two files of bounded size.
//!
//! Invariants: a line in the file ends where the container's did, or says that it goes on (`P`); a full disk loses lines,
//! never the container.
//! Depends on: plan (time).

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::runner::plan;

/// Longer lines are cut in pieces.
const LONGEST: usize = 16 * 1024;

/// The file.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    written: u64,
    most: u64,
}

impl Log {
    pub(super) fn open(path: PathBuf, most: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let written = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            written,
            most,
        })
    }

    fn write(&mut self, stream: &str, tag: char, text: &[u8]) -> io::Result<()> {
        if self.written >= self.most {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, old)?;
            self.file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            self.written = 0;
        }
        let mut line = format!("{} {stream} {tag} ", plan::now()).into_bytes();
        line.extend_from_slice(text);
        line.push(b'\n');
        self.written += line.len() as u64;
        self.file.write_all(&line)
    }
}

/// One of the container's two streams.
#[derive(Debug)]
pub(super) struct Stream {
    name: &'static str,
    pending: Vec<u8>,
}

impl Stream {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            pending: Vec::new(),
        }
    }

    /// Takes what was read and writes the lines that are whole.
    pub(super) fn take(&mut self, log: &mut Log, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    self.pending.extend_from_slice(end);
                    self.write(log, 'F');
                }
                None => self.pending.extend_from_slice(piece),
            }
            while self.pending.len() >= LONGEST {
                let rest = self.pending.split_off(LONGEST);
                self.write(log, 'P');
                self.pending = rest;
            }
        }
    }

    /// The stream has ended, maybe in the middle of a line.
    pub(super) fn end(&mut self, log: &mut Log) {
        if !self.pending.is_empty() {
            self.write(log, 'F');
        }
    }

    fn write(&mut self, log: &mut Log, tag: char) {
        // A full disk: the line is lost, the container goes on.
        let _ = log.write(self.name, tag, &self.pending);
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_cut_where_too_long_and_the_file_is_bounded() {
        let folder = std::env::temp_dir().join(format!("sluice-lines-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log");
        let mut log = Log::open(path.clone(), 40_000).unwrap();
        let mut stream = Stream::new("stdout");
        stream.take(&mut log, b"one\ntw");
        stream.take(&mut log, b"o\n");
        stream.take(&mut log, &[b'x'; LONGEST + 1]);
        stream.end(&mut log);
        let text = std::fs::read_to_string(&path).unwrap();
        let bodies: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(bodies[..2], ["stdout F one", "stdout F two"]);
        assert!(bodies[2].starts_with("stdout P xxx") && bodies[3] == "stdout F x");
        for _ in 0..20 {
            stream.take(&mut log, &[b'y'; 8000]);
            stream.take(&mut log, b"\n");
        }
        let size = |name: &str| std::fs::metadata(folder.join(name)).unwrap().len();
        assert!(size("log") < 50_000 && size("log.1") < 50_000 && size("log.1") > 30_000);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
