// SPDX-License-Identifier: Apache-2.0
//! Where clients inside the cluster go: targets, their mode, and asking clients to come anew.
//!
//! Mechanism: a target is direct while its own facts and its revision's say so, the revision has pods, and the pods share the
//! load; else buffered. A change of pods writes the list and then the word; a flip writes the word alone. A flip to direct
//! sends the clients of the gateway off, so that they move. A revision that gets pods while it is direct is buffered until
//! they share the load: requests are then spread one by one, as connections are not (docs/decisions/0015).
//! Invariants: a word is written only when it changes; without pods nothing is direct.
//! Depends on: balance, kernel, proxy, logic::data_path.

use super::balance::Shares;
use kernel::{Backend, Kernel, Mode, TargetError};
use logic::data_path::{DataPath, Reason};
use proxy::{Leads, Origin};
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long clients take to move after a flip, about: twice what the path gives them to leave.
const HAND_OVER: Duration = Duration::from_secs(2);

/// What an address is for.
#[derive(Clone)]
pub(crate) struct Aim {
    /// Where the gateway sends requests of its clients.
    pub(crate) leads: Leads,
    /// The revision that has all of its traffic.
    pub(crate) revision: Option<String>,
    /// What is known of the route.
    pub(crate) path: DataPath,
}

/// How a target stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The address.
    pub(crate) address: SocketAddr,
    /// The way of new connections.
    pub(crate) path: DataPath,
    /// Clients of it that are connected to the gateway.
    pub(crate) connections: usize,
}

/// Addresses by which the gateway knows redirected clients.
#[derive(Default)]
pub(super) struct Origins(RwLock<HashMap<SocketAddr, Arc<Origin>>>);

impl Origins {
    pub(super) fn get(&self, target: SocketAddr) -> Option<Arc<Origin>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&target).map(Arc::clone)
    }

    fn change(&self, target: SocketAddr, origin: Option<Arc<Origin>>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match origin {
            Some(origin) => drop(known.insert(target, origin)),
            None => drop(known.remove(&target)),
        }
    }
}

pub(super) struct Steering {
    kernel: Option<Arc<Kernel>>,
    origins: Arc<Origins>,
    revisions: HashMap<String, Revision>,
    targets: HashMap<SocketAddr, Target>,
    /// The targets of each revision that is all of their traffic.
    by_revision: HashMap<String, BTreeSet<SocketAddr>>,
}

struct Revision {
    pods: Vec<Backend>,
    path: DataPath,
    /// Pods came while it was direct, and do not share the load yet.
    unbalanced: Option<Shares>,
    /// When it became direct last.
    flipped: Option<Instant>,
}

struct Target {
    origin: Arc<Origin>,
    aim: Aim,
    /// What the kernel has been told.
    mode: Mode,
}

impl Default for Revision {
    fn default() -> Self {
        Self {
            pods: Vec::new(),
            path: DataPath::from_reasons(vec![Reason::NotScaled]),
            unbalanced: None,
            flipped: None,
        }
    }
}

impl Steering {
    pub(super) fn new(kernel: Option<Arc<Kernel>>, origins: Arc<Origins>) -> Self {
        Self {
            kernel,
            origins,
            revisions: HashMap::new(),
            targets: HashMap::new(),
            by_revision: HashMap::new(),
        }
    }

    /// New pods of a revision: the list, then the word, for each of its targets.
    pub(super) fn set_pods(&mut self, name: &str, pods: Vec<Backend>) {
        let is_direct = self.is_direct(name);
        let known = self.revisions.entry(name.to_owned()).or_default();
        if known.pods == pods {
            return;
        }
        let is_new = |pod: &Backend| known.pods.iter().all(|old| old.to != pod.to);
        // The next rounds see whether they share the load.
        if is_direct && pods.iter().any(is_new) {
            known.unbalanced = Some(Shares::default());
        }
        known.pods = pods;
        for address in self.targets_of(name) {
            // The list before stays valid as far as its pods are there; draining pods are passed over.
            drop(self.write(address));
        }
    }

    pub(super) fn remove_revision(&mut self, name: &str) {
        self.revisions.remove(name);
        for address in self.targets_of(name) {
            drop(self.write(address));
        }
    }

    /// What is known of a revision has changed.
    pub(super) fn flip(&mut self, name: &str, path: DataPath) {
        self.revisions.entry(name.to_owned()).or_default().path = path;
        self.rethink(name);
    }

