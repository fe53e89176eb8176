// SPDX-License-Identifier: Apache-2.0
//! The life of a pod: place, volumes, containers, status, end.
//!
//! Mechanism: one task a pod; its containers report to it, and every change becomes one status.
//! Invariants: the pod is told to the data plane before a container starts, until all have ended; its object goes when
//! nothing of it runs any more; its record has gone when its place is given back, since another pod may live there then.
//! Depends on: site, container, view, slot, volume, life.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::revision::desired::user_port;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use life::Tasks;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use super::container::{Life, Stop};
use super::drain::{Drain, RunningPod};
use super::facts::{Facts, Source};
use super::ignored;
use super::image::Images;
use super::objects::{Identity, Objects};
use super::plan;
use super::settings::Settings;
use super::site::Site;
use super::slot::{Pool, Slot};
use super::status::{self, RETRY, Statuses};
use super::view::{Doing, PodView, Policy, View};
use super::volume;
use crate::meta;

/// The name of a pod's record.
pub(super) const RECORD: &str = "pod.json";

/// What is remembered of a pod for the next runner, for as long as it has a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Which pod.
    pub identity: Identity,
    /// Its place.
    pub place: u32,
}

/// What all pods of a runner share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// The runner's settings.
    pub settings: Arc<Settings>,
    /// Its hand in the API.
    pub objects: Objects,
    /// Its places.
    pub pool: Pool,
    /// Its images.
    pub images: Images,
    /// When a pod's requests have ended.
    pub drain: Arc<dyn Drain>,
    /// Its tasks.
    pub tasks: Tasks,
    /// The pods that have a place.
    pub running: watch::Sender<Vec<RunningPod>>,
    /// Whether all pods are to end, and how long they may take.
    pub ending: watch::Sender<Option<Duration>>,
    /// How many pods have a task.
    pub living: watch::Sender<usize>,
}

/// Counted among those that live, until it is dropped.
pub(super) struct Counted(watch::Sender<usize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|living| *living = living.saturating_sub(1));
    }
}

/// A pod's object as it changes; none when it is gone.
pub(super) type Changes = watch::Receiver<Option<Arc<Value>>>;

/// Lives a pod, to its end; `place` is where an earlier runner left it.
pub(super) async fn live(shared: Shared, object: Arc<Value>, changes: Changes, place: Option<u32>) {
    let identity = Identity::of(&object);
    let pod: Pod = match serde_json::from_value(Value::clone(&object)) {
        Ok(pod) => pod,
        Err(error) => {
            shared.objects.tell(
                &identity,
                true,
                "FailedCreatePod",
                &format!("the pod cannot be read: {error}"),
            );
            return;
        }
    };
    let view = view_of(&pod, &shared.settings, &object, place.is_some());
    let (stop, stopping) = watch::channel(None);
    let (statuses, written) = Statuses::new();
    let keeping = status::keep(shared.objects.clone(), identity.clone(), written);
    let life = PodLife {
        shared: shared.clone(),
        identity,
        view,
        changes: changes.clone(),
        stopping,
        statuses,
    };
    let watching = watch_for_end(changes, shared.ending.subscribe(), stop);
    tokio::select! {
        () = life.run(pod, place) => {}
        never = watching => match never {},
        never = keeping => match never {},
    }
}

