// SPDX-License-Identifier: Apache-2.0
//! The store's one owner.
//!
//! Mechanism: a call decides on a transaction; what it found is written to the disk if there is a state file, then
//! applied, and then watchers are told the new version.
//! Invariants: what was answered survives the end of the process if there is a state file; calls are decided one after the other; the lock is never held while anything is awaited.
//! Depends on: store, moment.

mod disk;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::store::{Range, Store, Transaction};

use disk::Disk;
pub use disk::OpenError;

/// How many changes are remembered for watches.
const REMEMBERED: usize = 16_384;

/// The store's one owner.
#[derive(Debug)]
pub struct State {
    store: Mutex<Store>,
    disk: Option<Disk>,
    newest: watch::Sender<u64>,
}

impl State {
    /// A state that ends with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::of(Store::new(REMEMBERED), None)
    }

    /// A state that is kept in a file, which is made if it is absent.
    ///
    /// # Errors
    /// If the file is in use, cannot be reached, or is no state file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (disk, stored) = Disk::open(path)?;
        let store = Store::restored(REMEMBERED, stored.version, stored.objects);
        Ok(Self::of(store, Some(disk)))
    }

    fn of(store: Store, disk: Option<Disk>) -> Self {
        Self {
            disk,
            newest: watch::Sender::new(store.version()),
            store: Mutex::new(store),
        }
    }

    /// Looks at the store.
    pub fn read<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the store; a rehearsal decides and changes nothing.
    ///
    /// # Errors
    /// What `decide` refuses, and 500 if the state file cannot be written: then nothing has changed.
    pub fn write<T>(
        &self,
        moment: &mut Moment,
        is_rehearsal: bool,
        decide: impl FnOnce(&mut Transaction) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut store = self.lock();
        let mut transaction = store.begin(moment);
        let decided = decide(&mut transaction)?;
        let events = transaction.finish();
        if !is_rehearsal && !events.is_empty() {
            if let Some(disk) = &self.disk {
                disk.write(&events)
                    .map_err(|error| Refusal::internal(format!("the state file cannot be written: {error}")))?;
            }
            store.commit(events);
            self.newest.send_replace(store.version());
        }
        Ok(decided)
    }

    /// Gives new Services addresses of a range from now on.
    pub fn set_range(&self, range: Range) {
        self.lock().set_range(range);
    }

    /// Tells whenever there is a newer version.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        // Only `commit` changes the store, and it does not panic half-way.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