    /// What a revision's pods have in flight, counted a moment ago.
    pub(super) fn balance(&mut self, name: &str, loads: &[u64]) {
        let Some(known) = self.revisions.get_mut(name) else {
            return;
        };
        if known.unbalanced.as_mut().is_some_and(|shares| shares.take(loads)) {
            known.unbalanced = None;
            self.rethink(name);
        }
    }

    /// Whether clients are moving from the gateway to the pods.
    pub(super) fn hands_over(&self, name: &str) -> bool {
        let flipped = self.revisions.get(name).and_then(|known| known.flipped);
        flipped.is_some_and(|flipped| flipped.elapsed() < HAND_OVER)
    }

    pub(super) fn set_target(&mut self, address: SocketAddr, aim: Aim) -> Result<(), TargetError> {
        self.note(address, aim.revision.as_deref());
        match self.targets.get_mut(&address) {
            Some(target) => {
                let is_same = target.aim.revision == aim.revision;
                target.origin.lead(aim.leads.clone());
                target.aim = aim;
                if is_same {
                    self.set_mode(address);
                    return Ok(());
                }
            }
            None => {
                let origin = Origin::new(aim.leads.clone());
                self.origins.change(address, Some(Arc::clone(&origin)));
                let mode = Mode::Off;
                self.targets.insert(address, Target { origin, aim, mode });
            }
        }
        self.write(address)
    }

    /// Of which revision a target is from now on.
    fn note(&mut self, address: SocketAddr, revision: Option<&str>) {
        let before = self
            .targets
            .get(&address)
            .and_then(|target| target.aim.revision.clone());
        if before.as_deref() == revision {
            // One that is new and of none is in no list either.
            return;
        }
        if let Some(before) = before
            && let Some(addresses) = self.by_revision.get_mut(&before)
        {
            addresses.remove(&address);
            if addresses.is_empty() {
                self.by_revision.remove(&before);
            }
        }
        if let Some(revision) = revision {
            self.by_revision.entry(revision.to_owned()).or_default().insert(address);
        }
    }

    pub(super) fn remove_target(&mut self, address: SocketAddr) {
        self.note(address, None);
        let Some(target) = self.targets.remove(&address) else {
            return;
        };
        if let Some(kernel) = &self.kernel {
            // It was never there.
            drop(kernel.remove_target(address));
        }
        self.origins.change(address, None);
        target.origin.send_off();
    }

    /// Targets of a daemon before that nobody has declared.
    pub(super) fn settle(&mut self) {
        let Some(kernel) = &self.kernel else { return };
        for (address, _, _) in kernel.targets() {
            if !self.targets.contains_key(&address) {
                // As above.
                drop(kernel.remove_target(address));
            }
        }
    }

    /// Nobody is sent to a gateway that is about to end.
    pub(super) fn leave(&mut self) {
        for (address, target) in &mut self.targets {
            if let (Some(kernel), Mode::Buffered) = (&self.kernel, target.mode) {
                drop(kernel.set_mode(*address, Mode::Off));
                target.mode = Mode::Off;
            }
        }
    }

    pub(super) fn standing(&self) -> Vec<Standing> {
        let row = |(address, target): (&SocketAddr, &Target)| Standing {
            address: *address,
            path: self.path(&target.aim),
            connections: target.origin.connections(),
        };
        let mut all: Vec<Standing> = self.targets.iter().map(row).collect();
        all.sort_unstable_by_key(|standing| standing.address);
        all
    }

    fn is_direct(&self, name: &str) -> bool {
        let mut targets = self
            .targets_of(name)
            .into_iter()
            .filter_map(|address| self.targets.get(&address));
        targets.any(|target| target.mode == Mode::Direct)
    }

    fn targets_of(&self, name: &str) -> Vec<SocketAddr> {
        self.by_revision.get(name).into_iter().flatten().copied().collect()
    }

    fn rethink(&mut self, name: &str) {
        for address in self.targets_of(name) {
            self.set_mode(address);
        }
    }

    /// How clients of a revision come to it, whatever their address adds; none: it is not known.
    pub(super) fn way(&self, name: &str) -> Option<DataPath> {
        let is_known = self.revisions.contains_key(name);
        is_known.then(|| self.beside(DataPath::Direct, Some(name)))
    }

    /// All that speaks against a direct way.
    fn path(&self, aim: &Aim) -> DataPath {
        self.beside(aim.path.clone(), aim.revision.as_deref())
    }

