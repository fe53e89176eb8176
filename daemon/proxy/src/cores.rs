// SPDX-License-Identifier: Apache-2.0
//! A runtime for each core: a client's connection, its requests and the pod's connection they use stay on one thread.
//!
//! Problem: a runtime of several threads hands tasks from one to another, which wakes threads and moves what they work on
//! between caches: a quarter of what a small request cost.
//! Mechanism: each thread runs a runtime of its own; a connection goes to the one that has the fewest and stays there; a pod's
//! idle connections lie where they were used last (`shelves`). Only a request that waits is woken from another thread.
//! Invariants: `Cores` is dropped outside of its threads, and then nothing runs on them any more.
//! Depends on: tokio.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::{io, thread};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

thread_local! {
    /// The number of the core whose thread this is; 0: another thread.
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// The core whose thread asks, from 1; 0 on any other thread.
pub(crate) fn here() -> usize {
    HERE.get()
}

/// Threads with a runtime each; dropping them ends what runs there.
pub struct Cores {
    spread: Spread,
    threads: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Where connections are spread over the cores.
#[derive(Clone)]
pub struct Spread(Arc<[Core]>);

struct Core {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// A connection's place on a core, until it is dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Cores {
    /// Starts so many threads; none: as many as there are CPUs.
    ///
    /// # Errors
    /// A thread or its runtime cannot be made.
    pub fn start(count: Option<NonZeroUsize>) -> io::Result<Self> {
        let count = match count {
            Some(count) => count,
            None => thread::available_parallelism()?,
        };
        let (mut cores, mut threads) = (Vec::new(), Vec::new());
        for number in 1..=count.get() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            cores.push(Core {
                runtime: runtime.handle().clone(),
                connections: Arc::default(),
            });
            let (end, ended) = oneshot::channel();
            let work = move || {
                HERE.set(number);
                // The sender is dropped, or says so: both are the end.
                drop(runtime.block_on(ended));
            };
            threads.push((end, thread::Builder::new().name(format!("core {number}")).spawn(work)?));
        }
        let spread = Spread(cores.into());
        Ok(Self { spread, threads })
    }

    /// For `Front::cores`.
    #[must_use]
    pub fn spread(&self) -> Spread {
        self.spread.clone()
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        for (end, thread) in self.threads.drain(..) {
            drop(end);
            // What panicked there was counted as a task.
            drop(thread.join());
        }
    }
}

impl Spread {
    /// The runtime with the fewest connections, and a place there.
    pub(crate) fn least(&self) -> Option<(&Handle, Place)> {
        let core = self.0.iter().min_by_key(|core| core.connections.load(Relaxed))?;
        core.connections.fetch_add(1, Relaxed);
        Some((&core.runtime, Place(Arc::clone(&core.connections))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn connections_are_spread_evenly_and_each_knows_where_it_is() {
        let cores = Cores::start(NonZeroUsize::new(2)).unwrap();
        let (spread, tasks) = (cores.spread(), life::Tasks::new());
        let (said, heard) = mpsc::channel();
        let mut places = Vec::new();
        for _ in 0..4 {
            let (runtime, place) = spread.least().unwrap();
            let said = said.clone();
            tasks.spawn_on(runtime, "says where it is", async move { said.send(here()).unwrap() });
            places.push(place);
        }
        let mut at: Vec<_> = (0..4)
            .map(|_| heard.recv_timeout(Duration::from_secs(10)).unwrap())
            .collect();
        at.sort_unstable();
        assert_eq!((at, here()), (vec![1, 1, 2, 2], 0));
        drop(places.remove(1));
        let (_, _place) = spread.least().unwrap();
        let counts: Vec<_> = spread.0.iter().map(|core| core.connections.load(Relaxed)).collect();
        assert_eq!(counts, [2, 2]);
    }

    #[test]
    fn nothing_runs_there_after_the_end() {
        let cores = Cores::start(NonZeroUsize::new(1)).unwrap();
        let tasks = life::Tasks::new();
        tasks.spawn_on(cores.spread().least().unwrap().0, "endless", std::future::pending());
        assert_eq!(tasks.running(), 1);
        drop(cores);
        assert_eq!(tasks.running(), 0);
    }
}