/// Turns a deletion into an order to stop; never returns.
async fn watch_for_end(
    mut changes: Changes,
    mut ending: watch::Receiver<Option<Duration>>,
    stop: watch::Sender<Option<Stop>>,
) -> std::convert::Infallible {
    loop {
        // It may have gone before the first look.
        let has_gone = changes.has_changed().is_err();
        let grace = {
            let object = changes.borrow_and_update();
            match &*object {
                None => Some(Duration::ZERO),
                Some(object) if meta::is_deleting(object) => {
                    let seconds = object["metadata"]["deletionGracePeriodSeconds"].as_u64();
                    Some(Duration::from_secs(seconds.unwrap_or_default()))
                }
                Some(_) => has_gone.then_some(Duration::ZERO),
            }
        };
        let most = *ending.borrow_and_update();
        let grace = match (grace, most) {
            (Some(grace), Some(most)) => Some(grace.min(most)),
            (grace, most) => grace.or(most),
        };
        if let Some(grace) = grace {
            let deadline = Instant::now() + grace;
            stop.send_if_modified(|stop| {
                let is_sooner = stop.is_none_or(|stop: Stop| deadline < stop.deadline && grace < stop.grace);
                if is_sooner {
                    *stop = Some(Stop { deadline, grace });
                }
                is_sooner
            });
        }
        tokio::select! {
            changed = changes.changed(), if !has_gone => if changed.is_err() && grace.is_none() {
                let stopped = Stop { deadline: Instant::now(), grace: Duration::ZERO };
                stop.send_replace(Some(stopped));
            },
            changed = ending.changed() => if changed.is_err() {
                std::future::pending::<()>().await;
            },
        }
    }
}

struct PodLife {
    shared: Shared,
    identity: Identity,
    view: PodView,
    changes: Changes,
    stopping: watch::Receiver<Option<Stop>>,
    statuses: Statuses,
}

impl PodLife {
    async fn run(mut self, pod: Pod, place: Option<u32>) {
        let slot = match place {
            // It stands as it stood until its containers have been looked at.
            Some(place) => Some(self.shared.pool.adopt(place)),
            // Its status stands, and nothing of it will run.
            None if self.is_past() => None,
            None => {
                // Also when its object is old: what runs at the address that it had is another's.
                self.write().await;
                self.find_place().await
            }
        };
        if let Some(slot) = slot {
            self.shared.refill();
            if place.is_none() {
                self.tell_ignored(&pod);
            }
            self.inhabit(pod, slot).await;
        }
        // Nothing of it runs any more: its object waits for this, or for somebody to delete it.
        let _ = self.stopping.wait_for(Option::is_some).await;
        let is_ending = self.shared.ending.borrow().is_some();
        if self.is_deleted() || !is_ending {
            self.leave().await;
        }
        let folder = self.shared.settings.pod(&self.identity.uid);
        let _ = tokio::task::spawn_blocking(move || fs::remove_dir_all(folder)).await;
    }

    /// Takes it out of the API, as often as the disk takes that back.
    async fn leave(&self) {
        let mut ending = self.shared.ending.subscribe();
        let is_in_trouble = self.shared.objects.state().trouble().borrow().is_some();
        if is_in_trouble {
            // Perhaps it has been taken back from a task before this one.
            let _ = timeout(RETRY, ending.wait_for(Option::is_some)).await;
        }
        loop {
            let is_kept = match self.shared.objects.remove(&self.identity) {
                Ok(kept) => kept.wait().await.is_ok(),
                Err(_) => true,
            };
            if is_kept {
                return;
            }
            let is_ending = timeout(RETRY, ending.wait_for(Option::is_some)).await.is_ok();
            // The next runner tries again; or another task of this one, if the pod was seen to go before it came back.
            if is_ending || self.changes.has_changed().is_err() {
                return;
            }
        }
    }

    fn is_deleted(&self) -> bool {
        let object = self.changes.borrow();
        object.as_ref().is_none_or(|object| meta::is_deleting(object))
    }

    /// Whether a pod that has no place needs none.
    fn is_past(&self) -> bool {
        let is_over = self
            .changes
            .borrow()
            .as_ref()
            .is_some_and(|object| meta::is_over(object));
        is_over || self.is_deleted()
    }

    /// Once: a pod that is taken over has been told of.
    fn tell_ignored(&self, pod: &Pod) {
        let fields = pod.spec.as_ref().map(ignored::fields).unwrap_or_default();
        if !fields.is_empty() {
            let message = format!(
                "standalone does without: {}; docs/pods.md has what it does",
                fields.join(", ")
            );
            self.shared
                .objects
                .tell(&self.identity, true, "FieldsIgnored", &message);
        }
    }

