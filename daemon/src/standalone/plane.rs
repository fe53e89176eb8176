// SPDX-License-Identifier: Apache-2.0
//! The data plane of this process, kept like the programme of the controllers.
//!
//! Problem: the request path and the kernel must agree on revisions, pods, routes and addresses, and a change of one pod
//! must not cost a look at all services.
//! Mechanism: two programmes share what did not change, so the difference is found by comparing pointers; the kernel is told
//! first, because a connection that stands before its pod is tracked is never counted.
//! The table of routes is built as a whole, so its changes are taken together while others come: most of the time is left
//! for the rest, and pods are told of at once.
//! Invariants: certificates before the routes that send clients to them, routes before the revisions that they no longer
//! lead to; a version is told as running only when all of it does; a pod that had requests stays listed while it runs.
//! Depends on: control (gateway), proxy, node, live.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::standalone::runner::RunningPod;
use api::names::serving;
use control::gateway::{Backend, BackendPod, BackendTimeouts, Programme, Target};
use control::key::Key;
use life::Tasks;
use logic::data_path::Protocol;
use logic::traffic::{Destination, PathRule, Rule};
use proxy::{
    Certificate, Certificates, Identity, Leads, Limits, PodProtocol, Revision, Revisions, Tables, Timeouts, Visibility,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::figures::Figures;
use super::live::{Listed, Told};
use super::ports::Ports;
use crate::node::{Aim, Node, Pod};

/// So many times as long as a table of routes took to build, the next one waits.
const REST: u32 = 9;
/// The longest wait.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// What runs.
pub(super) struct Plane {
    pub(super) node: Arc<Node>,
    pub(super) told: Arc<Told>,
    pub(super) figures: Arc<Figures>,
    pub(super) revisions: Arc<Revisions>,
    pub(super) tables: Tables,
    pub(super) certificates: Arc<Certificates>,
    /// Of what waits for a revision.
    pub(super) limits: Limits,
    /// As it was applied last.
    pub(super) before: Arc<Programme>,
    /// The namespaces of pods that run here, by UID.
    pub(super) namespaces: HashMap<String, PathBuf>,
    /// Those that ran before there was a programme.
    pub(super) found: Vec<RunningPod>,
    pub(super) known: HashMap<Key, (Kept, Arc<Revision>)>,
    pub(super) routed: Routed,
    /// Whether the routes of a first whole programme are in the table.
    pub(super) open: watch::Sender<bool>,
    /// Revisions that are gone, and had these pods: they finish what they have.
    pub(super) parting: HashMap<Key, Backend>,
    /// Pods of revisions that are gone, and have others by their names now: they, too, finish what they have.
    pub(super) left: HashMap<Key, Vec<BackendPod>>,
    /// The ports of the pods beside those of their applications.
    pub(super) ports: Ports,
    /// What the path had for revisions that are others by the same name now, as long as it has requests.
    pub(super) replaced: Vec<(Key, Arc<Revision>)>,
}

/// How far the table of routes has come.
#[derive(Default)]
pub(super) struct Routed {
    /// The version of the routes in it; none before the first.
    version: Option<u64>,
    /// When the next may be built; none: at once.
    next: Option<Instant>,
    /// Revisions that are gone, though the table may still lead to them.
    gone: Vec<Key>,
}

impl Routed {
    /// Until when a change waits.
    fn rests_until(&self, programme: &Programme) -> Option<Instant> {
        let is_due = self.version == Some(programme.routes_version);
        self.next.filter(|next| !is_due && *next > Instant::now())
    }
}

/// What makes a revision another one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    identity: Identity,
    concurrency: u32,
    timeouts: Timeouts,
    protocol: PodProtocol,
}

impl Plane {
    /// Keeps it until the end.
    pub(super) async fn follow(
        mut self,
        mut programmes: watch::Receiver<Arc<Programme>>,
        mut running: watch::Receiver<Vec<RunningPod>>,
        tasks: Tasks,
    ) {
        loop {
            // In this order: a pod runs somewhere before it is listed.
            let programme = Arc::clone(&programmes.borrow_and_update());
            let moved = self.take(&running.borrow_and_update());
            self.apply(&programme, &moved);
            let rest = self.routed.rests_until(&programme);
            let is_over = tokio::select! {
                changed = programmes.changed() => changed.is_err(),
                changed = running.changed() => changed.is_err(),
                () = sleep_until(rest.unwrap_or_else(Instant::now)), if rest.is_some() => false,
                () = tasks.draining() => true,
            };
            if is_over {
                return;
            }
        }
    }

