// SPDX-License-Identifier: Apache-2.0
//! Opening: load and pin, or adopt what is pinned.
//!
//! Problem: the daemon may start on a fresh machine, after kill -9, after an upgrade with other layouts, or on one where
//! something is missing; each must end either counting or with a message and nothing attached.
//! Mechanism: look (privileges, bpffs, cgroup v2), lock the pin folder, load into it, swap the programs of pinned links,
//! take over pods and cgroups from the generation that was active, and only then write our ABI as the active one.
//! Invariants: a folder that this call made is removed again when the call does not succeed.
//! Depends on: everything below `Kernel`.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, atomic::Ordering},
};

use abi::{PodKey, names};

use crate::{
    Kernel, Pulse,
    attach::{self, AttachError, Cgroup},
    call::CallError,
    cleanup,
    counts::Reader,
    features::{self, Features, Tier},
    generation::{self, Older},
    hooks::Hook,
    host::{self, Capability},
    object::{self, Loaded, ObjectError},
    pins::{Folder, Meta, RecordError},
    settings::Settings,
    shared,
    sys::{
        self,
        map::{Map, PerCpu},
        mapped::Mapped,
    },
    targets::Targets,
    view::{Sources, View},
};

/// Why there is no counting in the kernel.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Privileges are missing.
    #[error("missing privileges: {}", list(missing))]
    NoPrivilege {
        /// Which.
        missing: Vec<Capability>,
    },
    /// No bpffs there.
    #[error("{path} is not on a bpffs")]
    NoBpffs {
        /// The pin folder.
        path: PathBuf,
    },
    /// No cgroup v2.
    #[error("cgroup v2 is not mounted{}", at(root.as_deref()))]
    NoCgroup2 {
        /// Asked for.
        root: Option<PathBuf>,
    },
    /// Another process has the pin folder.
    #[error("{pin_dir} is in use by another process")]
    Busy {
        /// The pin folder.
        pin_dir: PathBuf,
    },
    /// Nobody counts there, under our ABI.
    #[error("nothing is counted under {pin_dir}")]
    Nothing {
        /// The pin folder.
        pin_dir: PathBuf,
    },
    /// This kernel cannot even count connections.
    #[error("this kernel cannot count in the kernel: {why}")]
    NoTier {
        /// In words.
        why: String,
    },
    /// The object.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Something is pinned there that we did not make, or that was made in another way under the same ABI.
    #[error("{folder} holds state that is not ours: {why}")]
    ForeignState {
        /// Where.
        folder: PathBuf,
        /// In words.
        why: String,
    },
    /// What is attached could not be taken over.
    #[error("what is attached could not be taken over")]
    Adopt(#[from] AttachError),
    /// What is tracked could not be read.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A pinned object could not be opened or made.
    #[error("{what}")]
    Pin {
        /// What was done.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl OpenError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::NoPrivilege { missing } => format!("run as root, or grant {}", list(missing)),
            Self::NoBpffs { path } => format!(
                "mount one: `mount -t bpf bpf /sys/fs/bpf`, or choose a --pin-dir on one instead of {}",
                path.display()
            ),
            Self::NoCgroup2 { .. } => {
                "mount it: `mount -t cgroup2 none /sys/fs/cgroup/unified`, or name it with --cgroup-root".to_owned()
            }
            Self::Busy { .. } => "stop it (a `sluice` or its daemon), or choose another --pin-dir".to_owned(),
            Self::Nothing { .. } => "start counting first, or name its --pin-dir".to_owned(),
            Self::NoTier { .. } => {
                "run on Linux 5.12 or newer (5.17 for exact counts); the proxy works without".to_owned()
            }
            Self::Object(error) => error.advice().to_owned(),
            Self::ForeignState { folder, .. } => format!(
                "look at {}; `sluice cleanup` removes what a Sluice recorded there; or choose another --pin-dir",
                folder.display()
            ),
            Self::Adopt(error) => error.advice().to_owned(),
            Self::Call(error) => error.advice().to_owned(),
            Self::Pin { .. } => "check that the pin folder is on a writable bpffs".to_owned(),
        }
    }
}

