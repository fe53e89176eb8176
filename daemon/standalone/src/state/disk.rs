// SPDX-License-Identifier: Apache-2.0
//! The state file: every object and the version, in an embedded database (redb).
//!
//! Mechanism: the changes of a call are one transaction of the database, on the disk before the call is answered.
//! Invariants: nothing is written to a file before it was found good; one that is not is left as it is and said to be so;
//! objects of kinds that are not served are refused rather than dropped; after a write that failed (a full disk) the file
//! is opened anew, and what that write may have left is put right by the next one.
//! Depends on: format, judge, key, store.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::Database;
use serde_json::Value;

use super::format::{COUNTERS, OBJECTS, VERSION, prepare};
use super::judge::{self, Unreadable};
use crate::key::Key;
use crate::store::{Event, EventKind, Place};

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
        let there = File::options().read(true).write(true).open(path);
        let (database, stored) = match there {
            Ok(file) => open(path, file)?,
            Err(error) if error.kind() == ErrorKind::NotFound => make(path).inspect_err(|_| {
                // Half a file would be taken for a damaged one.
                let _absent = fs::remove_file(path);
            })?,
            Err(source) => return Err(unreachable(path, source)),
        };
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

/// Opens a file that is there.
fn open(path: &Path, file: File) -> Result<(Database, Stored), OpenError> {
    // The database locks it as well, and the lock stays ours. Some file systems have none.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(OpenError::InUse { path: path.to_owned() });
    }
    // The database would take an empty file for a new one.
    if file.metadata().is_ok_and(|found| found.len() == 0) {
        return Err(damaged(path, "it is empty"));
    }
    let objects = judge::read(&file).map_err(|error| match error {
        Unreadable::Database(error) => of_database(path, error),
        other => damaged(path, other),
    })?;
    let database = Database::builder().create_file(file);
    let database = database.map_err(|error| of_database(path, error.into()))?;
    let version = prepare(&database).map_err(|error| of_database(path, error))?;
    Ok((database, Stored { version, objects }))
}

/// Makes a file that is not there.
fn make(path: &Path) -> Result<(Database, Stored), OpenError> {
    let database = Database::create(path).map_err(|error| of_database(path, error.into()))?;
    let version = prepare(&database).map_err(|error| of_database(path, error))?;
    let objects = Vec::new();
    Ok((database, Stored { version, objects }))
}

fn unreachable(path: &Path, source: io::Error) -> OpenError {
    let path = path.to_owned();
    OpenError::Unreachable { path, source }
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> OpenError {
    let (path, why) = (path.to_owned(), why.to_string());
    OpenError::Damaged { path, why }
}

fn of_database(path: &Path, error: redb::Error) -> OpenError {
    // These say what is in the file, all others what the system did.
    let bad = [
        ErrorKind::InvalidData,
        ErrorKind::InvalidInput,
        ErrorKind::UnexpectedEof,
    ];
    match error {
        redb::Error::DatabaseAlreadyOpen => OpenError::InUse { path: path.to_owned() },
        redb::Error::Io(source) if !bad.contains(&source.kind()) => unreachable(path, source),
        other => damaged(path, other),
    }
}
