// SPDX-License-Identifier: Apache-2.0
//! The store with its one lock, its file and its news.
//!
//! Mechanism: a change is decided on the store as it is and at once part of it; with a file, a thread writes what has
//! come together since its last write, and tells who waits for it.
//! Invariants: what the disk refuses is taken back, with all that was built on it, and every watch begins anew; the order
//! in the file is the order of the versions; no lock is held while the disk works.
//! Depends on: store, disk, journal.

mod disk;
mod format;
mod journal;
mod judge;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::store::{Range, Store, Transaction};

use disk::Disk;
use journal::{Journal, Shared};

pub use disk::OpenError;
pub use journal::Kept;

/// How many changes are remembered for watches.
const REMEMBERED: usize = 16_384;

/// The store's one owner.
#[derive(Debug)]
pub struct State {
    shared: Arc<Shared>,
    journal: Option<Journal>,
}

impl State {
    /// A state that ends with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            shared: Arc::new(Shared::new(Store::new(REMEMBERED))),
            journal: None,
        }
    }

    /// A state that is kept in a file, which is made if it is absent.
    ///
    /// # Errors
    /// If the file is in use, cannot be reached, or is no state file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (disk, stored) = Disk::open(path)?;
        let store = Store::restored(REMEMBERED, stored.version, stored.objects);
        let shared = Arc::new(Shared::new(store));
        let journal = Journal::start(disk, Arc::clone(&shared)).map_err(|source| OpenError::Unreachable {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            shared,
            journal: Some(journal),
        })
    }

    /// Looks at the store.
    pub fn read<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.shared.store())
    }

    /// Changes the store; a rehearsal decides and changes nothing. The file follows: who answers somebody outside of the
    /// process takes [`State::write_kept`] and waits.
    ///
    /// # Errors
    /// What `decide` refuses.
    pub fn write<T>(
        &self,
        moment: &mut Moment,
        is_rehearsal: bool,
        decide: impl FnOnce(&mut Transaction) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.write_kept(moment, is_rehearsal, decide)
            .map(|(decided, _)| decided)
    }

    /// As [`State::write`], with what tells when the change is in the file.
    ///
    /// # Errors
    /// What `decide` refuses.
    pub fn write_kept<T>(
        &self,
        moment: &mut Moment,
        is_rehearsal: bool,
        decide: impl FnOnce(&mut Transaction) -> Result<T, Refusal>,
    ) -> Result<(T, Kept), Refusal> {
        let mut store = self.shared.store();
        let mut transaction = store.begin(moment);
        let decided = decide(&mut transaction)?;
        let events = transaction.finish();
        let mut kept = Kept::already();
        if !is_rehearsal && !events.is_empty() {
            // Under the store's lock, so that the file has the order of the versions.
            if let Some(journal) = &self.journal {
                kept = journal.push(events.clone());
            }
            store.commit(events);
            self.shared.tell(&store);
        }
        Ok((decided, kept))
    }

    /// The same objects at the same version, in memory alone: what is tried there changes nothing here.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            shared: Arc::new(Shared::new(self.shared.store().clone())),
            journal: None,
        }
    }

    /// Gives new Services addresses of a range from now on.
    pub fn set_range(&self, range: Range) {
        self.shared.store().set_range(range);
    }

    /// Why changes cannot be kept in the file at present; none while they can. Then every change is refused and taken
    /// back, until a later one finds the file writable again.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.shared.trouble()
    }

    /// Tells whenever there is a newer version.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.shared.newest()
    }
}

#[cfg(test)]
mod tests;
