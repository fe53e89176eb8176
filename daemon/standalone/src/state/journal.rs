// SPDX-License-Identifier: Apache-2.0
//! The thread that writes changes into the file.
//!
//! Mechanism: group commit: while the disk works, changes come together, and the next write takes them all.
//! Invariants: who waits is told exactly once; the thread ends, with all written, before the [`Journal`] is gone.
//! Depends on: store, disk.

use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::{oneshot, watch};

use super::disk::Disk;
use crate::refusal::Refusal;
use crate::store::{Event, Store};

/// The store, shared between who writes and the thread.
#[derive(Debug)]
pub(super) struct Shared {
    store: Mutex<Store>,
    newest: watch::Sender<u64>,
    /// Why the file is not written at present.
    trouble: watch::Sender<Option<String>>,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    batches: Vec<Batch>,
    is_over: bool,
}

#[derive(Debug)]
struct Batch {
    events: Vec<Event>,
    done: oneshot::Sender<Result<(), Refusal>>,
}

/// Tells when a change is in the file.
#[derive(Debug)]
#[must_use = "who answers somebody waits until the change is kept"]
pub struct Kept {
    done: Option<oneshot::Receiver<Result<(), Refusal>>>,
}

impl Kept {
    pub(super) fn already() -> Self {
        Self { done: None }
    }

    /// Returns when the change is in the file, at once if there is none.
    ///
    /// # Errors
    /// 500 if the disk refused it: then it has been taken back.
    pub async fn wait(self) -> Result<(), Refusal> {
        match self.done {
            None => Ok(()),
            Some(done) => done.await.unwrap_or_else(|_| Err(lost())),
        }
    }

    /// As [`Kept::wait`], for a thread that may block.
    ///
    /// # Errors
    /// As [`Kept::wait`].
    pub fn wait_blocking(self) -> Result<(), Refusal> {
        match self.done {
            None => Ok(()),
            Some(done) => done.blocking_recv().unwrap_or_else(|_| Err(lost())),
        }
    }
}

fn lost() -> Refusal {
    Refusal::internal("the state file is no longer written: the thread that did has ended")
}

impl Shared {
    pub(super) fn new(store: Store) -> Self {
        Self {
            newest: watch::Sender::new(store.version()),
            trouble: watch::Sender::new(None),
            store: Mutex::new(store),
            queue: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        // Only `commit` and `undo` change the store, and they do not panic half-way.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    pub(super) fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// The first reason stands until the file is written again.
    fn set_trouble(&self, why: Option<&str>) {
        self.trouble.send_if_modified(|trouble| {
            let is_news = trouble.is_some() != why.is_some();
            if is_news {
                *trouble = why.map(str::to_owned);
            }
            is_news
        });
    }

    pub(super) fn tell(&self, store: &Store) {
        self.newest.send_replace(store.version());
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has come together; nothing when all is over.
    fn next(&self) -> Option<Vec<Batch>> {
        let mut queue = self.queue();
        while queue.batches.is_empty() {
            if queue.is_over {
                return None;
            }
            queue = self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        Some(mem::take(&mut queue.batches))
    }

    /// Takes back what the disk refused, and what was built on it since.
    fn take_back(&self, mut refused: Vec<Batch>, why: &Refusal) {
        let mut store = self.store();
        refused.append(&mut self.queue().batches);
        let events = refused.iter().flat_map(|batch| &batch.events);
        store.undo(events.collect::<Vec<_>>().into_iter().rev());
        self.tell(&store);
        drop(store);
        for batch in refused {
            // Who does not wait is a controller, and looks again.
            let _unheard = batch.done.send(Err(why.clone()));
        }
    }
}

/// The thread.
#[derive(Debug)]
pub(super) struct Journal {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    pub(super) fn start(mut disk: Disk, shared: Arc<Shared>) -> io::Result<Self> {
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new().name("state-file".to_owned()).spawn(move || {
            while let Some(batches) = own.next() {
                write(&mut disk, &own, batches);
            }
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Hands changes over; the store's lock is held.
    pub(super) fn push(&self, events: Vec<Event>) -> Kept {
        let (done, told) = oneshot::channel();
        self.shared.queue().batches.push(Batch { events, done });
        self.shared.wake.notify_one();
        Kept { done: Some(told) }
    }
}

fn write(disk: &mut Disk, shared: &Shared, batches: Vec<Batch>) {
    let events: Vec<_> = batches.iter().flat_map(|batch| &batch.events).collect();
    match disk.write(&events) {
        Ok(()) => {
            shared.set_trouble(None);
            for batch in batches {
                let _unheard = batch.done.send(Ok(()));
            }
        }
        Err(error) => {
            let why = format!("the state file cannot be written: {error}");
            shared.set_trouble(Some(&why));
            shared.take_back(batches, &Refusal::internal(why));
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.queue().is_over = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been told already.
            let _ended = thread.join();
        }
    }
}
