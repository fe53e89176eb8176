// SPDX-License-Identifier: Apache-2.0
//! The state file: every object and the version, in an embedded database (redb).
//!
//! Mechanism: one table of objects by resource, namespace and name, one of counters; the changes of a call are one
//! transaction of the database, on the disk before the call is answered.
//! Invariants: a file that cannot be read is left as it is and said to be so; objects of kinds that are not served are
//! refused rather than dropped; after a write that failed (a full disk) the file is opened anew, and what that write may
//! have left is put right by the next one.
//! Depends on: key, resource, store.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;

use crate::key::Key;
use crate::resource;
use crate::store::{Event, EventKind, Place};

const OBJECTS: TableDefinition<(&str, &str, &str), &[u8]> = TableDefinition::new("objects");
const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
const VERSION: &str = "version";
const FORMAT: &str = "format";
/// The format of this code; another is refused.
const CURRENT: u64 = 1;

/// How much further versions go on after a restart.
const GAP: u64 = 1 << 20;
/// Opening reads the file to repair it: not more often than so.
const REST: Duration = Duration::from_secs(1);

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
    path: PathBuf,
    /// None after a failed write: the database must be opened anew.
    database: Option<Database>,
    /// When and why a write failed last, if none has succeeded since.
    failed: Option<(Instant, String)>,
    /// What writes that failed may have changed, as it was before them.
    doubtful: BTreeMap<Arc<Key>, Option<Place>>,
}

/// What was stored.
pub(super) struct Stored {
    pub(super) version: u64,
    pub(super) objects: Vec<(Key, Value)>,
}

impl Disk {
    pub(super) fn open(path: &Path) -> Result<(Self, Stored), OpenError> {
        let is_new = !path.exists();
        let opened = Self::open_any(path);
        if is_new && opened.is_err() {
            // Half a file would be taken for a damaged one.
            let _absent = fs::remove_file(path);
        }
        opened
    }

    fn open_any(path: &Path) -> Result<(Self, Stored), OpenError> {
        let damaged = |why: &dyn std::fmt::Display| OpenError::Damaged {
            path: path.to_owned(),
            why: why.to_string(),
        };
        // The database would take an empty file for a new one.
        if fs::metadata(path).is_ok_and(|found| found.len() == 0) {
            return Err(damaged(&"it is empty"));
        }
        let database = Database::create(path).map_err(|error| refuse(path, error))?;
        prepare(&database).map_err(|error| match error {
            redb::Error::Io(source) => OpenError::Unreachable {
                path: path.to_owned(),
                source,
            },
            other => damaged(&other),
        })?;
        let stored = load(&database).map_err(|error| damaged(&error))?;
        let disk = Self {
            path: path.to_owned(),
            database: Some(database),
            failed: None,
            doubtful: BTreeMap::new(),
        };
        Ok((disk, stored))
    }

    /// Writes changes down; they are on the disk when this returns.
    ///
    /// # Errors
    /// What the disk says; none of the changes counts then.
    pub(super) fn write(&mut self, events: &[&Event]) -> Result<(), String> {
        if let Some((at, why)) = &self.failed
            && at.elapsed() < REST
        {
            return Err(why.clone());
        }
        match self.try_to_write(events) {
            Ok(()) => {
                self.failed = None;
                self.doubtful.clear();
                Ok(())
            }
            Err(error) => {
                for event in events {
                    let before = event.previous.clone();
                    self.doubtful.entry(Arc::clone(&event.key)).or_insert(before);
                }
                // It answers nothing more after an error of the disk.
                self.database = None;
                let why = error.to_string();
                self.failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    fn try_to_write(&mut self, events: &[&Event]) -> Result<(), redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => Database::create(&self.path)?,
        };
        let database = self.database.insert(database);
        let transaction = database.begin_write()?;
        {
            let mut objects = transaction.open_table(OBJECTS)?;
            let doubtful = self.doubtful.iter().map(|(key, place)| (key, place.as_ref()));
            let changed = events.iter().map(|event| (&event.key, standing(event)));
            for (key, standing) in doubtful.chain(changed) {
                let resource = key.resource.qualified();
                let place = (resource.as_str(), key.namespace.as_str(), key.name.as_str());
                match standing {
                    None => drop(objects.remove(place)?),
                    Some(standing) => drop(objects.insert(place, standing.get().to_string().as_bytes())?),
                }
            }
            let mut counters = transaction.open_table(COUNTERS)?;
            if let Some(last) = events.last() {
                counters.insert(VERSION, last.version)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

/// The object after a change, unless it is gone.
fn standing(event: &Event) -> Option<&Place> {
    (event.kind != EventKind::Deleted).then_some(&event.object)
}

fn prepare(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
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

fn load(database: &Database) -> Result<Stored, Unreadable> {
    let transaction = database.begin_read().map_err(redb::Error::from)?;
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
