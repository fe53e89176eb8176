// SPDX-License-Identifier: Apache-2.0
//! The kernel half as userspace sees it: load, attach, pin, adopt, count, redirect, clean up.
//!
//! Problem: programs and counters must outlive the daemon, be adopted after kill -9, be swapped without a gap, and two
//! layouts must work side by side while connections of the older one live.
//! Mechanism: everything is pinned under `<pin_dir>/v<ABI>/`, which is also the record (see `pins`); one word,
//! `<pin_dir>/generation`, says which generation takes new connections. aya loads; links, elements and mapped words are
//! plain system calls (`sys`).
//! Invariants: nothing is attached by a call that failed; one process at a time has a pin folder; the only crate with
//! aya and, beside the layouts, with `unsafe`.
//! Depends on: `abi`, aya.

mod attach;
mod call;
mod cleanup;
mod counts;
#[cfg(feature = "log")]
mod diagnostics;
mod events;
pub mod features;
mod generation;
mod hooks;
pub mod host;
pub mod memory;
pub mod netns;
mod object;
mod open;
mod pins;
mod settings;
mod shared;
pub mod sockets;
pub mod sys;
mod targets;
mod verify;
mod view;

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, Metadata},
    io,
    net::SocketAddr,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, atomic::Ordering},
};

use abi::names;
pub use abi::{POD_CONNECTIONS_ONLY, PodKey, PodSlot};

#[cfg(feature = "log")]
pub use crate::diagnostics::{Diagnostics, DiagnosticsError};
pub use crate::{
    attach::AttachError,
    call::CallError,
    cleanup::{Cleaned, CleanupError, cleanup},
    counts::{Counts, ReadError, quantile},
    events::{Event, Events},
    features::{Features, Support, Tier},
    hooks::{Hook, Hooks},
    netns::{Netns, NetnsError},
    object::{ObjectError, is_available},
    open::OpenError,
    settings::{Refuse, Settings},
    shared::{Pod, PodId, Pods, Revision, RevisionId, Revisions},
    sockets::Accounted,
    targets::{Backend, Mode, TargetError, words},
    verify::{Attached, Attachment},
    view::View,
};
use crate::{
    attach::Cgroup,
    object::Loaded,
    pins::Folder,
    sys::{
        map::{Map, PerCpu},
        mapped::Mapped,
        program::ProgramInfo,
    },
    targets::Targets,
};

/// Loaded, pinned, ready to attach. Dropping it leaves everything attached and counting.
#[derive(Debug)]
pub struct Kernel {
    settings: Settings,
    cgroup_root: PathBuf,
    features: Features,
    tier: Tier,
    folder: Folder,
    programs: HashMap<Hook, Loaded>,
    view: View,
    pods: Pods,
    revisions: Revisions,
    heartbeat: Mapped,
    generation: Mapped,
    config: Map<u32, abi::Config>,
    redirects: PerCpu,
    targets: Targets,
    attaching: Mutex<()>,
    lock: File,
}

/// What the programs are told while they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Id of the cgroup whose processes are never redirected (the daemon's); 0 = none.
    pub exempt_cgroup: u64,
    /// Id of the cgroup whose processes probe (kubelet's); 0 = none.
    pub probe_cgroup: u64,
    /// Sockets with this mark are never redirected; 0 = none.
    pub exempt_mark: u32,
    /// Whether listening sockets raise events.
    pub listen_events: bool,
    /// Gateway for IPv4 clients.
    pub gateway4: Option<SocketAddr>,
    /// Gateway for IPv6 clients.
    pub gateway6: Option<SocketAddr>,
    /// A heartbeat older than this leaves buffered targets alone.
    pub stale_buffered: std::time::Duration,
    /// A heartbeat older than this leaves all targets alone.
    pub stale_direct: std::time::Duration,
}

/// What a client asked for before its address was rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The address it meant.
    pub target: SocketAddr,
    /// Whether it belongs to the probing cgroup.
    pub is_probe: bool,
    /// Whether the address was rewritten.
    pub is_redirected: bool,
}

/// A pod cannot be tracked.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// No room.
    #[error("pod {pod} is outside of the room of {room}")]
    Full {
        /// Asked for.
        pod: u32,
        /// Room.
        room: u32,
    },
    /// The key does not say what this kernel needs: the namespace's cookie, or the address.
    #[error("the pod's key must name its {needed}")]
    Key {
        /// What.
        needed: &'static str,
    },
    /// The kernel refused.
    #[error("the pod could not be written")]
    Kernel(#[from] io::Error),
}

