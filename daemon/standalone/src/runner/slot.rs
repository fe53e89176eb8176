// SPDX-License-Identifier: Apache-2.0
//! Places for pods, some of them prepared: network, cgroup, and a process that waits for a plan.
//!
//! Problem: a namespace, a device and a move between cgroups take longer than the start of a program.
//! Mechanism: a pool keeps a few slots ready; who takes one leaves the making of the next to a thread. The process of a
//! slot waits in the pod's cgroup and network already. None is made ready while a pod starts: they would share the CPU.
//! Invariants: a slot belongs to one pod, and its address is given out again as late as possible; a slot that is given
//! back leaves nothing behind; one that is dropped with a pod leaves the pod to the next runner.
//! Depends on: settings, network, cgroup, life.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::cgroup::Cgroups;
use super::network;
use super::plan;
use super::settings::Settings;

/// The container that a prepared process waits for.
const FIRST: &str = "0";
/// How long after one was taken no slot is made ready: the time in which a pod starts.
const STARTING: Duration = Duration::from_millis(30);
/// The longest wait for such a time, however many pods start.
const LONGEST: Duration = Duration::from_secs(1);

/// A holder of a container, before it has a plan.
#[derive(Debug)]
pub(super) struct Holder {
    /// Its process.
    pub child: Child,
    /// Where it waits for the plan, and tells of its start.
    pub socket: UnixStream,
    /// The container's cgroup.
    pub cgroup: PathBuf,
}

/// A place for a pod.
#[derive(Debug)]
pub(super) struct Slot {
    /// Which: part of the names of device and cgroup.
    pub place: u32,
    /// The pod's address.
    pub ip: Ipv4Addr,
    /// Its network namespace.
    pub netns: PathBuf,
    /// Its cgroup.
    pub cgroup: PathBuf,
    holder: Option<Holder>,
    ground: Arc<Ground>,
    /// Whether it stays when this is dropped: a runner that goes leaves its pods.
    stays: bool,
}

impl Slot {
    /// The process for one of the pod's containers: the waiting one, which is in the first container's cgroup, or a new one.
    ///
    /// # Errors
    /// If none can be started.
    pub(super) fn holder(&mut self, container: usize) -> io::Result<Holder> {
        let container = container.to_string();
        if container == FIRST
            && let Some(mut holder) = self.holder.take()
            && matches!(holder.child.try_wait(), Ok(None))
        {
            return Ok(holder);
        }
        self.ground.hold(self.place, &container)
    }

    /// How it is named among cgroups.
    #[must_use]
    pub(super) fn name(&self) -> String {
        name(self.place)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(mut holder) = self.holder.take() {
            // It ends by itself when its socket closes.
            drop(holder.socket);
            let _ = holder.child.wait();
        }
        if !self.stays {
            self.ground.clear(self.place);
        }
    }
}

fn name(place: u32) -> String {
    format!("pod-{place}")
}

/// What slots are made of.
#[derive(Debug)]
struct Ground {
    settings: Settings,
    cgroups: Cgroups,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    used: BTreeSet<u32>,
    next: u32,
}

impl Ground {
    fn claim(&self) -> io::Result<u32> {
        let mut places = lock(&self.places);
        let room = self.settings.range.room();
        let free = (0..room)
            .map(|step| (places.next + step) % room)
            .find(|place| !places.used.contains(place));
        let place =
            free.ok_or_else(|| io::Error::other("no address is free for another pod: widen the pods' range"))?;
        places.used.insert(place);
        places.next = (place + 1) % room;
        Ok(place)
    }

    fn netns(&self, place: u32) -> PathBuf {
        self.settings.networks().join(name(place))
    }

    fn device(&self, place: u32) -> String {
        format!("{}{place}", self.settings.prefix)
    }

    fn make(self: &Arc<Self>) -> io::Result<Slot> {
        let place = self.claim()?;
        let mut slot = self.slot(place);
        let range = self.settings.range;
        if network::is_there(&slot.netns, &self.device(place)) {
            // What a killed runner had prepared, and nobody lives in.
            self.remove(place);
        }
        network::make_pod(
            &slot.netns,
            &self.settings.bridge(),
            &self.device(place),
            slot.ip,
            range,
        )?;
        slot.holder = Some(self.hold(place, FIRST)?);
        Ok(slot)
    }

    fn slot(self: &Arc<Self>, place: u32) -> Slot {
        Slot {
            place,
            ip: self.settings.range.pod(place),
            netns: self.netns(place),
            cgroup: self.cgroups.pod(&name(place)),
            holder: None,
            ground: Arc::clone(self),
            stays: false,
        }
    }

    fn hold(&self, place: u32, container: &str) -> io::Result<Holder> {
        let cgroup = self.cgroups.container(&name(place), container)?;
        let (ours, theirs) = UnixStream::pair()?;
        let (program, arguments) = &self.settings.starter;
        let child = Command::new(program)
            .args(arguments)
            .args([plan::COMMAND, "hold"])
            .args([self.cgroups.holders(), self.netns(place), cgroup.clone()])
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        Ok(Holder {
            child,
            socket: ours,
            cgroup,
        })
    }

