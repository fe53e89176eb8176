// SPDX-License-Identifier: Apache-2.0
//! Whether a file is a state file that can be read, found out without writing to it.
//!
//! Problem: the database writes when it opens a file (a repair, a header, the counter of versions), and finds damage only
//! where it happens to read.
//! Mechanism: the database works on an [`Overlay`], which reads the file and keeps what is written in memory; there all
//! checksums are gone through, everything is read, and the first write is rehearsed.
//! Invariants: the file stays as it is, whatever is in it; a panic in the database is a refusal; what is read is what was
//! stored. Of a file whose process was killed, damage to its last write alone looks like a write that was cut short: it
//! holds what was there before that write, as after a power failure.
//! Depends on: format, key, resource.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend};
use serde_json::Value;

use super::format::{COUNTERS, CURRENT, FORMAT, OBJECTS, prepare};
use crate::key::Key;
use crate::resource;

/// What the database may keep of the file in memory while it is judged: bytes.
const CACHE: usize = 8 << 20;
/// What is written is kept in pieces of as many bytes; the database writes whole pages, and its header.
const PIECE: u64 = 4096;

/// Why what is in the file is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("{0}")]
    Database(#[from] redb::Error),
    #[error("parts of it are not what was written")]
    Changed,
    #[error("it is too damaged to be read: {0}")]
    Panic(String),
    #[error("it has format {0}, and this program reads {CURRENT}")]
    Format(u64),
    #[error("it holds {0}, which this program does not serve")]
    Kind(String),
    #[error("{0} is no JSON: {1}")]
    Object(String, serde_json::Error),
}

/// Reads all objects of a file.
///
/// # Errors
/// [`Unreadable`]; that is an error of the disk, if it is [`redb::Error::Io`] of another kind than those of bad data.
pub(super) fn read(file: &File) -> Result<Vec<(Key, Value)>, Unreadable> {
    let overlay = Overlay::new(file.try_clone().map_err(redb::Error::from)?).map_err(redb::Error::from)?;
    // Nothing outlives a panic in there but the file, which nobody writes to.
    catch_unwind(AssertUnwindSafe(|| read_through(overlay)))
        .unwrap_or_else(|panic| Err(Unreadable::Panic(said(&*panic))))
}

fn read_through(overlay: Overlay) -> Result<Vec<(Key, Value)>, Unreadable> {
    let is_repaired = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_repaired);
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    builder.set_repair_callback(move |_| told.store(true, Ordering::Relaxed));
    let mut database = builder.create_with_backend(overlay).map_err(redb::Error::from)?;
    // A repair, which follows a kill, has gone through all checksums.
    if !is_repaired.load(Ordering::Relaxed) && !database.check_integrity().map_err(redb::Error::from)? {
        return Err(Unreadable::Changed);
    }
    let objects = load(&database)?;
    prepare(&database)?;
    Ok(objects)
}

fn load(database: &Database) -> Result<Vec<(Key, Value)>, Unreadable> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
    // Whoever made the file ended before the first write.
    if transaction.list_tables().map_err(redb::Error::from)?.next().is_none() {
        return Ok(Vec::new());
    }
    let counters = transaction.open_table(COUNTERS).map_err(redb::Error::from)?;
    let format = counters.get(FORMAT).map_err(redb::Error::from)?;
    let format = format.map_or(0, |format| format.value());
    if format != CURRENT {
        return Err(Unreadable::Format(format));
    }
    let table = transaction.open_table(OBJECTS).map_err(redb::Error::from)?;
    let mut objects = Vec::new();
    for row in table.iter().map_err(redb::Error::from)? {
        let (place, text) = row.map_err(redb::Error::from)?;
        let (resource, namespace, name) = place.value();
        let known = resource::qualified(resource).ok_or_else(|| Unreadable::Kind(resource.to_owned()))?;
        let object = serde_json::from_slice(text.value())
            .map_err(|error| Unreadable::Object(format!("{resource} {namespace}/{name}"), error))?;
        objects.push((Key::new(known, namespace, name), object));
    }
    Ok(objects)
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let fixed = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = fixed.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "the database panicked".to_owned())
}

/// A file, and what would have been written to it.
struct Overlay {
    file: File,
    written: Mutex<Written>,
}

struct Written {
    length: u64,
    /// Up to where what is not written is the file's.
    below: u64,
    /// By where they begin, in units of a piece.
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let written = Mutex::new(Written {
            length,
            below: length,
            pieces: BTreeMap::new(),
        });
        Ok(Self { file, written })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        // After a panic nobody reads it any more.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills a part with what stands in the file, and zeros behind its end.
    fn read_below(&self, below: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = below.saturating_sub(offset).min(out.len() as u64);
        let (there, behind) = out.split_at_mut(there as usize);
        behind.fill(0);
        self.file.read_exact_at(there, offset)
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Overlay")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// The pieces that a part touches: number, where in the piece, how long.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let end = offset.saturating_add(length as u64);
    let mut at = offset;
    std::iter::from_fn(move || {
        (at < end).then(|| {
            let (number, within) = (at / PIECE, at % PIECE);
            let long = (PIECE - within).min(end - at);
            at += long;
            (number, within as usize, long as usize)
        })
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset.saturating_add(out.len() as u64) > written.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut rest = out;
        for (number, within, long) in pieces(offset, rest.len()) {
            let (part, after) = rest.split_at_mut(long);
            rest = after;
            match written.pieces.get(&number) {
                Some(piece) => part.copy_from_slice(&piece[within..within + long]),
                None => self.read_below(written.below, number * PIECE + within as u64, part)?,
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written();
        if length < written.length {
            // What is cut off is gone, also if the file grows again.
            written.below = written.below.min(length);
            written.pieces.split_off(&length.div_ceil(PIECE));
            if let Some(last) = written.pieces.get_mut(&(length / PIECE)) {
                last[(length % PIECE) as usize..].fill(0);
            }
        }
        written.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        let mut rest = data;
        for (number, within, long) in pieces(offset, data.len()) {
            let (part, after) = rest.split_at(long);
            rest = after;
            if !written.pieces.contains_key(&number) {
                let mut piece = vec![0; PIECE as usize];
                self.read_below(written.below, number * PIECE, &mut piece)?;
                written.pieces.insert(number, piece);
            }
            if let Some(piece) = written.pieces.get_mut(&number) {
                piece[within..within + long].copy_from_slice(part);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
