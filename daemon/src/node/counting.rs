// SPDX-License-Identifier: Apache-2.0
//! Which pods are counted, and what they have in flight.
//!
//! Problem: the autoscaler needs one pair of counters a revision that never go back, while pods come and go; what is held
//! here and what runs on pods must not be counted twice (design 4.2).
//! Mechanism: kernel counts of the pods plus the integral of held requests; a pod that goes leaves its counts behind. Where the
//! kernel counts no pod of a revision, the path's own running requests are integrated round by round instead.
//! Invariants: a request is held or on a pod, never both; readings of a revision that stays only grow, and end with it.
//! Depends on: book, kernel, proxy.

use super::book::{Adopted, Book, Pod, PodError};
use kernel::{Backend, Counts, Kernel, Netns, PodId, PodKey, RevisionId, words};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

/// What a revision has in flight on this node.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// When: ns of CLOCK_MONOTONIC.
    pub(crate) at: u64,
    /// Request-nanoseconds in flight, on pods and held, wrapping.
    pub(crate) integral: u64,
    /// Requests begun on pods.
    pub(crate) started: u64,
    /// In flight on pods now.
    pub(crate) in_flight: u64,
    /// Held here now.
    pub(crate) held: u64,
    /// Whether the kernel counted; else this node's own requests only.
    pub(crate) is_counted: bool,
    /// In flight by pod, by uid.
    pub(crate) pods: BTreeMap<String, u64>,
    /// All that the kernel counted, on pods that are gone too; none where it does not count.
    pub(crate) counts: Option<Counts>,
}

pub(super) struct Counting {
    kernel: Option<Arc<Kernel>>,
    book: Book,
    revisions: HashMap<String, Revision>,
}

struct Revision {
    path: Arc<proxy::Revision>,
    /// The path's of the same name before, as long as they have requests.
    replaced: Vec<Weak<proxy::Revision>>,
    pods: Vec<Tracked>,
    /// Those that could not be tracked.
    untracked: Vec<Pod>,
    threshold: u64,
    /// Of pods that have gone; none: no pod has.
    gone: Option<Box<Counts>>,
    /// The path's running requests, integrated.
    running: Running,
}

struct Tracked {
    pod: Pod,
    id: Option<PodId>,
    keys: Vec<PodKey>,
    /// As they were read last: a CPU that stands in the middle of an update must not make a pod's sums vanish.
    last: Cell<Counts>,
}

#[derive(Debug, Clone, Copy)]
struct Running {
    integral: u64,
    last: u64,
}

impl Counting {
    /// With what is pinned.
    pub(super) fn adopt(kernel: Option<Arc<Kernel>>, room: &kernel::Settings) -> Self {
        let adopted = kernel.as_ref().map_or_else(Vec::new, |kernel| {
            let row = |(key, pod, _): (PodKey, PodId, u32)| Adopted {
                key,
                pod,
                revision: RevisionId(kernel.pods().get(pod).revision),
            };
            kernel.tracked().into_iter().map(row).collect()
        });
        Self {
            kernel,
            book: Book::new(room.pods, room.revisions, adopted),
            revisions: HashMap::new(),
        }
    }

    /// Tracks the pods of a revision, and forgets the others it had. Returns those that may have connections.
    pub(super) fn set_pods(
        &mut self,
        name: &str,
        path: &Arc<proxy::Revision>,
        pods: &[Pod],
    ) -> (Vec<Backend>, Vec<(String, PodError)>) {
        let mut known = self.revisions.remove(name).unwrap_or_else(|| Revision::new(path));
        known.replaced.retain(|old| old.strong_count() > 0);
        if !Arc::ptr_eq(&known.path, path) {
            known.replaced.push(Arc::downgrade(&known.path));
        }
        known.path = Arc::clone(path);
        let mut faults = Vec::new();
        known.untracked.clear();
        let (mut before, mut tracked) = (std::mem::take(&mut known.pods), Vec::new());
        for pod in pods {
            if let Some(place) = before.iter().position(|old| old.is_of(pod)) {
                let old = before.swap_remove(place);
                let netns = old.pod.netns;
                let pod = Pod { netns, ..pod.clone() };
                tracked.push(Tracked { pod, ..old });
                continue;
            }
            match self.track(name, pod) {
                Ok(new) => tracked.push(new),
                Err(fault) => {
                    faults.push((pod.uid.clone(), fault));
                    known.untracked.push(pod.clone());
                }
            }
        }
        for old in before {
            let stays = tracked.iter().find(|new| new.pod.uid == old.pod.uid);
            // One that is elsewhere now goes on with its number, and what was counted there.
            if stays.is_none()
                && let Some(counts) = self.counts(&old)
            {
                let over = counts.ended_at(kernel::monotonic());
                known.gone.get_or_insert_default().merge(&over);
            }
            self.untrack(&old, stays);
        }
        for new in &tracked {
            self.mark(new);
        }
        let backends = tracked.iter().filter_map(Tracked::backend).collect();
        known.pods = tracked;
        self.revisions.insert(name.to_owned(), known);
        let threshold = self.revisions.get(name).map_or(0, |known| known.threshold);
        self.set_threshold(name, threshold);
        (backends, faults)
    }

