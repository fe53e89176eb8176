// SPDX-License-Identifier: Apache-2.0
//! Pods as processes: a kubelet for one machine without a container runtime.
//!
//! Problem: `sluice standalone` runs the pods of a Deployment where there is no cluster, fast enough that a request can
//! wait for the first one.
//! Mechanism: watches the pods of its node in the store; each becomes a task that finds it a place (network namespace,
//! address, cgroup; some are kept ready), starts its containers through the processes of `shim`, probes them, and writes
//! its status. Records in the run folder let the next runner take over what this one leaves.
//! Invariants: pods survive a runner that is killed; nothing is made outside the settings' prefix, range, cgroup and
//! folders, and `cleanup` removes all of it.
//! Depends on: state, verbs, life. docs/pods.md has what a pod may ask for.

mod action;
mod attempt;
mod backoff;
mod cgroup;
mod container;
mod drain;
mod environment;
mod facts;
mod ignored;
mod image;
mod last_words;
mod network;
mod objects;
mod plan;
mod pod;
mod probing;
mod process;
mod quantity;
mod reader;
mod settings;
mod shim;
mod site;
mod slot;
mod status;
mod view;
mod volume;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use life::Tasks;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::Value;
use tokio::sync::watch;

use crate::logs::Logs;
use crate::meta;
use crate::state::State;
use crate::store::EventKind;

use cgroup::Cgroups;
use objects::Objects;
use pod::{RECORD, Record, Shared};
use reader::Reader;
use slot::Pool;

pub use drain::{Drain, NoDrain, RunningPod};
pub use image::Images;
pub use network::{NoRange, Range};
pub use plan::COMMAND;
pub use settings::Settings;
pub use shim::main as start;

/// Why a runner cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The settings contradict themselves or the machine.
    #[error("{}", .0.join("; "))]
    Settings(Vec<String>),
    /// The API does not have pods.
    #[error("the API serves no pods")]
    NoPods,
    /// Something of the machine cannot be used.
    #[error("{what}: {source}; pods need root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and a writable cgroup2 mount")]
    Machine {
        /// What.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

/// A runner at work.
#[derive(Debug)]
pub struct Runner {
    shared: Shared,
    running: watch::Receiver<Vec<RunningPod>>,
    has_taken_over: bool,
}

impl Runner {
    /// Begins to run the pods of a node, taking over those that an earlier runner left.
    ///
    /// Call it within a tokio runtime.
    ///
    /// # Errors
    /// If the settings or the machine do not allow it.
    pub fn begin(
        settings: Settings,
        state: Arc<State>,
        drain: Arc<dyn Drain>,
        tasks: &Tasks,
    ) -> Result<Self, RunnerError> {
        let problems = settings.problems();
        if !problems.is_empty() {
            return Err(RunnerError::Settings(problems));
        }
        let objects = Objects::new(state, &settings.node).ok_or(RunnerError::NoPods)?;
        let cgroups = prepare(&settings)?;
        let images = Images::new(settings.images.clone(), settings.cache.clone());
        let (sender, running) = watch::channel(Vec::new());
        let shared = Shared {
            pool: Pool::new(settings.clone(), cgroups),
            settings: Arc::new(settings),
            objects,
            images,
            drain,
            tasks: tasks.clone(),
            running: sender,
            ending: watch::channel(None).0,
            living: watch::channel(0).0,
        };
        let left = left_behind(&shared);
        // Before the first place is made ready: it would be made where a pod lives.
        shared.pool.reserve(left.iter().filter_map(|left| left.place));
        let has_taken_over = !left.is_empty();
        let watching = Watching {
            shared: shared.clone(),
            pods: HashMap::new(),
            left,
        };
        tasks.spawn("pods", watching.run());
        shared.refill();
        Ok(Self {
            shared,
            running,
            has_taken_over,
        })
    }

    /// The pods that have a place, as they change.
    #[must_use]
    pub fn running(&self) -> watch::Receiver<Vec<RunningPod>> {
        self.running.clone()
    }

    /// Whether an earlier runner left pods. Those whose objects are there outlive this runner, too, if it is dropped
    /// without an end.
    #[must_use]
    pub fn has_taken_over(&self) -> bool {
        self.has_taken_over
    }

    /// Its images.
    #[must_use]
    pub fn images(&self) -> Images {
        self.shared.images.clone()
    }

    /// The logs of its pods.
    #[must_use]
    pub fn logs(&self) -> Arc<dyn Logs> {
        Arc::new(Reader {
            settings: Arc::clone(&self.shared.settings),
            objects: self.shared.objects.clone(),
            tasks: self.shared.tasks.clone(),
        })
    }

    /// What it was started with, for a `cleanup` when it could not end in order.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.shared.settings)
    }

    /// Ends all pods, each within its own grace and at most this one. Their networks stay until `end`: what a pod said last may
    /// be on its way still.
    pub async fn end_pods(&self, grace: Duration) {
        self.shared.ending.send_replace(Some(grace));
        // Also those that are finding a place: what they make must be there to be removed.
        let mut living = self.shared.living.subscribe();
        // Killed when the grace is over; what still hangs then is removed by force.
        let most = grace + Duration::from_secs(10);
        let _ = tokio::time::timeout(most, living.wait_for(|pods| *pods == 0)).await;
    }

    /// Ends the pods that there still are, as `end_pods`, and removes everything that was made.
    pub async fn end(self, grace: Duration) {
        self.end_pods(grace).await;
        self.shared.pool.close().await;
        let settings = Arc::clone(&self.shared.settings);
        // A panic there would have been a panic here.
        let _ = tokio::task::spawn_blocking(move || drop(cleanup(&settings))).await;
    }
}

