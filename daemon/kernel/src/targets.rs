// SPDX-License-Identifier: Apache-2.0
//! Where new connections go: targets, their switch words, the pods behind them.
//!
//! Problem: a connect() that reads while we write must find a whole list, old or new; a restart must go on where the
//! last daemon stopped.
//! Mechanism: as `abi/redirect.rs` says: backends of generation g+1 first, then the target's word by one store. The
//! entries of g stay until the next call, for readers that still hold the old word. Indices are read back from TARGETS; a
//! freed one is the last to be used again.
//! Invariants: a word never names a generation whose list is not complete.
//! Depends on: `abi`, `sys`.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
};

use abi::{BACKEND_REMOTE, BackendKey, MAX_BACKENDS, MODE_BUFFERED, MODE_DIRECT, MODE_OFF, Switch, TargetKey};

use crate::{
    shared::PodId,
    sys::{map::Map, mapped::Mapped},
};

/// What happens to new connections to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Left alone.
    Off,
    /// To a pod.
    Direct,
    /// To this node's gateway.
    Buffered,
}

impl Mode {
    const fn bits(self) -> u64 {
        match self {
            Self::Off => MODE_OFF,
            Self::Direct => MODE_DIRECT,
            Self::Buffered => MODE_BUFFERED,
        }
    }

    fn of(word: Switch) -> Self {
        match word.mode() {
            MODE_DIRECT => Self::Direct,
            MODE_BUFFERED => Self::Buffered,
            _ => Self::Off,
        }
    }
}

/// A pod that a target's connections may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its serving address.
    pub to: SocketAddr,
    /// Its index.
    pub pod: PodId,
    /// Whether it lives on another node.
    pub is_remote: bool,
    /// Preferred while in flight is below this, when on this node; 0 = always.
    pub room: u32,
}

/// Why targets could not be set.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No room.
    #[error("no room for more {what} (there is room for {room})")]
    Full {
        /// targets or backends.
        what: &'static str,
        /// Room.
        room: u32,
    },
    /// Too many pods for one target.
    #[error("{count} backends, a target may have {MAX_BACKENDS}")]
    TooMany {
        /// Asked for.
        count: usize,
    },
    /// Never set.
    #[error("{target} is not a target")]
    Unknown {
        /// Asked for.
        target: SocketAddr,
    },
    /// The kernel refused.
    #[error("a map of the redirection could not be written")]
    Kernel(#[from] io::Error),
}

impl TargetError {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Full { .. } => "start with room for more targets and backends",
            Self::TooMany { .. } => "split the revision",
            Self::Unknown { .. } => "set its backends first",
            Self::Kernel(_) => "run as root or with CAP_BPF",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Target {
    index: u32,
    /// Length of the list of the generation before the current one, which still stands.
    before: u32,
}

#[derive(Debug, Default)]
struct Known {
    targets: HashMap<TargetKey, Target>,
    free: VecDeque<u32>,
    next: u32,
    backends: u32,
}

/// All targets.
#[derive(Debug)]
pub(crate) struct Targets {
    index: Map<TargetKey, u32>,
    backends: Map<BackendKey, abi::Backend>,
    switches: Mapped,
    known: Mutex<Known>,
}

impl Targets {
    /// Reads back what stands in the maps.
    pub(crate) fn adopt(
        index: Map<TargetKey, u32>,
        backends: Map<BackendKey, abi::Backend>,
        switches: Mapped,
    ) -> io::Result<Self> {
        let targets = Self {
            index,
            backends,
            switches,
            known: Mutex::default(),
        };
        let known = targets.read_back()?;
        *targets.lock() = known;
        Ok(targets)
    }

    fn read_back(&self) -> io::Result<Known> {
        let mut known = Known::default();
        let mut live = HashSet::new();
        for key in self.index.keys()? {
            let Some(index) = self.index.get(&key)? else { continue };
            known.next = known.next.max(index + 1);
            known.targets.insert(key, Target { index, before: 0 });
            live.insert((index, self.word(index).generation()));
        }
        let used: HashSet<u32> = known.targets.values().map(|target| target.index).collect();
        known.free = (0..known.next).filter(|index| !used.contains(index)).collect();
        // Lists that no word names were left by a call that was cut short, or kept for readers long gone.
        let entries = self.backends.keys()?;
        let (kept, dead): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|key| live.contains(&(key.target, key.generation)));
        self.backends.remove_all(&dead)?;
        known.backends = kept.len() as u32;
        Ok(known)
    }

