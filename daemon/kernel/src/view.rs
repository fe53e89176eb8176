// SPDX-License-Identifier: Apache-2.0
//! What is counted, for the process that counts and for others that only look.
//!
//! Problem: one process has a pin folder, but others may want to see its counters; sums go over generations.
//! Mechanism: the pinned maps are opened and read; nothing is loaded, locked or written.
//! Invariants: sums never run backwards for whoever keeps a `View`.
//! Depends on: `counts`, `generation`, `pins`, `sockets`, `sys`, `verify`.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use abi::{Origin, PeerKey, PodKey, PodSlot};

use crate::{
    Asked,
    call::CallError,
    counts::{Counts, ReadError, Reader},
    generation::Older,
    netns::{Netns, NetnsError},
    pins::Folder,
    shared::PodId,
    sockets::{self, Accounted},
    sys::map::{self, Map},
    targets,
    verify::{self, Attachment},
};

/// The counters of a pin folder. What generations counted that have gone before is known to the counting process only.
#[derive(Debug)]
pub struct View {
    pub(crate) folder: Folder,
    pub(crate) tier: String,
    pub(crate) counts: Reader,
    pub(crate) keys: Map<PodKey, PodSlot>,
    pub(crate) connections: OwnedFd,
    pub(crate) peers: Map<PeerKey, Origin>,
    pub(crate) sources: Mutex<Sources>,
    pub(crate) is_by_netns: bool,
}

/// Where other generations counted our pods.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) older: Vec<Older>,
    /// Pod → (place in `older`, index there).
    by_pod: HashMap<u32, Vec<(usize, u32)>>,
    /// What stands in PODS: only the counting process writes it.
    pub(crate) keys: HashMap<PodKey, PodSlot>,
    /// What generations counted that have gone since: sums never run backwards.
    pub(crate) gone: HashMap<u32, Counts>,
}

impl Sources {
    pub(crate) fn beside(older: Vec<Older>) -> Self {
        Self {
            older,
            ..Self::default()
        }
    }

    pub(crate) fn refresh(&mut self) {
        let mut by_pod: HashMap<u32, Vec<(usize, u32)>> = HashMap::new();
        for (place, older) in self.older.iter().enumerate() {
            for (key, slot) in &self.keys {
                let places = by_pod.entry(slot.pod).or_default();
                // Two keys of one pod count into one index there: add it once.
                if let Some(index) = older.index(key).filter(|index| !places.contains(&(place, *index))) {
                    places.push((place, index));
                }
            }
        }
        self.by_pod = by_pod;
    }

    /// Adds what other generations count for a pod.
    fn add(&self, pod: u32, sum: &mut Counts) -> Result<(), ReadError> {
        if let Some(gone) = self.gone.get(&pod) {
            sum.merge(gone);
        }
        for (place, index) in self.by_pod.get(&pod).into_iter().flatten() {
            self.older[*place].add(*index, sum)?;
        }
        Ok(())
    }

    /// Keeps the last sums of the generation at `place`, which is about to go.
    pub(crate) fn keep(&mut self, place: usize) -> Result<(), ReadError> {
        for (pod, places) in &self.by_pod {
            for (_, index) in places.iter().filter(|(at, _)| *at == place) {
                self.older[place].add(*index, self.gone.entry(*pod).or_default())?;
            }
        }
        Ok(())
    }
}

impl View {
    /// What is tracked: after a restart, what was.
    pub fn tracked(&self) -> Vec<(PodKey, PodId, u32)> {
        let row = |(key, slot): (&PodKey, &PodSlot)| (*key, PodId(slot.pod), slot.flags);
        self.sources().keys.iter().map(row).collect()
    }

    /// Reads what is tracked anew: another process may have changed it.
    pub fn refresh(&self) -> Result<(), CallError> {
        let keys = self.pods_in_map().map_err(CallError::when("reading what is tracked"))?;
        let mut sources = self.sources();
        sources.keys = keys.into_iter().collect();
        sources.refresh();
        Ok(())
    }

    /// Whether pods are known by their namespace's cookie (else by address).
    pub fn is_by_netns(&self) -> bool {
        self.is_by_netns
    }

    /// The word of the tier that is counted in.
    pub fn tier(&self) -> &str {
        &self.tier
    }

    /// Asks the kernel what is really attached.
    pub fn verify(&self) -> Result<Attachment, CallError> {
        verify::verify(&self.folder, &HashMap::new()).map_err(CallError::when("asking what is attached"))
    }

    /// What was counted, over CPUs and generations. Never torn.
    pub fn counts(&self, pod: PodId) -> Result<Counts, ReadError> {
        let mut counts = Counts::default();
        self.counts.add(pod.0, true, &mut counts)?;
        self.sources().add(pod.0, &mut counts)?;
        Ok(counts)
    }

    /// Open connections to a port in a namespace, and how many of them nobody counts. Probes that have no state are left
    /// out of both.
    pub fn accounted(&self, netns: &Netns, port: u16) -> Result<Accounted, NetnsError> {
        // Not under the lock: a long list of sockets must not hold up the counters.
        let (older, pods) = {
            let sources = self.sources();
            let connections = sources
                .older
                .iter()
                .map(|older| older.connections().try_clone_to_owned());
            let pods: HashSet<u32> = sources.keys.values().map(|slot| slot.pod).collect();
            (connections.collect::<io::Result<Vec<OwnedFd>>>(), pods)
        };
        let older = older.map_err(NetnsError::Ask)?;
        let ours = map::info(self.connections.as_fd()).map_err(NetnsError::Ask)?.id;
        // What stands in the values of another generation is its own affair.
        let is_counted = |socket: &sockets::Socket| {
            let stored = socket.stored.as_ref();
            stored.is_some_and(|stored| stored.map != ours || pods.contains(&stored.word))
        };
        let mut maps: Vec<BorrowedFd<'_>> = vec![self.connections.as_fd()];
        maps.extend(older.iter().map(AsFd::as_fd));
        let mut sockets = sockets::connections(netns, port, &maps)?;
        let is_probe = |socket: &sockets::Socket| {
            let asked = self.asked(socket.peer, socket.local);
            asked.is_ok_and(|asked| asked.is_some_and(|asked| asked.is_probe))
        };
        sockets.retain(|socket| socket.stored.is_some() || !is_probe(socket));
        let unaccounted = sockets.iter().filter(|socket| !is_counted(socket)).count() as u64;
        Ok(Accounted {
            open: sockets.len() as u64,
            unaccounted,
        })
    }

    /// What the client behind an accepted connection asked for; `None` = it was not published.
    pub fn asked(&self, peer: SocketAddr, local: SocketAddr) -> Result<Option<Asked>, CallError> {
        let key = PeerKey {
            client: targets::target_key(peer),
            server: targets::target_key(local),
        };
        let asked = |origin: Origin| Asked {
            target: targets::socket_address(&origin.target),
            is_probe: origin.flags & abi::ORIGIN_PROBE != 0,
            is_redirected: origin.flags & abi::ORIGIN_REDIRECTED != 0,
        };
        let origin = self.peers.get(&key);
        Ok(origin
            .map_err(CallError::when("looking up what a client asked for"))?
            .map(asked))
    }

    pub(crate) fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pods_in_map(&self) -> io::Result<Vec<(PodKey, PodSlot)>> {
        let slot = |key: PodKey| Ok(self.keys.get(&key)?.map(|slot| (key, slot)));
        self.keys
            .keys()?
            .into_iter()
            .filter_map(|key| slot(key).transpose())
            .collect()
    }
}