fn list(missing: &[Capability]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn at(root: Option<&Path>) -> String {
    root.map_or_else(String::new, |root| format!(" at {}", root.display()))
}

fn pin(what: &'static str) -> impl FnOnce(io::Error) -> OpenError {
    move |source| OpenError::Pin { what, source }
}

pub(crate) fn open(settings: Settings) -> Result<Kernel, OpenError> {
    let cgroup_root = look(&settings)?;
    let bytes = object::find(&settings)?;
    object::check(&bytes)?;
    fs::create_dir_all(&settings.pin_dir).map_err(pin("creating the pin folder"))?;
    let (lock, features) = (take_lock(&settings)?, features::probe(&settings));
    let folder = Folder::new(&settings.pin_dir, abi::ABI);
    let mut fresh = Fresh::begin(&folder, &settings)?;
    let (tier, programs) = load(&bytes, &folder, &settings, &features, fresh.is_some())?;
    let by_netns = features.netns_cookie.is_there();
    record(&folder, &tier, by_netns, object::state(&bytes)?)?;
    let kernel = assemble(settings, cgroup_root, features, tier, folder, programs, lock)?;
    attach::adopt_all(&kernel.folder, &kernel.programs)?;
    kernel.take_over()?;
    if let Some(fresh) = fresh.take() {
        fresh.keep();
    }
    Ok(kernel)
}

pub(crate) fn pulse(settings: &Settings) -> Pulse {
    let folders = Folder::all(&settings.pin_dir).unwrap_or_default();
    let mapped = |folder: &Folder| Mapped::open(&folder.map(names::HEARTBEAT)).ok();
    Pulse(folders.iter().filter_map(|(_, folder)| mapped(folder)).collect())
}

fn take_lock(settings: &Settings) -> Result<File, OpenError> {
    let lock = cleanup::lock(&settings.pin_dir).map_err(pin("locking the pin folder"))?;
    lock.ok_or_else(|| OpenError::Busy {
        pin_dir: settings.pin_dir.clone(),
    })
}

/// The things that no loading helps against.
fn look(settings: &Settings) -> Result<PathBuf, OpenError> {
    let missing = host::missing_capabilities(&settings.proc_root);
    if !missing.is_empty() {
        return Err(OpenError::NoPrivilege { missing });
    }
    if !host::is_on_bpffs(&settings.pin_dir) {
        return Err(OpenError::NoBpffs {
            path: settings.pin_dir.clone(),
        });
    }
    let root = settings
        .cgroup_root
        .clone()
        .or_else(|| host::find_cgroup2(&settings.proc_root));
    root.filter(|root| host::is_on_cgroup2(root))
        .ok_or_else(|| OpenError::NoCgroup2 {
            root: settings.cgroup_root.clone(),
        })
}

/// The record of a folder, if it has one.
fn meta(folder: &Folder) -> Result<Option<Meta>, OpenError> {
    folder.meta().map_err(|error| match error {
        RecordError::Foreign(why) => OpenError::ForeignState {
            folder: folder.root().to_owned(),
            why: format!("its record is not one that we read: {why}"),
        },
        RecordError::Kernel(source) => OpenError::Pin {
            what: "reading the record of the pin folder",
            source,
        },
    })
}

/// A folder made by this call; removed unless kept.
struct Fresh {
    folder: Folder,
    is_kept: bool,
    word: Option<PathBuf>,
}

impl Fresh {
    /// `None` when there is a folder of ours to adopt.
    fn begin(folder: &Folder, settings: &Settings) -> Result<Option<Self>, OpenError> {
        let reading = "reading the record of the pin folder";
        if meta(folder)?.is_some() {
            return Ok(None);
        }
        if !folder.links().map_err(pin(reading))?.is_empty() {
            let why = "there are links but no record".to_owned();
            return Err(OpenError::ForeignState {
                folder: folder.root().to_owned(),
                why,
            });
        }
        // Maps without a record were left by a call that was killed before it attached anything.
        let left = folder
            .remove(&mut Vec::new())
            .map_err(pin("removing an unfinished folder"))?;
        if let Some(stranger) = left.first() {
            let why = format!("{} is not a name of ours", stranger.display());
            return Err(OpenError::ForeignState {
                folder: folder.root().to_owned(),
                why,
            });
        }
        folder.create().map_err(pin("creating the folder of this generation"))?;
        let word = object::generation_path(settings);
        let word = (!word.exists()).then_some(word);
        Ok(Some(Self {
            folder: folder.clone(),
            is_kept: false,
            word,
        }))
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // The error that led here is the one to tell.
        let _ = generation::dismantle(&self.folder, &mut Vec::new());
        if let Some(word) = &self.word {
            let _ = fs::remove_file(word);
        }
        if let Some(pin_dir) = self.folder.root().parent() {
            let _ = fs::remove_dir(pin_dir);
        }
    }
}

type Programs = HashMap<Hook, Loaded>;

/// Loads for the best tier that the kernel lets through; an adopted folder keeps the tier that it was made for.
fn load(
    bytes: &[u8],
    folder: &Folder,
    settings: &Settings,
    features: &Features,
    is_fresh: bool,
) -> Result<(Tier, Programs), OpenError> {
    let tier = features.tier();
    if let Tier::None { why } = tier {
        return Err(OpenError::NoTier { why });
    }
    if !is_fresh {
        check_record(folder, &tier, features.netns_cookie.is_there(), object::state(bytes)?)?;
    }
    let choice = |is_exact| object::choice(is_exact, &features.redirect(), &features.netns_cookie);
    let first = object::load(bytes, folder, settings, choice(tier == Tier::Exact));
    match first {
        Err(error) if tier == Tier::Exact && is_fresh && object::is_verifier(&error) => {
            let programs = object::load(bytes, folder, settings, choice(false))?;
            Ok((Tier::Connections { why: error.to_string() }, programs))
        }
        Ok(programs) => Ok((tier, programs)),
        Err(error) => Err(error.into()),
    }
}

fn other_layouts(folder: &Folder, meta: &Meta) -> OpenError {
    let (theirs, ours, abi) = (&meta.fingerprint, fingerprint(), abi::ABI);
    OpenError::ForeignState {
        folder: folder.root().to_owned(),
        why: format!("its layouts are {theirs}, ours {ours}, under the same ABI {abi}"),
    }
}

fn check_record(folder: &Folder, tier: &Tier, by_netns: bool, state: u64) -> Result<(), OpenError> {
    let Some(meta) = meta(folder)? else {
        return Ok(());
    };
    let foreign = |why| OpenError::ForeignState {
        folder: folder.root().to_owned(),
        why,
    };
    if meta.fingerprint != fingerprint() {
        return Err(other_layouts(folder, &meta));
    }
    if meta.state != format!("{state:016x}") {
        let why = format!(
            "the state in its sockets has layout {}, ours {state:016x}, under the same ABI",
            meta.state
        );
        return Err(foreign(why));
    }
    if meta.tier != tier.word() {
        return Err(foreign(format!(
            "it was made for the tier {}, this is {tier}",
            meta.tier
        )));
    }
    if meta.by_netns != by_netns {
        return Err(foreign(
            "it tells pods apart in another way (network namespace, address)".to_owned(),
        ));
    }
    Ok(())
}

fn fingerprint() -> String {
    format!("{:016x}", abi::FINGERPRINT)
}

fn record(folder: &Folder, tier: &Tier, by_netns: bool, state: u64) -> Result<(), OpenError> {
    let meta = Meta {
        abi: abi::ABI,
        fingerprint: fingerprint(),
        state: format!("{state:016x}"),
        tier: tier.word().to_owned(),
        by_netns,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    folder
        .set_meta(&meta)
        .map_err(pin("writing the record of the pin folder"))
}

fn assemble(
    settings: Settings,
    cgroup_root: PathBuf,
    features: Features,
    tier: Tier,
    folder: Folder,
    programs: Programs,
    lock: File,
) -> Result<Kernel, OpenError> {
    let foreign = |name: &str, error: io::Error| foreign_map(&folder, name, error);
    let mapped = |name| Mapped::open(&folder.map(name)).map_err(|error| foreign(name, error));
    let targets = Targets::adopt(
        Map::open(&folder.map(names::TARGETS)).map_err(|error| foreign(names::TARGETS, error))?,
        Map::open(&folder.map(names::BACKENDS)).map_err(|error| foreign(names::BACKENDS, error))?,
        mapped(names::SWITCHES)?,
    );
    let generation =
        Mapped::open(&object::generation_path(&settings)).map_err(|error| foreign("../generation", error))?;
    let by_netns = features.netns_cookie.is_there();
    let view = view(&settings, &folder, by_netns, tier.word().to_owned())?;
    Ok(Kernel {
        view,
        pods: shared::Pods(mapped(names::SHARED)?),
        revisions: shared::Revisions(mapped(names::REVISIONS)?),
        heartbeat: mapped(names::HEARTBEAT)?,
        generation,
        config: Map::open(&folder.map(names::CONFIG)).map_err(|error| foreign(names::CONFIG, error))?,
        redirects: PerCpu::open(&folder.map(names::REDIRECTS)).map_err(|error| foreign(names::REDIRECTS, error))?,
        targets: targets.map_err(pin("reading the targets back"))?,
        attaching: Mutex::new(()),
        settings,
        cgroup_root,
        features,
        tier,
        folder,
        programs,
        lock,
    })
}

fn foreign_map(folder: &Folder, name: &str, error: io::Error) -> OpenError {
    OpenError::ForeignState {
        folder: folder.map(name),
        why: format!("the map has another shape or cannot be opened: {error}"),
    }
}

/// The counters of a folder, and of the generations beside it.
fn view(settings: &Settings, folder: &Folder, is_by_netns: bool, tier: String) -> Result<View, OpenError> {
    let foreign = |name: &'static str| move |error| foreign_map(folder, name, error);
    let sources = Sources::beside(others(settings, folder)?);
    Ok(View {
        folder: folder.clone(),
        tier,
        counts: PerCpu::open(&folder.map(names::COUNTS))
            .and_then(Reader::new)
            .map_err(foreign(names::COUNTS))?,
        keys: Map::open(&folder.map(names::PODS)).map_err(foreign(names::PODS))?,
        peers: Map::open(&folder.map(names::PEERS)).map_err(foreign(names::PEERS))?,
        connections: sys::object::get(&folder.map(names::CONNECTIONS)).map_err(foreign(names::CONNECTIONS))?,
        sources: Mutex::new(sources),
        is_by_netns,
    })
}

/// Looks at what another process counts under our ABI.
pub(crate) fn look_at(settings: &Settings) -> Result<View, OpenError> {
    let folder = Folder::new(&settings.pin_dir, abi::ABI);
    let Some(meta) = meta(&folder)? else {
        return Err(OpenError::Nothing {
            pin_dir: settings.pin_dir.clone(),
        });
    };
    if meta.fingerprint != fingerprint() {
        return Err(other_layouts(&folder, &meta));
    }
    let view = view(settings, &folder, meta.by_netns, meta.tier)?;
    view.refresh()?;
    Ok(view)
}

fn others(settings: &Settings, own: &Folder) -> Result<Vec<Older>, OpenError> {
    let mut older = Vec::new();
    for (abi, folder) in Folder::all(&settings.pin_dir).map_err(pin("listing generations"))? {
        if folder.root() != own.root() && meta(&folder)?.is_some() {
            let foreign = |error: io::Error| OpenError::ForeignState {
                folder: folder.root().to_owned(),
                why: format!("generation {abi} cannot be read: {error}"),
            };
            older.push(Older::open(abi, folder.clone()).map_err(foreign)?);
        }
    }
    Ok(older)
}

impl Kernel {
    /// Becomes the generation that takes new connections.
    fn take_over(&self) -> Result<(), OpenError> {
        let word = self.generation.word(0, 0).ok_or_else(|| OpenError::ForeignState {
            folder: object::generation_path(&self.settings),
            why: "the map has another shape".to_owned(),
        })?;
        let mut config = self
            .config
            .get(&0)
            .map_err(pin("reading the settings map"))?
            .unwrap_or_default();
        config.fingerprint = abi::FINGERPRINT;
        self.config.set(&0, &config).map_err(pin("writing the settings map"))?;
        let active = word.load(Ordering::Acquire);
        if active != abi::ABI {
            self.inherit(active)?;
            word.store(abi::ABI, Ordering::Release);
        }
        Ok(self.view.refresh()?)
    }

    /// Takes pods and cgroups over from the generation that was active.
    fn inherit(&self, active: u64) -> Result<(), OpenError> {
        let sources = self.view.sources();
        let Some(before) = sources.older.iter().find(|older| older.abi == active) else {
            return Ok(());
        };
        let pods = before
            .folder
            .pods()
            .map_err(pin("reading pods of the last generation"))?;
        self.inherit_pods(&pods)
            .map_err(pin("taking over pods of the last generation"))?;
        let paths: HashMap<u64, PathBuf> = before
            .folder
            .cgroups()
            .map_err(pin("reading cgroups of the last generation"))?
            .into_iter()
            .collect();
        let links = before
            .folder
            .links()
            .map_err(pin("reading links of the last generation"))?;
        for (id, path) in paths {
            let hooks = Hook::ALL.into_iter().filter(|hook| links.contains(&(id, *hook)));
            let wanted = hooks.filter_map(|hook| Some((hook, self.programs.get(&hook)?)));
            // A cgroup that is gone needs nothing.
            if let Ok(cgroup) = Cgroup::open(&path)
                && cgroup.id == id
            {
                attach::attach_each(&self.folder, wanted, &cgroup)?;
            }
        }
        Ok(())
    }

    fn inherit_pods(&self, pods: &[(PodKey, u32, u32)]) -> io::Result<()> {
        let current: HashMap<PodKey, u32> = pods.iter().map(|(key, index, _)| (*key, *index)).collect();
        for (key, slot) in self.view.pods_in_map()? {
            if current.get(&key) != Some(&slot.pod) {
                self.view.keys.remove(&key)?;
                self.folder.forget_pod(&key)?;
                if slot.pod < self.view.counts.room() {
                    self.view.counts.clear(slot.pod)?;
                }
            }
        }
        for (key, index, flags) in pods.iter().filter(|(_, index, _)| *index < self.view.counts.room()) {
            self.folder.set_pod(key, *index, *flags)?;
            self.view.keys.set(
                key,
                &abi::PodSlot {
                    pod: *index,
                    flags: *flags,
                },
            )?;
        }
        Ok(())
    }
}
