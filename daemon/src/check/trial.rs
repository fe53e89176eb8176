// SPDX-License-Identifier: Apache-2.0
//! Loading for real, to see whether the verifier agrees, what the maps take, and whether requests are counted.
//!
//! Invariants: the folder is this process's own and is removed again, also when loading fails and when a signal comes: it is
//! delivered afterwards. Nothing is attached but to the cgroup of `loopback`.
//! Depends on: `loopback`, kernel, `failure`.

use std::{
    fs, io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kernel::{Features, Kernel, Settings, sys};

use nix::sys::signal::{SigSet, Signal};

use crate::{
    check::loopback::{self, Loopback},
    failure::Failure,
    progress,
};

/// What loading showed.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) tier: kernel::Tier,
    pub(crate) took: Duration,
    /// Hook and instructions that the verifier walked.
    pub(crate) programs: Vec<(&'static str, u32)>,
    pub(crate) maps: Vec<Room>,
    pub(crate) loopback: Loopback,
}

/// A map and its memory.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// Of a storage map: what one socket takes.
    pub(crate) per_socket: Option<u32>,
}

/// How the trial ended.
#[derive(Debug)]
pub(crate) enum Trial {
    Loaded(Loaded),
    /// It should have worked.
    Failed(Failure),
    /// Something is missing for it.
    NotTried,
}

/// Loads and removes again, when nothing is missing for it.
pub(crate) fn run(settings: &Settings, features: &Features) -> Trial {
    let is_possible = features.missing.is_empty()
        && features.bpffs.is_there()
        && features.cgroup2.is_some()
        && !matches!(features.tier(), kernel::Tier::None { .. });
    if !is_possible {
        return Trial::NotTried;
    }
    // Before the place, so that it goes after it.
    let _held = Held::signals();
    let place = Place::beside(settings);
    match progress::during("loading the programs", || load(&place.settings)) {
        Ok(loaded) => Trial::Loaded(loaded),
        Err(failure) => Trial::Failed(failure),
    }
}

/// Signals that would end the program wait until this is dropped.
struct Held {
    before: Option<SigSet>,
}

impl Held {
    fn signals() -> Self {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            mask.add(signal);
        }
        let before = SigSet::thread_get_mask().ok();
        // Where it cannot be done, a signal ends it in the middle, as before.
        let _ = mask.thread_block();
        Self { before }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.before.map(|before| before.thread_set_mask());
    }
}

/// A pin folder that goes when this is dropped.
struct Place {
    settings: Settings,
}

impl Place {
    fn beside(settings: &Settings) -> Self {
        let pin_dir = &settings.pin_dir;
        let above = pin_dir.ancestors().skip(1).find(|above| above.exists());
        let is_fit = |above: &&Path| kernel::host::is_on_bpffs(above);
        // A bpffs may be mounted at the pin folder itself.
        let folder = above.filter(is_fit).map_or_else(|| pin_dir.clone(), Path::to_owned);
        Self {
            settings: Settings {
                pin_dir: folder.join(format!("sluice-check-{}", std::process::id())),
                ..settings.clone()
            },
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed is there for the eye and for `cleanup --pin-dir`.
        let _ = kernel::cleanup(&self.settings);
    }
}

fn load(settings: &Settings) -> Result<Loaded, Failure> {
    let begin = Instant::now();
    let kernel = Kernel::open(settings.clone())?;
    let took = begin.elapsed();
    let mut programs: Vec<_> = kernel
        .programs()
        .map(|(hook, info)| (hook.word(), info.verified))
        .collect();
    programs.sort_unstable();
    // A kernel that does not account for maps (before 6.? all do) leaves the list empty.
    let maps = rooms(settings).unwrap_or_default();
    let loopback = loopback::run(&kernel, settings);
    Ok(Loaded {
        tier: kernel.tier().clone(),
        took,
        programs,
        maps,
        loopback,
    })
}

fn rooms(settings: &Settings) -> io::Result<Vec<Room>> {
    let folder = settings.pin_dir.join(format!("v{}", abi::ABI)).join("maps");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    paths.push(settings.pin_dir.join("generation"));
    paths.sort();
    paths.iter().map(|path| room(path, &settings.proc_root)).collect()
}

fn room(path: &Path, proc_root: &Path) -> io::Result<Room> {
    let map = sys::object::get(path)?;
    let info = sys::map::info(map.as_fd())?;
    Ok(Room {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes: sys::map::memory(map.as_fd(), proc_root)?,
        per_socket: (info.kind == sys::map::TYPE_SK_STORAGE).then_some(info.value_size),
    })
}