    /// Sets a target's list and mode together.
    pub(crate) fn set(&self, target: SocketAddr, mode: Mode, list: &[Backend]) -> Result<(), TargetError> {
        if list.len() > MAX_BACKENDS as usize {
            return Err(TargetError::TooMany { count: list.len() });
        }
        let key = target_key(target);
        let mut known = self.lock();
        let Some(entry) = known.targets.get(&key).copied() else {
            return self.add(&mut known, key, mode, list);
        };
        self.forget_before(&mut known, key, entry)?;
        let old = self.word(entry.index);
        self.write(&mut known, entry.index, mode, list)?;
        known.targets.insert(
            key,
            Target {
                index: entry.index,
                before: old.count(),
            },
        );
        Ok(())
    }

    /// A new target: nobody finds its word before it stands in the index.
    fn add(&self, known: &mut Known, key: TargetKey, mode: Mode, list: &[Backend]) -> Result<(), TargetError> {
        let index = self.allocate(known)?;
        let result = self
            .write(known, index, mode, list)
            .and_then(|()| self.publish(key, index));
        match &result {
            Ok(()) => drop(known.targets.insert(key, Target { index, before: 0 })),
            Err(_) => {
                self.clear(known, index)?;
                known.free.push_back(index);
            }
        }
        result
    }

    fn publish(&self, key: TargetKey, index: u32) -> Result<(), TargetError> {
        let room = self.index.info().max_entries;
        self.index
            .set(&key, &index)
            .map_err(|error| full_or("targets", room, error))
    }

    /// Writes the next generation's list, then the word.
    fn write(&self, known: &mut Known, index: u32, mode: Mode, list: &[Backend]) -> Result<(), TargetError> {
        let room = self.backends.info().max_entries;
        if known.backends.saturating_add(list.len() as u32) > room {
            return Err(TargetError::Full { what: "backends", room });
        }
        let generation = self.word(index).generation().wrapping_add(1);
        let (values, local) = sorted(list);
        let keys = keys(index, generation, values.len() as u32);
        if let Err(error) = self.backends.set_all(&keys, &values) {
            self.backends.remove_all(&keys)?;
            return Err(full_or("backends", room, error));
        }
        known.backends += values.len() as u32;
        self.store(index, Switch::new(mode.bits(), values.len() as u32, local, generation));
        Ok(())
    }

    /// Removes the list before the current one: whoever held its word has had the time between two calls.
    fn forget_before(&self, known: &mut Known, key: TargetKey, entry: Target) -> Result<(), TargetError> {
        let generation = self.word(entry.index).generation().wrapping_sub(1);
        self.backends.remove_all(&keys(entry.index, generation, entry.before))?;
        known.backends = known.backends.saturating_sub(entry.before);
        known.targets.insert(key, Target { before: 0, ..entry });
        Ok(())
    }

    /// Empties a word. The generation goes on so that a later owner of the index never meets this one's entries.
    fn clear(&self, known: &mut Known, index: u32) -> Result<(), TargetError> {
        let word = self.word(index);
        self.store(index, Switch::new(MODE_OFF, 0, 0, word.generation().wrapping_add(1)));
        self.backends
            .remove_all(&keys(index, word.generation(), word.count()))?;
        known.backends = known.backends.saturating_sub(word.count());
        Ok(())
    }

    /// Changes the mode and nothing else: one store.
    pub(crate) fn set_mode(&self, target: SocketAddr, mode: Mode) -> Result<(), TargetError> {
        let known = self.lock();
        let entry = known
            .targets
            .get(&target_key(target))
            .ok_or(TargetError::Unknown { target })?;
        let word = self.word(entry.index);
        self.store(
            entry.index,
            Switch::new(mode.bits(), word.count(), word.local(), word.generation()),
        );
        Ok(())
    }

    /// Forgets a target: connections to it are left alone from now on.
    pub(crate) fn remove(&self, target: SocketAddr) -> Result<(), TargetError> {
        let key = target_key(target);
        let mut known = self.lock();
        let entry = *known.targets.get(&key).ok_or(TargetError::Unknown { target })?;
        self.forget_before(&mut known, key, entry)?;
        self.index.remove(&key)?;
        self.clear(&mut known, entry.index)?;
        known.targets.remove(&key);
        known.free.push_back(entry.index);
        Ok(())
    }