impl TrackError {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Full { .. } => "start with room for more pods",
            Self::Key { .. } => "see `sluice check`: where the kernel tells no cookie, pods are known by address",
            Self::Kernel(_) => "run as root or with CAP_BPF",
        }
    }
}

/// By where they are, not by how they are written: `..` and symbolic links lead elsewhere. What is not there is told later.
fn is_below(path: &Path, root: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    real(path).starts_with(real(root))
}

/// ns of CLOCK_MONOTONIC: the programs' clock.
#[expect(unsafe_code, reason = "std hides the number")]
pub fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for one timespec; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The heartbeats of whatever is pinned, before anything is opened.
///
/// A daemon that was killed leaves targets behind that go on while its heartbeat is fresh; its successor beats by this while
/// it loads. There is none where nothing is pinned.
pub struct Pulse(Vec<Mapped>);

impl Pulse {
    /// Finds them; what cannot be opened here is said by [`Kernel::open`], which follows.
    pub fn find(settings: &Settings) -> Self {
        open::pulse(settings)
    }

    /// A process is there at `now` (ns of CLOCK_MONOTONIC).
    pub fn beat(&self, now: u64) {
        for word in self.0.iter().filter_map(|heartbeat| heartbeat.word(0, 0)) {
            word.store(now, Ordering::Relaxed);
        }
    }
}