    /// Forgets a revision and its pods.
    pub(super) fn remove(&mut self, name: &str) {
        let Some(known) = self.revisions.remove(name) else {
            return;
        };
        for old in &known.pods {
            self.untrack(old, None);
        }
        if let (Some(id), Some(kernel)) = (self.book.release_revision(name), &self.kernel) {
            kernel.revisions().set_threshold(id, 0);
        }
    }

    /// Forgets what was pinned and nobody declared.
    pub(super) fn settle(&mut self) {
        let left = self.book.unclaimed();
        if let Some(kernel) = &self.kernel {
            for adopted in left {
                // What cannot be untracked stays tracked, and is found again by the next daemon.
                drop(kernel.untrack(&adopted.key));
            }
        }
    }

    pub(super) fn set_threshold(&mut self, name: &str, in_flight: u64) {
        if let Some(known) = self.revisions.get_mut(name) {
            known.threshold = in_flight;
        }
        if let (Some(kernel), Some(id)) = (&self.kernel, self.book.revision(name)) {
            kernel.revisions().set_threshold(id, in_flight);
        }
    }

    pub(super) fn name_of(&self, revision: RevisionId) -> Option<&str> {
        self.book.name_of(revision)
    }

    pub(super) fn reading(&self, name: &str) -> Option<Reading> {
        let known = self.revisions.get(name)?;
        let at = kernel::monotonic();
        let mut all = known.gone.as_deref().copied().unwrap_or_default();
        let mut reading = Reading {
            at,
            integral: 0,
            started: 0,
            in_flight: 0,
            held: known.path.held.now(),
            is_counted: false,
            pods: BTreeMap::new(),
            counts: None,
        };
        for tracked in &known.pods {
            let Some(counts) = self.counts(tracked) else { continue };
            reading.is_counted = true;
            reading.in_flight += counts.in_flight();
            reading.pods.insert(tracked.pod.uid.clone(), counts.in_flight());
            all.merge(&counts);
        }
        reading.integral = all.integral(at).wrapping_add(known.path.held.integral());
        reading.started = all.core.started;
        reading.counts = self.kernel.is_some().then_some(all);
        if !reading.is_counted && known.goes_by_path(self.kernel.is_some()) {
            reading.in_flight = u64::from(known.path.counts().running);
            reading.integral = reading.integral.wrapping_add(known.running.integral);
            reading.started = known.path.counters.requests.load(std::sync::atomic::Ordering::Relaxed);
        }
        Some(reading)
    }

    /// What each pod has in flight, by uid, as far as anybody here knows.
    pub(super) fn loads(&self, name: &str) -> HashMap<String, u64> {
        let known = self.revisions.get(name).into_iter();
        let each = known.flat_map(|known| known.all().map(move |pod| (known, pod)));
        each.map(|(known, (pod, tracked))| (pod.uid.clone(), self.load_of(known, pod, tracked)))
            .collect()
    }

    /// The same of one pod; 0 if it is not known.
    pub(super) fn load(&self, name: &str, uid: &str) -> u64 {
        self.revisions.get(name).map_or(0, |known| {
            let pod = known.all().find(|(pod, _)| pod.uid == uid);
            pod.map_or(0, |(pod, tracked)| self.load_of(known, pod, tracked))
        })
    }