    /// All targets with their mode and number of backends.
    pub(crate) fn all(&self) -> Vec<(SocketAddr, Mode, u32)> {
        let known = self.lock();
        let row = |(key, target): (&TargetKey, &Target)| {
            let word = self.word(target.index);
            (socket_address(key), Mode::of(word), word.count())
        };
        known.targets.iter().map(row).collect()
    }

    fn allocate(&self, known: &mut Known) -> Result<u32, TargetError> {
        let room = self.switches.info().max_entries;
        if known.next < room {
            known.next += 1;
            return Ok(known.next - 1);
        }
        known
            .free
            .pop_front()
            .ok_or(TargetError::Full { what: "targets", room })
    }

    fn word(&self, index: u32) -> Switch {
        Switch(
            self.switches
                .word(index, 0)
                .map_or(0, |word| word.load(Ordering::Acquire)),
        )
    }

    fn store(&self, index: u32, switch: Switch) {
        if let Some(word) = self.switches.word(index, 0) {
            word.store(switch.0, Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// E2BIG: a hash is full; ENOSPC, ENOMEM: the same of other maps.
fn full_or(what: &'static str, room: u32, error: io::Error) -> TargetError {
    match error.raw_os_error() {
        Some(libc::E2BIG | libc::ENOSPC | libc::ENOMEM) => TargetError::Full { what, room },
        _ => error.into(),
    }
}

/// Values in the order the programs want, pods of this node first; how many these are.
fn sorted(list: &[Backend]) -> (Vec<abi::Backend>, u32) {
    let (local, remote): (Vec<&Backend>, Vec<&Backend>) = list.iter().partition(|backend| !backend.is_remote);
    let value = |backend: &Backend| abi::Backend {
        to: target_key(backend.to),
        pod: backend.pod.0,
        flags: if backend.is_remote { BACKEND_REMOTE } else { 0 },
        room: backend.room,
    };
    let count = local.len() as u32;
    (local.into_iter().chain(remote).map(value).collect(), count)
}

fn keys(target: u32, generation: u32, count: u32) -> Vec<BackendKey> {
    (0..count)
        .map(|index| BackendKey {
            target,
            generation,
            index,
        })
        .collect()
}

/// As the programs know an address.
pub(crate) fn target_key(address: SocketAddr) -> TargetKey {
    TargetKey {
        addr: words(address.ip()),
        port: address.port(),
        ..TargetKey::default()
    }
}

/// Network order in memory, IPv4 as v4-mapped.
pub fn words(ip: IpAddr) -> [u32; 4] {
    let octets = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(octets.as_chunks::<4>().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    words
}

/// Back again.
pub(crate) fn socket_address(key: &TargetKey) -> SocketAddr {
    SocketAddr::new(ip_address(key.addr), key.port)
}

/// Back again.
pub(crate) fn ip_address(words: [u32; 4]) -> IpAddr {
    let mut octets = [0; 16];
    for (bytes, word) in octets.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    let ip = Ipv6Addr::from(octets);
    ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_there_and_back() {
        for text in ["10.1.2.3:80", "[2001:db8::1]:8080", "0.0.0.0:1", "[::]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(socket_address(&target_key(address)), address);
        }
        assert_eq!(words("10.1.2.3".parse().unwrap())[2], abi::V4_MAPPED);
    }

    #[test]
    fn pods_of_this_node_come_first() {
        let backend = |port, is_remote| Backend {
            to: SocketAddr::from(([10, 0, 0, 1], port)),
            pod: PodId(port.into()),
            is_remote,
            room: 0,
        };
        let (values, local) = sorted(&[backend(1, true), backend(2, false), backend(3, true), backend(4, false)]);
        assert_eq!(local, 2);
        assert_eq!(values.iter().map(|value| value.pod).collect::<Vec<_>>(), [2, 4, 1, 3]);
        assert_eq!(
            values.iter().map(|value| value.flags).collect::<Vec<_>>(),
            [0, 0, BACKEND_REMOTE, BACKEND_REMOTE]
        );
    }
}
