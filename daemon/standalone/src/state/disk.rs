// SPDX-License-Identifier: Apache-2.0
//! The state file: every object and the version, in an embedded database (redb).
//!
//! Mechanism: one table of objects by resource, namespace and name, one of counters; the changes of a call are one
//! transaction of the database, on the disk before the call is answered.
//! Invariants: a file that cannot be read is left as it is and said to be so; objects of kinds that are not served are
//! refused rather than dropped.
//! Depends on: key, resource, store.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;

use crate::key::Key;
use crate::resource;
use crate::store::{Event, EventKind};

const OBJECTS: TableDefinition<(&str, &str, &str), &[u8]> = TableDefinition::new("objects");
const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
const VERSION: &str = "version";
const FORMAT: &str = "format";
/// The format of this code; another is refused.
const CURRENT: u64 = 1;

/// How much further versions go on after a restart.
const GAP: u64 = 1 << 20;

/// Why a state file is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{path}: another process has this state file open: end it, or name another file")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The system does not let us.
    #[error("{path}: {source}")]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is damaged, or something else.
    #[error(
        "{path}: not a state file that can be read ({why}); it is left as it is: restore a copy, or move it away to begin with an empty state"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// An open state file.
#[derive(Debug)]
pub(super) struct Disk {
    database: Database,
}

/// What was stored.
pub(super) struct Stored {
    pub(super) version: u64,
    pub(super) objects: Vec<(Key, Value)>,
}

impl Disk {
    pub(super) fn open(path: &Path) -> Result<(Self, Stored), OpenError> {
        let damaged = |why: &dyn std::fmt::Display| OpenError::Damaged {
            path: path.to_owned(),
            why: why.to_string(),
        };
        // The database would take an empty file for a new one.
        if fs::metadata(path).is_ok_and(|found| found.len() == 0) {
            return Err(damaged(&"it is empty"));
        }
        let database = Database::create(path).map_err(|error| refuse(path, error))?;
        let disk = Self { database };
        disk.prepare().map_err(|error| damaged(&error))?;
        let stored = disk.load().map_err(|error| damaged(&error))?;
        Ok((disk, stored))
    }

    fn prepare(&self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.open_table(OBJECTS)?;
        {
            let mut counters = transaction.open_table(COUNTERS)?;
            let version = counters.get(VERSION)?.map(|count| count.value());
            match version {
                None => {
                    counters.insert(FORMAT, CURRENT)?;
                    counters.insert(VERSION, 1)?;
                }
                // Somebody may have seen versions that did not reach the file.
                Some(version) => drop(counters.insert(VERSION, version.saturating_add(GAP))?),
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn load(&self) -> Result<Stored, Unreadable> {
        let transaction = self.database.begin_read().map_err(redb::Error::from)?;
        let counters = transaction.open_table(COUNTERS).map_err(redb::Error::from)?;
        let count = |name| counters.get(name).map(|found| found.map_or(0, |count| count.value()));
        let format = count(FORMAT).map_err(redb::Error::from)?;
        if format != CURRENT {
            return Err(Unreadable::Format(format));
        }
        let version = count(VERSION).map_err(redb::Error::from)?;
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
        Ok(Stored { version, objects })
    }

    /// Writes changes down; they are on the disk when this returns.
    pub(super) fn write<'a>(&self, events: impl Iterator<Item = &'a Event>) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut objects = transaction.open_table(OBJECTS)?;
            let mut counters = transaction.open_table(COUNTERS)?;
            for event in events {
                let resource = event.key.resource.qualified();
                let place = (resource.as_str(), event.key.namespace.as_str(), event.key.name.as_str());
                if event.kind == EventKind::Deleted {
                    objects.remove(place)?;
                } else {
                    objects.insert(place, event.object.to_string().as_bytes())?;
                }
                counters.insert(VERSION, event.version)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Why what is in the file is not taken.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0}")]
    Database(#[from] redb::Error),
    #[error("it has format {0}, and this program reads {CURRENT}")]
    Format(u64),
    #[error("it holds {0}, which this program does not serve")]
    Kind(String),
    #[error("{0} is no JSON: {1}")]
    Object(String, serde_json::Error),
}

fn refuse(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path },
        DatabaseError::Storage(redb::StorageError::Io(source)) if source.kind() != io::ErrorKind::InvalidData => {
            OpenError::Unreachable { path, source }
        }
        other => OpenError::Damaged {
            path,
            why: other.to_string(),
        },
    }
}