/// Removes everything that runners with these settings have made, also what a killed one left; cached images stay. Answers
/// what is gone.
pub fn cleanup(settings: &Settings) -> Vec<String> {
    let mut removed = Vec::new();
    let was_there = settings.cgroup.exists();
    if let Ok(cgroups) = Cgroups::make(&settings.cgroup) {
        cgroups.end_all();
    }
    if was_there && !settings.cgroup.exists() {
        removed.push(format!("cgroup {}, with what ran in it", settings.cgroup.display()));
    }
    for device in network::devices(&settings.prefix) {
        let rest = device.strip_prefix(&settings.prefix).unwrap_or_default();
        if rest == "br" || (!rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())) {
            network::remove_device(&device);
            removed.push(format!("device {device}"));
        }
    }
    let networks = settings.networks();
    for entry in fs::read_dir(&networks).into_iter().flatten().flatten() {
        if umount2(&entry.path(), MntFlags::MNT_DETACH).is_ok() {
            removed.push(format!("mount {}", entry.path().display()));
        }
    }
    while umount2(&networks, MntFlags::MNT_DETACH).is_ok() {
        removed.push(format!("mount {}", networks.display()));
    }
    // What cannot be removed is in use by somebody else.
    if fs::remove_dir_all(&settings.run).is_ok() {
        removed.push(settings.run.display().to_string());
    }
    removed
}

fn prepare(settings: &Settings) -> Result<Cgroups, RunnerError> {
    let failed = |what: String| move |source: io::Error| RunnerError::Machine { what, source };
    let networks = settings.networks();
    for folder in [&networks, &settings.run.join("pods"), &settings.cache] {
        fs::create_dir_all(folder).map_err(failed(folder.display().to_string()))?;
    }
    own_mount(&networks).map_err(failed(format!("mounting {}", networks.display())))?;
    let cgroups = Cgroups::make(&settings.cgroup).map_err(failed(settings.cgroup.display().to_string()))?;
    if !settings.cgroup.join("cgroup.procs").exists() {
        let source = io::Error::other("it is not on a cgroup2 mount");
        return Err(failed(settings.cgroup.display().to_string())(source));
    }
    network::make_bridge(&settings.bridge(), settings.range).map_err(failed("the pods' bridge".to_owned()))?;
    Ok(cgroups)
}

/// A mount of its own, so that a container gets rid of all pods' networks by one call.
fn own_mount(folder: &Path) -> io::Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let is_mounted = table
        .lines()
        .any(|line| line.split(' ').nth(4).map(Path::new) == Some(folder));
    if !is_mounted {
        let none: Option<&Path> = None;
        mount(Some(folder), folder, none, MsFlags::MS_BIND, none)?;
        mount(none, folder, none, MsFlags::MS_SHARED, none)?;
    }
    Ok(())
}

/// What an earlier runner left of a pod.
struct Left {
    uid: String,
    /// Where it lives; none if it had given its place back, or had none yet, or the machine was started anew since.
    place: Option<u32>,
    folder: PathBuf,
}