    /// Notes where pods run; which UIDs are new.
    fn take(&mut self, running: &[RunningPod]) -> Vec<String> {
        if self.before.version == 0 {
            self.found = running.to_vec();
        }
        let now: HashMap<_, _> = running.iter().map(|pod| (pod.uid.clone(), pod.netns.clone())).collect();
        let new = now.keys().filter(|uid| !self.namespaces.contains_key(*uid));
        let new: Vec<_> = new.cloned().collect();
        self.namespaces = now;
        let namespaces = &self.namespaces;
        self.ports.retain(|uid| namespaces.contains_key(uid));
        new
    }

    fn apply(&mut self, programme: &Arc<Programme>, moved: &[String]) {
        let before = Arc::clone(&self.before);
        let is_first = before.version == 0;
        if programme.certificates_version != before.certificates_version || is_first {
            self.certify(programme);
        }
        let changed: Vec<Key> = programme
            .backends
            .changes(&before.backends)
            .into_iter()
            .map(|(key, _)| key.clone())
            .collect();
        // Pods whose namespace was not known when they were told of.
        let late = programme.backends.iter().filter(|(_, backend)| {
            let mut pods = backend.pods.iter();
            pods.any(|pod| moved.iter().any(|uid| **uid == *pod.uid))
        });
        let late: Vec<Key> = match moved.is_empty() {
            true => Vec::new(),
            false => late.map(|(key, _)| key.clone()).collect(),
        };
        if is_first && programme.version > 0 {
            self.find_left(programme);
        }
        let over = self
            .left
            .iter()
            .filter(|(_, pods)| !pods.iter().all(|pod| self.runs(pod)));
        let over: Vec<Key> = over.map(|(key, _)| key.clone()).collect();
        for key in changed.iter().chain(&late).chain(&over) {
            let old = before.backends.get(key).map(|old| &**old);
            match (programme.backends.get(key), old) {
                (Some(backend), old) => {
                    self.leave(key, backend, old);
                    self.set(key, &self.with_left(key, backend));
                }
                // Until no route leads to it, its pods take requests as before.
                (None, Some(old)) => {
                    let all = self.with_left(key, old).into_owned();
                    self.left.remove(key);
                    self.parting.entry(key.clone()).or_insert(all);
                }
                (None, None) => {}
            }
        }
        for (key, target) in programme.targets.changes(&before.targets) {
            self.aim(before.targets.get(key).map(|old| &**old), target.map(|new| &**new));
        }
        let touched = changed.iter().chain(&late).chain(&over);
        let listing = touched.map(|key| {
            let backend = programme.backends.get(key).map(|backend| self.with_left(key, backend));
            let backend = backend.or_else(|| self.parting.get(key).map(Cow::Borrowed));
            (key, listed(key, backend.as_deref()))
        });
        self.told.list(listing);
        let gone = changed.into_iter().filter(|key| programme.backends.get(key).is_none());
        self.routed.gone.extend(gone);
        if is_first && programme.version > 0 {
            self.list_parting();
            self.node.settle();
        }
        self.before = Arc::clone(programme);
        if self.routed.rests_until(programme).is_none() {
            self.route_if_changed(programme);
            if programme.version > 0 {
                self.open.send_if_modified(|open| !std::mem::replace(open, true));
            }
            for key in std::mem::take(&mut self.routed.gone) {
                // It may have come back meanwhile.
                if programme.backends.get(&key).is_some() {
                    continue;
                }
                match self.has_parted(&key) {
                    false => self.routed.gone.push(key),
                    true => self.forget(&key),
                }
            }
            self.told.runs(programme.version);
        }
    }

    fn route_if_changed(&mut self, programme: &Programme) {
        if self.routed.version == Some(programme.routes_version) {
            return;
        }
        let begun = Instant::now();
        self.route(programme);
        let rest = begun.elapsed().saturating_mul(REST).min(LONGEST_REST);
        self.routed.version = Some(programme.routes_version);
        self.routed.next = Some(Instant::now() + rest);
    }

    fn certify(&self, programme: &Programme) {
        let wanted = programme.certificates.iter().map(|(key, certificate)| Certificate {
            source: format!("Secret {key}"),
            names: certificate.names.to_vec(),
            chain_pem: certificate.chain.to_vec(),
            key_pem: certificate.key.to_vec(),
        });
        for fault in self.certificates.replace(wanted.collect()) {
            eprintln!("error: {fault}");
        }
    }

    fn route(&self, programme: &Programme) {
        let redirected: HashSet<_> = programme.redirected().into_iter().collect();
        // Of two Ingresses that want a host the older one has it.
        let mut ingresses: Vec<_> = programme.routes.iter().collect();
        ingresses.sort_by_key(|(key, rules)| (rules.created, *key));
        let rules = ingresses.into_iter().flat_map(|(_, rules)| {
            let public = rules.public.iter().map(|rule| (Visibility::External, rule));
            public.chain(rules.private.iter().map(|rule| (Visibility::ClusterLocal, rule)))
        });
        let rules = rules.map(|(visibility, rule)| (visibility, secured(rule.clone(), &redirected)));
        for refusal in self.tables.replace(rules.collect()) {
            eprintln!("error: {refusal}");
        }
    }