    /// Tells of what stands in the way, unless that was `told` last, and waits; whether the pod stops meanwhile.
    async fn stops_before_retry(&mut self, reason: &str, message: String, told: &mut String) -> bool {
        if *told != message {
            self.shared.objects.tell(&self.identity, true, reason, &message);
            *told = message;
        }
        timeout(RETRY, self.stopping.wait_for(Option::is_some)).await.is_ok()
    }

    async fn find_place(&mut self) -> Option<Slot> {
        let mut told = String::new();
        loop {
            let taken = self.shared.pool.take().await;
            let error = match taken {
                Ok(slot) => return Some(slot),
                Err(error) => error,
            };
            let message = format!("Failed to create pod sandbox: {error}");
            if self
                .stops_before_retry("FailedCreatePodSandBox", message, &mut told)
                .await
            {
                return None;
            }
        }
    }

    async fn inhabit(&mut self, pod: Pod, slot: Slot) {
        self.view.ip = Some(slot.ip.to_string());
        let port = pod.spec.as_ref().and_then(|spec| user_port(&spec.containers));
        let running = RunningPod {
            uid: self.identity.uid.clone(),
            namespace: self.identity.namespace.clone(),
            name: self.identity.name.clone(),
            labels: pod.metadata.labels.clone().unwrap_or_default(),
            ip: slot.ip,
            port: port.and_then(|port| u16::try_from(port).ok()),
            netns: slot.netns.clone(),
            cgroup: slot.cgroup.clone(),
        };
        self.shared.running.send_modify(|all| all.push(running));
        let ip = slot.ip;
        let prepared = self.prepare(&pod, &slot).await;
        let mut slot = Some(slot);
        if let Some(volumes) = prepared
            && let Some(own) = slot.take()
        {
            let site = Arc::new(self.site(pod, ip, volumes, own));
            self.run_containers(&site).await;
            slot = Arc::into_inner(site).map(|site| site.slot.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        let uid = &self.identity.uid;
        self.shared.running.send_modify(|all| all.retain(|pod| pod.uid != *uid));
        // When all end, the places go together (`Runner::end`): one that is dropped stays.
        let is_ending = self.shared.ending.borrow().is_some();
        if let Some(slot) = slot.filter(|_| !is_ending && self.forget_place()) {
            self.shared.pool.give_back(slot).await;
        }
    }

    /// Removes the record; whether there is none any more.
    fn forget_place(&self) -> bool {
        let record = self.shared.settings.pod(&self.identity.uid).join(RECORD);
        let removed = fs::remove_file(record);
        removed.map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true)
    }

    /// Record, names and volumes; none if the pod stops before.
    async fn prepare(&mut self, pod: &Pod, slot: &Slot) -> Option<BTreeMap<String, PathBuf>> {
        let folder = self.shared.settings.pod(&self.identity.uid);
        let mut told = String::new();
        loop {
            let error = match self.settle(pod, slot, &folder) {
                Ok(volumes) => return Some(volumes),
                Err(error) => error,
            };
            if self.stops_before_retry("FailedMount", error, &mut told).await {
                return None;
            }
        }
    }

    fn settle(&self, pod: &Pod, slot: &Slot, folder: &std::path::Path) -> Result<BTreeMap<String, PathBuf>, String> {
        let settings = &self.shared.settings;
        let spec = pod.spec.clone().unwrap_or_default();
        let record = Record {
            identity: self.identity.clone(),
            place: slot.place,
        };
        let written = || -> io::Result<()> {
            fs::create_dir_all(folder.join("etc"))?;
            plan::write(folder, RECORD, &record)?;
            name_things(folder, pod, &spec, slot.ip, settings)
        };
        written().map_err(|error| format!("{}: {error}", folder.display()))?;
        let facts = Facts {
            pod,
            ip: slot.ip,
            host: settings.range.host(),
        };
        let look = |source: Source, name: &str| self.shared.objects.look(&self.identity.namespace, source, name);
        volume::make(&spec, &folder.join("volumes"), &facts, &look).map_err(|error| error.to_string())
    }

    fn site(&self, pod: Pod, ip: Ipv4Addr, volumes: BTreeMap<String, PathBuf>, slot: Slot) -> Site {
        Site {
            settings: Arc::clone(&self.shared.settings),
            objects: self.shared.objects.clone(),
            images: self.shared.images.clone(),
            drain: Arc::clone(&self.shared.drain),
            cgroups: self.shared.pool.cgroups().clone(),
            identity: self.identity.clone(),
            pod,
            ip,
            volumes,
            slot: Mutex::new(slot),
        }
    }

    async fn run_containers(&mut self, site: &Arc<Site>) {
        let spec = site.spec();
        let (reports, mut reported) = mpsc::channel(64);
        let init: Vec<Container> = spec.init_containers.clone().unwrap_or_default();
        let once = match self.view.policy {
            Policy::Never => Policy::Never,
            _ => Policy::OnFailure,
        };
        for (index, container) in init.iter().enumerate() {
            self.start(site, index, container, once, &reports);
            self.follow(&mut reported, 1).await;
            let view = self.view.init.get(index);
            if !matches!(view, Some(view) if matches!(&view.doing, Doing::Terminated(end) if end.code == 0)) {
                return;
            }
        }
        for (index, container) in spec.containers.iter().enumerate() {
            self.start(site, init.len() + index, container, self.view.policy, &reports);
        }
        self.follow(&mut reported, spec.containers.len()).await;
    }

    fn start(
        &self,
        site: &Arc<Site>,
        index: usize,
        container: &Container,
        policy: Policy,
        reports: &mpsc::Sender<Report>,
    ) {
        let views = self.view.init.iter().chain(&self.view.containers);
        let Some(view) = views.into_iter().nth(index).cloned() else {
            return;
        };
        let (tell, mut told) = mpsc::channel(16);
        let life = Life {
            site: Arc::clone(site),
            index,
            container: container.clone(),
            policy,
            view,
            reports: tell,
            stop: self.stopping.clone(),
            told: None,
        };
        let forward = reports.clone();
        let reports = reports.clone();
        self.shared.tasks.spawn("container", async move {
            let living = async {
                let view = life.run().await;
                // Only a pod that is no more does not listen.
                let _ = reports.send(Report::Over(index, view)).await;
            };
            let forwarding = async {
                while let Some((index, view)) = told.recv().await {
                    let _ = forward.send(Report::Changed(index, view)).await;
                }
            };
            tokio::join!(living, forwarding);
        });
    }

    /// Turns reports into statuses until so many containers have ended.
    async fn follow(&mut self, reported: &mut mpsc::Receiver<Report>, mut left: usize) {
        while left > 0 {
            let Some(first) = reported.recv().await else { return };
            let mut next = Some(first);
            while let Some(report) = next {
                if matches!(report, Report::Over(..)) {
                    left -= 1;
                }
                self.take(report);
                next = reported.try_recv().ok();
            }
            self.write().await;
        }
    }

    fn take(&mut self, report: Report) {
        let (Report::Changed(index, view) | Report::Over(index, view)) = report;
        let mut views = self.view.init.iter_mut().chain(&mut self.view.containers);
        if let Some(place) = views.nth(index) {
            *place = view;
        }
    }

    async fn write(&self) {
        let before = self.shared.objects.pod(&self.identity);
        let before = before.map_or(Value::Null, |pod| pod["status"].clone());
        let status = self.view.status(&before, &plan::now());
        self.statuses.write(&self.shared.objects, &self.identity, status).await;
    }
}

enum Report {
    Changed(usize, View),
    Over(usize, View),
}

impl Shared {
    /// Counts a pod that begins; none once all are to end: nobody would wait for it.
    pub(super) fn count(&self) -> Option<Counted> {
        self.living.send_modify(|living| *living += 1);
        let counted = Counted(self.living.clone());
        self.ending.borrow().is_none().then_some(counted)
    }