fn left_behind(shared: &Shared) -> Vec<Left> {
    let pods = shared.settings.run.join("pods");
    let folders = fs::read_dir(pods).into_iter().flatten().flatten();
    let left = |entry: fs::DirEntry| {
        let record: Option<Record> = plan::read(&entry.path(), RECORD);
        let place = record.map(|record| record.place);
        Left {
            uid: entry.file_name().to_string_lossy().into_owned(),
            place: place.filter(|place| shared.pool.is_inhabited(*place)),
            folder: entry.path(),
        }
    };
    folders.map(left).collect()
}

/// The task that watches pods.
struct Watching {
    shared: Shared,
    pods: HashMap<String, watch::Sender<Option<Arc<Value>>>>,
    left: Vec<Left>,
}

impl Watching {
    async fn run(mut self) {
        let mut newest = self.shared.objects.state().newest();
        let mut version = self.list();
        self.end_orphans();
        loop {
            if newest.changed().await.is_err() {
                return;
            }
            newest.mark_unchanged();
            version = match self.events(version) {
                Some(version) => version,
                // Too far behind to know what happened.
                None => self.list(),
            };
        }
    }

    /// Looks at all pods, and answers the version of what it saw.
    fn list(&mut self) -> u64 {
        let pods = self.shared.objects.pods();
        let (version, found) = self.shared.objects.state().read(|store| {
            let found: Vec<Arc<Value>> = store.list(pods, None).map(|(_, pod)| pod).collect();
            (store.version(), found)
        });
        let there: BTreeSet<String> = found.iter().map(|pod| meta::uid(pod).to_owned()).collect();
        self.pods.retain(|uid, _| there.contains(uid));
        for pod in found {
            self.take(&pod);
        }
        version
    }

    fn events(&mut self, version: u64) -> Option<u64> {
        let (newest, events) = self.shared.objects.state().read(|store| {
            let events = store.events_after(version).ok()?;
            let of_pods = events.filter(|event| event.key.resource == self.shared.objects.pods());
            let pods: Vec<_> = of_pods.map(|event| (event.kind, event.object.get())).collect();
            Some((store.version(), pods))
        })?;
        for (kind, pod) in events {
            if kind == EventKind::Deleted {
                self.pods.remove(meta::uid(&pod));
            } else {
                self.take(&pod);
            }
        }
        Some(newest)
    }

    fn take(&mut self, pod: &Arc<Value>) {
        if !self.shared.objects.is_ours(pod) {
            return;
        }
        let uid = meta::uid(pod);
        if let Some(known) = self.pods.get(uid) {
            known.send_replace(Some(Arc::clone(pod)));
            return;
        }
        let at = self.left.iter().position(|left| left.uid == uid);
        let left = at.map(|at| self.left.swap_remove(at));
        let has_left = left.is_some();
        let place = left.and_then(|left| left.place);
        // One that is over keeps its log until it is deleted.
        if meta::is_over(pod) && !has_left && !meta::is_deleting(pod) {
            return;
        }
        let Some(counted) = self.shared.count() else { return };
        let (changed, changes) = watch::channel(Some(Arc::clone(pod)));
        self.pods.insert(uid.to_owned(), changed);
        let living = pod::live(self.shared.clone(), Arc::clone(pod), changes, place);
        self.shared.tasks.spawn("pod", async move {
            living.await;
            drop(counted);
        });
    }

    /// Ends pods of an earlier runner that are in the API no more, while others start: their places are kept until they have gone.
    fn end_orphans(&mut self) {
        let orphans = std::mem::take(&mut self.left);
        // When all end, they go with all that was made.
        let Some(counted) = self.shared.count() else { return };
        let shared = self.shared.clone();
        self.shared.tasks.spawn("orphans", async move {
            let adopt = |left: Left| (left.place.map(|place| shared.pool.adopt(place)), left.folder);
            let orphans: Vec<_> = orphans.into_iter().map(adopt).collect();
            // All at once: who gives a place back waits for the end of its processes.
            for slot in orphans.iter().filter_map(|(slot, _)| slot.as_ref()) {
                cgroup::kill(&slot.cgroup);
            }
            for (slot, folder) in orphans {
                if shared.ending.borrow().is_some() {
                    break;
                }
                if let Some(slot) = slot {
                    shared.pool.give_back(slot).await;
                }
                let _ = tokio::task::spawn_blocking(move || fs::remove_dir_all(folder)).await;
            }
            drop(counted);
        });
    }
}