    /// What the node, the revision and its pods add to the reasons there are.
    fn beside(&self, mut path: DataPath, revision: Option<&str>) -> DataPath {
        if self.kernel.is_none() {
            path = path.with(Reason::Kernel);
        }
        let Some(name) = revision else { return path };
        let Some(revision) = self.revisions.get(name) else {
            return path.with(Reason::UnknownRevision);
        };
        if let DataPath::Buffered(reasons) = &revision.path {
            path = reasons.iter().fold(path, |path, reason| path.with(*reason));
        }
        if revision.pods.is_empty() {
            path = path.with(Reason::NoPods);
        }
        match revision.unbalanced.is_some() {
            true => path.with(Reason::Unbalanced),
            false => path,
        }
    }

    fn mode(&self, aim: &Aim) -> Mode {
        match self.path(aim).is_direct() && aim.revision.is_some() {
            true => Mode::Direct,
            false => Mode::Buffered,
        }
    }

    /// The word alone, if it changes.
    fn set_mode(&mut self, address: SocketAddr) {
        let Some(wanted) = self.targets.get(&address).map(|target| self.mode(&target.aim)) else {
            return;
        };
        let (Some(kernel), Some(target)) = (&self.kernel, self.targets.get(&address)) else {
            return;
        };
        if target.mode != wanted && kernel.set_mode(address, wanted).is_ok() {
            self.flipped(address, wanted);
        }
    }

    /// The list, then the word.
    fn write(&mut self, address: SocketAddr) -> Result<(), TargetError> {
        let Some(target) = self.targets.get(&address) else {
            return Ok(());
        };
        let wanted = self.mode(&target.aim);
        let revision = target.aim.revision.as_ref().and_then(|name| self.revisions.get(name));
        let pods = revision.map_or(&[][..], |revision| &revision.pods);
        if let Some(kernel) = &self.kernel {
            kernel.set_backends(address, wanted, pods)?;
            self.flipped(address, wanted);
        }
        Ok(())
    }

    /// The kernel has been told.
    fn flipped(&mut self, address: SocketAddr, mode: Mode) {
        let Some(target) = self.targets.get_mut(&address) else {
            return;
        };
        if mode == Mode::Direct && target.mode != Mode::Direct {
            target.origin.send_off();
            let revision = target.aim.revision.as_ref();
            if let Some(known) = revision.and_then(|name| self.revisions.get_mut(name)) {
                known.flipped = Some(Instant::now());
            }
        }
        target.mode = mode;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::PodId;

    fn aim(revision: &str) -> Aim {
        Aim {
            leads: Leads::Host("a".into()),
            revision: Some(revision.to_owned()),
            path: DataPath::Direct,
        }
    }

    fn pod(port: u16) -> Backend {
        Backend {
            to: SocketAddr::from(([10, 0, 0, 1], port)),
            pod: PodId(port.into()),
            is_remote: false,
            room: 0,
        }
    }

    fn reasons(steering: &Steering) -> Vec<&'static str> {
        match steering.standing().pop().map(|standing| standing.path) {
            Some(DataPath::Buffered(reasons)) => reasons.iter().map(Reason::word).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_target_tells_what_its_node_its_revision_and_its_pods_lack() {
        let mut steering = Steering::new(None, Arc::default());
        let address = SocketAddr::from(([10, 96, 0, 1], 80));
        steering.set_target(address, aim("blue")).unwrap();
        assert_eq!(reasons(&steering), ["Kernel", "UnknownRevision"]);
        assert_eq!(steering.way("blue"), None);
        steering.set_pods("blue", Vec::new());
        assert_eq!(reasons(&steering), ["Kernel", "NoPods", "NotScaled"]);
        steering.set_pods("blue", vec![pod(1)]);
        steering.flip("blue", DataPath::Direct);
        assert_eq!(reasons(&steering), ["Kernel"]);
        assert_eq!(steering.way("blue").map(|way| way.reason()), Some("Kernel"));
        assert!(steering.origins.get(address).is_some());
        assert_eq!(steering.targets_of("blue"), [address]);
        steering.set_target(address, aim("green")).unwrap();
        assert!(steering.targets_of("blue").is_empty() && steering.by_revision.len() == 1);
        steering.remove_target(address);
        assert!(steering.by_revision.is_empty());
        assert!(steering.origins.get(address).is_none() && steering.standing().is_empty());
    }

    #[test]
    fn a_target_without_one_revision_is_never_direct() {
        let steering = Steering::new(None, Arc::default());
        let split = Aim {
            revision: None,
            ..aim("")
        };
        assert_eq!(steering.mode(&split), Mode::Buffered);
    }
}