    /// What the kernel counted of one pod, and when; none if it does not count it.
    pub(super) fn counts_of(&self, name: &str, uid: &str) -> Option<(u64, Counts)> {
        let mut pods = self.revisions.get(name)?.pods.iter();
        let tracked = pods.find(|tracked| tracked.pod.uid == uid)?;
        let at = kernel::monotonic();
        self.counts(tracked).map(|counts| (at, counts))
    }

    /// The kernel knows of those that take no gateway, the path of those that are not written yet, and of all its own where the
    /// kernel does not count.
    fn load_of(&self, known: &Revision, pod: &Pod, tracked: Option<&Tracked>) -> u64 {
        let counts = tracked.and_then(|tracked| self.counts(tracked));
        let counted = counts.map_or(0, |counts| counts.in_flight());
        // Counts are of CPUs at different instants, and may add up to nothing while one request ends and another runs; the
        // shared word is of one, but of this generation alone.
        let id = tracked.and_then(|tracked| tracked.id);
        let word = self.kernel.as_ref().zip(id);
        let word = word.map_or(0, |(kernel, id)| kernel.pods().get(id).in_flight);
        let replaced = known.replaced.iter().filter_map(Weak::upgrade);
        let replaced = replaced.map(|old| u64::from(old.running_on(pod.address)));
        let here = u64::from(known.path.running_on(pod.address)) + replaced.sum::<u64>();
        here.max(counted).max(u64::try_from(word).unwrap_or(0))
    }

    /// One round of the main loop: unless clients are moving, the path learns of what pods have in flight. Returns that by revision, for pods that
    /// are counted.
    ///
    /// While they move, the path goes by its own requests alone: it would fill up whatever pods the moved ones left empty,
    /// all pods would look alike to the kernel's choice, and stay unequal when the last client has moved.
    pub(super) fn round(&mut self, is_moving: impl Fn(&str) -> bool) -> Vec<(String, Vec<u64>)> {
        let now = kernel::monotonic();
        let mut all = Vec::new();
        for (name, known) in &mut self.revisions {
            known.running.integrate(now, known.path.counts().running);
            let Some(kernel) = self.kernel.as_ref().filter(|_| !known.pods.is_empty()) else {
                continue;
            };
            let counted: Vec<(SocketAddr, u64)> = known
                .pods
                .iter()
                .filter(|tracked| tracked.pod.takes_requests && !tracked.keys.is_empty())
                .filter_map(|tracked| {
                    let in_flight = kernel.pods().get(tracked.id?).in_flight;
                    Some((tracked.pod.address, u64::try_from(in_flight).unwrap_or(0)))
                })
                .collect();
            if counted.len() > 1 && !is_moving(name) {
                let few = |in_flight: u64| u32::try_from(in_flight).unwrap_or(u32::MAX);
                let told: Vec<_> = counted.iter().map(|(address, load)| (*address, few(*load))).collect();
                known.path.set_in_flight(&told);
            }
            all.push((name.clone(), counted.into_iter().map(|(_, load)| load).collect()));
        }
        all
    }

    fn track(&mut self, revision: &str, pod: &Pod) -> Result<Tracked, PodError> {
        let mut tracked = Tracked {
            pod: pod.clone(),
            id: None,
            keys: Vec::new(),
            last: Cell::default(),
        };
        let Some(kernel) = &self.kernel else { return Ok(tracked) };
        if let Some(netns) = &pod.netns {
            let cookie = match kernel.is_by_netns() {
                true => Netns::at(netns)?.cookie()?,
                false => 0,
            };
            tracked.keys.push(key(cookie, pod.address));
        }
        let known = self.book.pod(&pod.uid);
        let (id, revision) = match known.zip(self.book.revision(revision)) {
            // The same pod elsewhere: its number stays.
            Some(both) => both,
            None => {
                let first = tracked.keys.first();
                let claimed = self.book.claim(&pod.uid, revision, first, |id| kernel.is_open(id));
                claimed.ok_or(PodError::Full)?
            }
        };
        tracked.id = Some(id);
        // Before it is counted: what begins must be taken from where it was added.
        if kernel.pods().get(id).revision != revision.0 {
            kernel.pods().set_revision(id, revision);
        }
        for key in &tracked.keys {
            if let Err(fault) = kernel.track(*key, id, 0) {
                self.book.release(&pod.uid);
                return Err(fault.into());
            }
        }
        Ok(tracked)
    }