impl Kernel {
    /// Loads and pins, or adopts what is pinned and swaps its programs.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        open::open(settings)
    }

    /// Looks at what another process counts: no lock, no loading, nothing written.
    pub fn look(settings: &Settings) -> Result<View, OpenError> {
        open::look_at(settings)
    }

    /// How exactly we count.
    pub fn tier(&self) -> &Tier {
        &self.tier
    }

    /// What the kernel offers.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// Where cgroup v2 is.
    pub fn cgroup_root(&self) -> &Path {
        &self.cgroup_root
    }

    /// Whether pods are known by their namespace's cookie (else by address).
    pub fn is_by_netns(&self) -> bool {
        self.features.netns_cookie.is_there()
    }

    /// The loaded programs.
    pub fn programs(&self) -> impl Iterator<Item = (Hook, ProgramInfo)> {
        let info = |loaded: &Loaded| sys::program::info(loaded.fd.as_fd()).unwrap_or(loaded.info);
        self.programs.iter().map(move |(hook, loaded)| (*hook, info(loaded)))
    }

    /// Attaches to a cgroup (a path below the cgroup root, or absolute). Again is the same as once.
    pub fn attach(&self, cgroup: &Path, hooks: Hooks) -> Result<(), AttachError> {
        if hooks.redirect
            && let Support::No { why } = self.features.redirect()
        {
            return Err(AttachError::Unsupported {
                what: "redirect connections",
                why,
            });
        }
        let path = self.cgroup_root.join(cgroup);
        if self.settings.cgroup_root.is_some() && !is_below(&path, &self.cgroup_root) {
            return Err(AttachError::Outside {
                cgroup: path,
                root: self.cgroup_root.clone(),
            });
        }
        let _one_at_a_time = self.attaching.lock().unwrap_or_else(PoisonError::into_inner);
        attach::attach(&self.folder, &self.programs, &Cgroup::open(&path)?, hooks)
    }

    /// Detaches everything of ours from a cgroup.
    pub fn detach(&self, cgroup: &Path) -> Result<(), AttachError> {
        let _one_at_a_time = self.attaching.lock().unwrap_or_else(PoisonError::into_inner);
        attach::detach(&self.folder, &self.cgroup_root.join(cgroup))
    }

    /// Asks the kernel what is really attached.
    pub fn verify(&self) -> Result<Attachment, CallError> {
        verify::verify(&self.folder, &self.programs).map_err(CallError::when("asking what is attached"))
    }

    /// Whether a connection is open that is counted under it: its end would be taken from whatever is counted there then.
    pub fn is_open(&self, pod: PodId) -> bool {
        self.pods.get(pod).connections != 0
    }

    /// The lowest index that no key has and no open connection is counted under; outside of the room when there is none.
    pub fn free_pod(&self) -> PodId {
        let taken: HashSet<u32> = self.view.tracked().iter().map(|(_, pod, _)| pod.0).collect();
        let is_free = |pod: &PodId| !taken.contains(&pod.0) && !self.is_open(*pod);
        let room = self.view.counts.room();
        (0..room).map(PodId).find(is_free).unwrap_or(PodId(room))
    }

    /// Counts connections to `key` under `pod` from now on. A pod index that no other key has starts at 0: nothing may be
    /// open under it (see [`Kernel::free_pod`]), or its end would be taken from the new counts.
    pub fn track(&self, key: PodKey, pod: PodId, flags: u32) -> Result<(), TrackError> {
        let room = self.view.counts.room();
        if pod.0 >= room {
            return Err(TrackError::Full { pod: pod.0, room });
        }
        self.check_key(&key)?;
        let mut sources = self.view.sources();
        if !sources.keys.values().any(|slot| slot.pod == pod.0) {
            sources.gone.remove(&pod.0);
            self.view.counts.clear(pod.0)?;
            let revision = self.pods.get(pod).revision;
            self.pods.clear(pod);
            self.pods.set_revision(pod, RevisionId(revision));
        }
        let slot = PodSlot { pod: pod.0, flags };
        self.folder.set_pod(&key, pod.0, flags)?;
        self.view.keys.set(&key, &slot)?;
        sources.keys.insert(key, slot);
        sources.refresh();
        Ok(())
    }

    /// Counts no new connections to `key`; open ones go on under their index.
    pub fn untrack(&self, key: &PodKey) -> Result<(), TrackError> {
        let mut sources = self.view.sources();
        self.view.keys.remove(key)?;
        self.folder.forget_pod(key)?;
        sources.keys.remove(key);
        sources.refresh();
        Ok(())
    }

    /// What is tracked: after a restart, what was.
    pub fn tracked(&self) -> Vec<(PodKey, PodId, u32)> {
        self.view.tracked()
    }

    /// What was counted, over CPUs and generations. Never torn.
    pub fn counts(&self, pod: PodId) -> Result<Counts, ReadError> {
        self.view.counts(pod)
    }

    /// What whoever only looks would see, too.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Whether the pin folder is still the one that this process locked: somebody may have removed it, and another
    /// process made a new one.
    pub fn has_its_folder(&self) -> bool {
        let same = |there: &Metadata, ours: &Metadata| (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        let there = fs::metadata(&self.settings.pin_dir);
        there.is_ok_and(|there| self.lock.metadata().is_ok_and(|ours| same(&there, &ours)))
    }

    /// The shared words of pods.
    pub fn pods(&self) -> &Pods {
        &self.pods
    }

    /// The shared words of revisions.
    pub fn revisions(&self) -> &Revisions {
        &self.revisions
    }

    /// Open connections to a port in a namespace, and how many of them nobody counts. Probes that have no state are left
    /// out of both.
    pub fn accounted(&self, netns: &Netns, port: u16) -> Result<Accounted, NetnsError> {
        self.view.accounted(netns, port)
    }

    /// Sockets with state of ours, over all namespaces (needs the iterator of Linux 5.9).
    pub fn sockets_with_state(&self) -> Result<usize, CallError> {
        sys::storage::count(self.view.connections.as_fd()).map_err(CallError::when("counting sockets with state"))
    }

    /// Bytes of kernel memory that each map takes, by the kernel's own account. Socket storage is a few bytes here and
    /// grows with the sockets.
    pub fn memory(&self) -> Result<Vec<(&'static str, u64)>, CallError> {
        let bytes = |name: &&'static str| {
            let map = sys::object::get(&self.folder.map(name))?;
            Ok((*name, sys::map::memory(map.as_fd(), &self.settings.proc_root)?))
        };
        let maps: io::Result<_> = names::PINNED.iter().map(bytes).collect();
        maps.map_err(CallError::when("asking for the memory of the maps"))
    }

    /// The events. One reader at a time.
    pub fn events(&self) -> Result<Events, CallError> {
        Events::open(&self.folder.map(names::EVENTS)).map_err(CallError::when("opening the events"))
    }

    /// What the programs of an object with diagnostics write, for `logger` (`log::logger()`, or one's own).
    #[cfg(feature = "log")]
    pub fn diagnostics<L: log::Log>(&self, logger: L) -> Result<Diagnostics<L>, DiagnosticsError> {
        let program = self.programs.get(&Hook::SockOps).ok_or(DiagnosticsError::NotBuilt)?;
        Diagnostics::of(program.info.id, logger)
    }

    /// Tells the programs what they need to know.
    pub fn configure(&self, configuration: &Configuration) -> Result<(), CallError> {
        let gateway = |address: Option<SocketAddr>| address.map_or_else(Default::default, targets::target_key);
        let config = abi::Config {
            fingerprint: abi::FINGERPRINT,
            exempt_cgroup: configuration.exempt_cgroup,
            probe_cgroup: configuration.probe_cgroup,
            exempt_mark: configuration.exempt_mark,
            listen_events: configuration.listen_events.into(),
            gateway4: gateway(configuration.gateway4),
            gateway6: gateway(configuration.gateway6),
            stale_buffered: configuration.stale_buffered.as_nanos() as u64,
            stale_direct: configuration.stale_direct.as_nanos() as u64,
        };
        self.config
            .set(&0, &config)
            .map_err(CallError::when("telling the programs their settings"))
    }

    /// The main loop has made progress at `now` (ns of CLOCK_MONOTONIC).
    pub fn beat(&self, now: u64) {
        if let Some(word) = self.heartbeat.word(0, 0) {
            word.store(now, Ordering::Relaxed);
        }
    }

    /// Sets a target's pods and mode.
    pub fn set_backends(&self, target: SocketAddr, mode: Mode, backends: &[Backend]) -> Result<(), TargetError> {
        self.targets.set(target, mode, backends)
    }

    /// Flips a target: one store.
    pub fn set_mode(&self, target: SocketAddr, mode: Mode) -> Result<(), TargetError> {
        self.targets.set_mode(target, mode)
    }

    /// Leaves connections to an address alone again.
    pub fn remove_target(&self, target: SocketAddr) -> Result<(), TargetError> {
        self.targets.remove(target)
    }

    /// All targets: address, mode, number of pods.
    pub fn targets(&self) -> Vec<(SocketAddr, Mode, u32)> {
        self.targets.all()
    }

    /// What the client behind an accepted connection asked for; `None` = it was not published.
    pub fn asked(&self, peer: SocketAddr, local: SocketAddr) -> Result<Option<Asked>, CallError> {
        self.view.asked(peer, local)
    }

    /// The target that a redirected client asked for.
    pub fn target_of(&self, peer: SocketAddr, local: SocketAddr) -> Result<Option<SocketAddr>, CallError> {
        Ok(self
            .asked(peer, local)?
            .filter(|asked| asked.is_redirected)
            .map(|asked| asked.target))
    }

    /// What the connect hooks did, summed over CPUs.
    pub fn redirects(&self) -> Result<abi::Redirects, CallError> {
        let mut words = vec![0; self.redirects.words()];
        let read = self.redirects.read(0, &mut words);
        read.map_err(CallError::when("reading what the connect hooks did"))?;
        let sum = |field: usize| {
            words
                .chunks(self.redirects.words_per_cpu())
                .map(|cpu| cpu[field])
                .fold(0_u64, u64::wrapping_add)
        };
        Ok(abi::Redirects {
            direct: sum(0),
            buffered: sum(1),
            stale: sum(2),
            without_backend: sum(3),
            unpublished: sum(4),
        })
    }

    /// Other generations that still have a folder.
    pub fn generations(&self) -> Vec<u64> {
        self.view.sources().older.iter().map(|older| older.abi).collect()
    }

    /// Removes the folders of generations without connections; returns their numbers. Call it now and then.
    pub fn retire_generations(&self) -> Result<Vec<u64>, ReadError> {
        let mut retired = Vec::new();
        let mut sources = self.view.sources();
        for place in (0..sources.older.len()).rev() {
            if sources.older[place].is_empty()? {
                sources.keep(place)?;
                let older = sources.older.remove(place);
                sources.refresh();
                retired.push(older.abi);
                older.retire()?;
            }
        }
        Ok(retired)
    }

    /// Detaches the connect hooks of other generations. Call it when this one's targets are set.
    pub fn retire_redirection(&self) -> Result<Vec<PathBuf>, CallError> {
        let mut gone = Vec::new();
        for older in &self.view.sources().older {
            let detached = attach::detach_where(&older.folder, |_, hook| hook.redirects());
            gone.extend(detached.map_err(CallError::when("detaching connect hooks of another generation"))?);
        }
        Ok(gone)
    }

    fn check_key(&self, key: &PodKey) -> Result<(), TrackError> {
        match (self.is_by_netns(), key.netns) {
            (true, 0) => Err(TrackError::Key {
                needed: "network namespace",
            }),
            (false, cookie) if cookie != 0 => Err(TrackError::Key {
                needed: "address, and no network namespace",
            }),
            _ => Ok(()),
        }
    }
}