    fn remove(&self, place: u32) {
        self.cgroups.end(&name(place));
        network::remove_pod(&self.netns(place), &self.device(place));
    }

    fn clear(&self, place: u32) {
        self.remove(place);
        lock(&self.places).used.remove(&place);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Until when no slot is made ready after one was `taken`.
fn rest(taken: Instant, latest: Instant, now: Instant) -> Option<Instant> {
    Some((taken + STARTING).min(latest)).filter(|until| *until > now)
}

/// The slots that are ready.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    ground: Arc<Ground>,
    ready: Arc<Mutex<VecDeque<Slot>>>,
    filling: Arc<tokio::sync::Semaphore>,
    is_closing: Arc<AtomicBool>,
    /// When the last one was taken, or had to be made for a pod that waits.
    taken: Arc<Mutex<Option<Instant>>>,
}

impl Pool {
    /// A pool that is still empty.
    #[must_use]
    pub(super) fn new(settings: Settings, cgroups: Cgroups) -> Self {
        let ground = Ground {
            settings,
            cgroups,
            places: Mutex::default(),
        };
        Self {
            ground: Arc::new(ground),
            ready: Arc::default(),
            filling: Arc::new(tokio::sync::Semaphore::new(1)),
            is_closing: Arc::default(),
            taken: Arc::default(),
        }
    }

    /// The pods' cgroups.
    #[must_use]
    pub(super) fn cgroups(&self) -> &Cgroups {
        &self.ground.cgroups
    }

    /// A slot: a ready one, or one that is made now.
    ///
    /// # Errors
    /// If none is ready and none can be made.
    pub(super) async fn take(&self) -> io::Result<Slot> {
        *lock(&self.taken) = Some(Instant::now());
        let ready = lock(&self.ready).pop_front();
        let mut slot = match ready {
            Some(slot) => slot,
            None => {
                let ground = Arc::clone(&self.ground);
                tokio::task::spawn_blocking(move || ground.make())
                    .await
                    .map_err(io::Error::other)??
            }
        };
        slot.stays = true;
        *lock(&self.taken) = Some(Instant::now());
        Ok(slot)
    }

    /// Whether a pod of a runner before may live in a place: it has its cgroup, unless the machine was started anew.
    #[must_use]
    pub(super) fn is_inhabited(&self, place: u32) -> bool {
        self.ground.cgroups.pod(&name(place)).exists()
    }

    /// Keeps the places of pods that a runner before has left: no slot is made there until somebody adopts them.
    /// What is found in a place that nobody has is removed, so this comes before the first slot is made.
    pub(super) fn reserve(&self, left: impl Iterator<Item = u32>) {
        lock(&self.ground.places).used.extend(left);
    }

    /// The slot of a pod that was started by a runner before.
    #[must_use]
    pub(super) fn adopt(&self, place: u32) -> Slot {
        lock(&self.ground.places).used.insert(place);
        let mut slot = self.ground.slot(place);
        slot.stays = true;
        slot
    }

    /// Gives a slot back, which takes some time on another thread.
    pub(super) async fn give_back(&self, mut slot: Slot) {
        slot.stays = false;
        // A thread that panicked has been counted; the slot's `Drop` ran.
        let _ = tokio::task::spawn_blocking(move || drop(slot)).await;
    }

    /// Makes slots until as many are ready as the settings say.
    ///
    /// # Errors
    /// If one cannot be made.
    pub(super) async fn fill(&self) -> io::Result<()> {
        let Ok(_one) = self.filling.acquire().await else {
            return Ok(());
        };
        while lock(&self.ready).len() < self.ground.settings.warm {
            self.until_pods_have_started().await;
            if self.is_closing.load(Ordering::Relaxed) {
                break;
            }
            let ground = Arc::clone(&self.ground);
            let slot = tokio::task::spawn_blocking(move || ground.make())
                .await
                .map_err(io::Error::other)??;
            lock(&self.ready).push_back(slot);
        }
        Ok(())
    }

    async fn until_pods_have_started(&self) {
        let latest = Instant::now() + LONGEST;
        while !self.is_closing.load(Ordering::Relaxed) {
            let taken = *lock(&self.taken);
            match taken.and_then(|taken| rest(taken, latest, Instant::now())) {
                Some(until) => sleep_until(until).await,
                None => return,
            }
        }
    }

    /// Makes no more, waits for the one that is being made, and drops what is ready.
    pub(super) async fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        if let Ok(_one) = self.filling.acquire().await {
            self.filling.close();
        }
        let ready = std::mem::take(&mut *lock(&self.ready));
        // Their processes and networks take some time to go.
        let _ = tokio::task::spawn_blocking(move || drop(ready)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_made_ready_when_pods_have_started_or_at_the_latest_then() {
        let now = Instant::now();
        let latest = now + LONGEST;
        assert_eq!(rest(now, latest, now), Some(now + STARTING));
        assert_eq!(rest(now, latest, now + STARTING), None);
        let last = latest - STARTING / 2;
        assert_eq!(rest(last, latest, last), Some(latest));
        assert_eq!(rest(latest, latest, latest), None);
    }
}