    /// Makes ready places again, beside what else is going on.
    pub(super) fn refill(&self) {
        let pool = self.pool.clone();
        self.tasks.spawn("ready-places", async move {
            // Whoever takes a place next meets the same error and says it.
            let _ = pool.fill().await;
        });
    }
}

/// How a pod stands to begin with; `is_adopted`: an earlier runner left its place.
fn view_of(pod: &Pod, settings: &Settings, object: &Value, is_adopted: bool) -> PodView {
    let spec = pod.spec.clone().unwrap_or_default();
    let image = |container: &Container| container.image.clone().unwrap_or_default();
    let has_init = spec.init_containers.as_ref().is_some_and(|init| !init.is_empty());
    let reason = if has_init {
        "PodInitializing"
    } else {
        "ContainerCreating"
    };
    let view = |container: &Container| {
        let mut view = View::new(&container.name, &image(container), reason);
        let statuses = object["status"]["containerStatuses"].as_array().into_iter().flatten();
        let before = statuses
            .into_iter()
            .find(|status| status["name"] == container.name.as_str());
        // What runs still is ready until its probe says otherwise.
        view.is_ready = is_adopted && before.is_some_and(|before| before["ready"] == true);
        view
    };
    PodView {
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        ip: None,
        host: settings.range.host().to_string(),
        since: object["status"]["startTime"]
            .as_str()
            .map_or_else(plan::now, str::to_owned),
        policy: Policy::of(spec.restart_policy.as_deref()),
        init: spec.init_containers.iter().flatten().map(view).collect(),
        containers: spec.containers.iter().map(view).collect(),
        class: class(&spec),
    }
}

/// The class of a pod's service.
fn class(spec: &PodSpec) -> &'static str {
    let resources: Vec<Value> = spec
        .containers
        .iter()
        .map(|container| json!(container.resources))
        .collect();
    let has = |one: &Value, part: &str| one[part].as_object().is_some_and(|amounts| !amounts.is_empty());
    if !resources.iter().any(|one| has(one, "limits") || has(one, "requests")) {
        return "BestEffort";
    }
    let is_fixed = |one: &Value| {
        let both = ["cpu", "memory"].iter().all(|name| one["limits"][name].is_string());
        both && ["cpu", "memory"]
            .iter()
            .all(|name| one["requests"][name].is_null() || one["requests"][name] == one["limits"][name])
    };
    if resources.iter().all(is_fixed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// `/etc` of a pod: its name, its hosts, who answers its DNS.
fn name_things(
    folder: &std::path::Path,
    pod: &Pod,
    spec: &PodSpec,
    ip: Ipv4Addr,
    settings: &Settings,
) -> io::Result<()> {
    let etc = folder.join("etc");
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let name = spec.hostname.as_deref().unwrap_or(name);
    fs::write(etc.join("hostname"), format!("{name}\n"))?;
    let mut hosts = format!("# Made by sluice for this pod.\n127.0.0.1\tlocalhost\n::1\tlocalhost\n{ip}\t{name}\n");
    for alias in spec.host_aliases.iter().flatten() {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        hosts.push_str(&format!("{}\t{names}\n", alias.ip));
    }
    fs::write(etc.join("hosts"), hosts)?;
    let (namespace, domain) = (pod.metadata.namespace.as_deref().unwrap_or_default(), &settings.domain);
    let resolve = format!(
        "search {namespace}.svc.{domain} svc.{domain} {domain}\nnameserver {}\noptions ndots:5\n",
        settings.nameserver()
    );
    fs::write(etc.join("resolv.conf"), resolve)
}