    fn runs(&self, pod: &BackendPod) -> bool {
        self.namespaces.contains_key(&*pod.uid)
    }

    /// Notes what a daemon before this one left of revisions that were deleted: it may have requests.
    fn find_left(&mut self, programme: &Programme) {
        let all = programme.backends.iter().flat_map(|(_, backend)| &backend.pods);
        let known: HashSet<&str> = all.map(|pod| &*pod.uid).collect();
        for pod in std::mem::take(&mut self.found) {
            if known.contains(&*pod.uid) {
                continue;
            }
            let (Some(name), Some(port)) = (pod.labels.get(serving::REVISION), pod.port) else {
                continue;
            };
            let key = Key::new(&pod.namespace, name);
            let own = BackendPod {
                address: SocketAddr::from((pod.ip, port)),
                uid: pod.uid.as_str().into(),
                name: pod.name.as_str().into(),
                node: Box::default(),
                is_ready: false,
                is_ending: true,
            };
            match programme.backends.get(&key).is_some() {
                true => self.left.entry(key).or_default().push(own),
                false => self.parting.entry(key).or_insert_with(|| gone(&pod)).pods.push(own),
            }
        }
    }

    /// Tells of revisions that nobody else tells of.
    fn list_parting(&mut self) {
        let parting = std::mem::take(&mut self.parting);
        for (key, backend) in &parting {
            self.set(key, backend);
        }
        let listing = parting.iter().map(|(key, backend)| (key, listed(key, Some(backend))));
        self.told.list(listing);
        self.routed.gone.extend(parting.keys().cloned());
        self.parting = parting;
    }

    /// Notes what runs still of those that a revision by this name had before.
    fn leave(&mut self, key: &Key, backend: &Backend, old: Option<&Backend>) {
        let parting = self.parting.remove(key).into_iter().flat_map(|parting| parting.pods);
        let left = self.left.remove(key).into_iter().flatten();
        let had = old
            .into_iter()
            .flat_map(|old| &old.pods)
            .cloned()
            .chain(parting)
            .chain(left);
        let now: HashSet<&str> = backend.pods.iter().map(|pod| &*pod.uid).collect();
        let mut left: Vec<BackendPod> = had.filter(|pod| !now.contains(&*pod.uid) && self.runs(pod)).collect();
        left.sort_by(|one, other| one.uid.cmp(&other.uid));
        left.dedup_by(|one, other| one.uid == other.uid);
        left.iter_mut().for_each(|pod| pod.is_ending = true);
        if !left.is_empty() {
            self.left.insert(key.clone(), left);
        }
    }