    /// `stays`: the same pod, as it is tracked now; it keeps its number.
    fn untrack(&mut self, old: &Tracked, stays: Option<&Tracked>) {
        let is_kept = |key: &&PodKey| stays.is_some_and(|new| new.keys.contains(key));
        if let Some(kernel) = &self.kernel {
            for key in old.keys.iter().filter(|key| !is_kept(key)) {
                // As in `settle`.
                drop(kernel.untrack(key));
            }
        }
        if stays.is_none() {
            self.book.release(&old.pod.uid);
        }
    }

    /// No new connection, wherever the pod is listed still.
    fn mark(&self, tracked: &Tracked) {
        if let (Some(kernel), Some(id)) = (&self.kernel, tracked.id) {
            kernel.pods().set_draining(id, !tracked.pod.takes_requests);
        }
    }

    /// None: the kernel does not count it.
    fn counts(&self, tracked: &Tracked) -> Option<Counts> {
        let kernel = self.kernel.as_ref().filter(|_| !tracked.keys.is_empty())?;
        let now = kernel.counts(tracked.id?).unwrap_or_else(|_| tracked.last.get());
        tracked.last.set(now);
        Some(now)
    }
}

impl Revision {
    fn new(path: &Arc<proxy::Revision>) -> Self {
        Self {
            path: Arc::clone(path),
            replaced: Vec::new(),
            pods: Vec::new(),
            untracked: Vec::new(),
            threshold: 0,
            gone: None,
            running: Running {
                integral: 0,
                last: kernel::monotonic(),
            },
        }
    }

    /// Whether the path's own requests are what is known, if no pod is counted: without any pod there are none on pods.
    fn goes_by_path(&self, has_kernel: bool) -> bool {
        !has_kernel || self.all().next().is_some()
    }

    /// All pods, those that could not be tracked last.
    fn all(&self) -> impl Iterator<Item = (&Pod, Option<&Tracked>)> {
        let tracked = self.pods.iter().map(|tracked| (&tracked.pod, Some(tracked)));
        tracked.chain(self.untracked.iter().map(|pod| (pod, None)))
    }
}

impl Tracked {
    /// Whether nothing changes for the kernel. A pod that ends has no place any more before it leaves the list: what it
    /// did where it was still counts.
    fn is_of(&self, pod: &Pod) -> bool {
        let is_there = pod.netns.is_none() || pod.netns == self.pod.netns;
        is_there && (&pod.uid, pod.address) == (&self.pod.uid, self.pod.address)
    }

    fn backend(&self) -> Option<Backend> {
        let pod = self.id.filter(|_| self.pod.takes_requests)?;
        Some(Backend {
            to: self.pod.address,
            pod,
            is_remote: self.pod.is_remote,
            room: 0,
        })
    }
}

impl Running {
    fn integrate(&mut self, now: u64, running: u32) {
        let time = now.saturating_sub(self.last);
        self.integral = self.integral.wrapping_add(time.wrapping_mul(running.into()));
        self.last = now;
    }
}

fn key(cookie: u64, address: SocketAddr) -> PodKey {
    let addr = match cookie {
        0 => words(address.ip()),
        _ => [0; 4],
    };
    PodKey {
        netns: cookie,
        addr,
        port: address.port(),
        ..PodKey::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_whose_pods_cannot_be_tracked_is_not_taken_for_idle() {
        let path = proxy::Revision::new(
            proxy::Identity::default(),
            proxy::Timeouts::default(),
            logic::limiter::Settings::new(0),
        );
        let mut revision = Revision::new(&path);
        assert!(!revision.goes_by_path(true), "without a pod");
        revision.untracked.push(Pod {
            uid: "u".to_owned(),
            address: SocketAddr::from(([10, 0, 0, 1], 8080)),
            netns: None,
            takes_requests: true,
            is_remote: false,
        });
        assert!(revision.goes_by_path(true));
    }
}