    /// A revision with those that are left by its name.
    fn with_left<'a>(&self, key: &Key, backend: &'a Backend) -> Cow<'a, Backend> {
        let Some(left) = self.left.get(key) else {
            return Cow::Borrowed(backend);
        };
        let mut all = Backend::clone(backend);
        all.pods.extend(left.iter().cloned());
        Cow::Owned(all)
    }

    fn set(&mut self, key: &Key, backend: &Backend) {
        let kept = kept(key, backend);
        let revision = match self.known.get(key) {
            Some((before, revision)) if *before == kept => Arc::clone(revision),
            _ => {
                let revision = Revision::with_protocol(
                    kept.identity.clone(),
                    kept.timeouts,
                    self.limits.of_revision(kept.concurrency),
                    kept.protocol,
                );
                self.revisions.insert(Arc::clone(&revision));
                self.figures.insert(key, &revision);
                if let Some((_, old)) = self.known.insert(key.clone(), (kept, Arc::clone(&revision))) {
                    self.replaced.push((key.clone(), old));
                }
                revision
            }
        };
        let name = key.to_string();
        let pods: Vec<_> = backend.pods.iter().map(|pod| self.pod(pod)).collect();
        for (pod, fault) in self.node.set_revision(&name, &revision, &pods) {
            eprintln!("error: pod {pod} of {name} is not counted: {fault}");
        }
        let takes = |pod: &BackendPod| pod.is_ready && !pod.is_ending;
        let addresses: Vec<_> = backend.pods.iter().map(|pod| (pod.address, takes(pod))).collect();
        revision.set_pods(&addresses);
        for pod in &backend.pods {
            let netns = self.namespaces.get(&*pod.uid);
            self.ports.keep(key, &revision, pod, netns);
        }
        self.replaced.retain(|(_, old)| Arc::strong_count(old) > 1);
        for (_, old) in self.replaced.iter().filter(|(of, _)| of == key) {
            old.set_pods(&addresses);
        }
    }

    fn pod(&self, pod: &BackendPod) -> Pod {
        Pod {
            uid: pod.uid.to_string(),
            address: pod.address,
            netns: self.namespaces.get(&*pod.uid).cloned(),
            takes_requests: pod.is_ready && !pod.is_ending,
            is_remote: false,
        }
    }

    /// Nothing leads to this revision any more: its pods get nothing new, and go on while they run. Whether none does.
    fn has_parted(&mut self, key: &Key) -> bool {
        let Some(mut backend) = self.parting.remove(key) else {
            return true;
        };
        backend.pods.retain(|pod| self.runs(pod));
        if backend.pods.is_empty() {
            return true;
        }
        if backend.pods.iter().any(|pod| !pod.is_ending) {
            backend.pods.iter_mut().for_each(|pod| pod.is_ending = true);
            self.set(key, &backend);
            self.told.list([(key, listed(key, Some(&backend)))].into_iter());
        }
        self.parting.insert(key.clone(), backend);
        false
    }

    fn forget(&mut self, key: &Key) {
        self.told.list([(key, HashMap::new())].into_iter());
        self.node.remove_revision(&key.to_string());
        self.revisions.remove(&key.namespace, &key.name);
        self.figures.remove(key);
        self.known.remove(key);
    }

    fn aim(&self, old: Option<&Target>, new: Option<&Target>) {
        let kept: &[SocketAddr] = new.map_or(&[], |new| &new.addresses);
        for gone in old
            .iter()
            .flat_map(|old| &old.addresses)
            .filter(|address| !kept.contains(address))
        {
            self.node.remove_target(*gone);
        }
        let Some(target) = new else { return };
        let revision = target
            .revision
            .as_ref()
            .and_then(|key| Some(Arc::clone(&self.known.get(key)?.1)));
        let leads = match (&target.host, revision) {
            (Some(host), _) => Leads::Host(host.as_ref().into()),
            (None, Some(revision)) => Leads::Revision(revision),
            // Nobody knows it yet: the programme that has it brings the target again.
            (None, None) => return,
        };
        let name = target.revision.as_ref().map(ToString::to_string);
        // Of the revision's own Service: its facts alone. Those of routes count for their own addresses.
        if let (Some(name), None) = (&name, &target.host) {
            self.node.flip(name, target.path.clone());
        }
        for address in &target.addresses {
            let aim = Aim {
                leads: leads.clone(),
                revision: name.clone(),
                path: target.path.clone(),
            };
            if let Err(fault) = self.node.set_target(*address, aim) {
                eprintln!("error: {address} is not redirected: {fault}; {}", fault.advice());
            }
        }
    }
}

/// Hosts of a rule are redirected together: they are of one certificate.
fn secured(mut rule: Rule<Destination>, redirected: &HashSet<Arc<str>>) -> Rule<Destination> {
    if rule.hosts.iter().any(|host| redirected.contains(host.as_str())) {
        let paths = rule.paths.into_iter().map(|path| PathRule {
            split: path.split.map(|destination| destination.https_only(true)),
            ..path
        });
        rule.paths = paths.collect();
    }
    rule
}

fn kept(key: &Key, backend: &Backend) -> Kept {
    Kept {
        identity: Identity {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            service: backend.service.to_string(),
            configuration: backend.configuration.to_string(),
        },
        concurrency: backend.container_concurrency,
        timeouts: Timeouts {
            request: backend.timeouts.request,
            response_start: backend.timeouts.response_start,
            idle: backend.timeouts.idle,
        },
        protocol: match backend.protocol {
            Protocol::Http1 => PodProtocol::Http1,
            Protocol::Http2 => PodProtocol::H2c,
        },
    }
}

/// A revision of which only a pod is known.
fn gone(pod: &RunningPod) -> Backend {
    let label = |name: &str| {
        pod.labels
            .get(name)
            .map_or_else(Box::default, |text| text.as_str().into())
    };
    Backend {
        service: label(serving::SERVICE),
        configuration: label(serving::CONFIGURATION),
        container_concurrency: 0,
        timeouts: BackendTimeouts::default(),
        protocol: Protocol::Http1,
        readiness: None,
        wish: None,
        pods: Vec::new(),
        mode: None,
    }
}

/// The pods of a revision, by UID.
fn listed(key: &Key, backend: Option<&Backend>) -> HashMap<String, Listed> {
    let pods = backend.into_iter().flat_map(|backend| &backend.pods);
    let all = pods.map(|pod| {
        let listed = Listed {
            revision: key.clone(),
            takes_requests: pod.is_ready && !pod.is_ending,
        };
        (pod.uid.to_string(), listed)
    });
    all.collect()
}
