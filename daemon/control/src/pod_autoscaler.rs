// SPDX-License-Identifier: Apache-2.0
//! PodAutoscalers: how many pods each Revision has. Control-plane spec 4.10, data-plane spec 1.
//!
//! Problem: decisions come from live load, not from objects; a burst must change the number of pods in milliseconds,
//! whatever else there is to do.
//! Mechanism: [`scaler`] decides, from what the data plane counts; this controller brings what is decided, and what
//! objects say, into one plan (`logic::kpa::plan`) and applies it: first the number of pods, then the rest. Bursts have a
//! queue and workers of their own, which write that number and nothing else; [`looks`] says when they are looked at again.
//! Invariants: one process owns a revision (the bucket of `logic::kpa::shard`; there is one bucket); only the ordinary
//! look lowers a number.
//! Depends on: context, controller, live; its parts.

pub mod annotations;
mod by_kubernetes;
mod by_load;
mod children;
pub mod hpa;
mod looks;
pub mod pods;
pub mod scaler;
pub mod status;

use std::collections::BTreeSet;
use std::sync::Arc;

use api::conditions::{Conditioned as _, pass};
use api::metric::Metric;
use api::names::{autoscaling, serving};
use api::pod_autoscaler::{PodAutoscaler, PodAutoscalerStatus};
use api::serverless_service::ServerlessService;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::{Instant, sleep_until};

use crate::cache::Change;
use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::failure::Failure;
use crate::kept::Kept;
use crate::key::Key;
use crate::live::Live;
use crate::queue::Queue;
pub use by_kubernetes::Horizontal;
use by_load::ByLoad;
use looks::Looks;
use scaler::{PASS, Scaler};

/// How many revisions get more pods at once in a burst.
const URGENT_WORKERS: usize = 16;

/// The controller.
struct Autoscaling {
    context: Context,
    by_load: Arc<ByLoad>,
    horizontal: Horizontal,
}

/// Starts to scale; the scaler is for the page of figures.
pub fn start(context: &Context, live: &Arc<dyn Live>, horizontal: Horizontal) -> Arc<Scaler> {
    let queue = Arc::new(Queue::default());
    let scaler = Arc::new(Scaler::new(Arc::clone(live)));
    watch(context, &queue);
    let context = context.speaking_as(Autoscaling::NAME);
    let by_load = Arc::new(ByLoad {
        context: context.clone(),
        live: Arc::clone(live),
        scaler: Arc::clone(&scaler),
    });
    run(&by_load, &queue);
    let controller = Autoscaling {
        context: context.clone(),
        by_load,
        horizontal,
    };
    controller::start(&context, &queue, controller);
    scaler
}

/// Whatever may change what is to be done.
fn watch(context: &Context, queue: &Arc<Queue>) {
    controller::watch_self::<PodAutoscaler>(context, queue);
    controller::watch_made::<PodAutoscaler, ServerlessService>(context, queue);
    controller::watch_made::<PodAutoscaler, Metric>(context, queue);
    controller::watch_made::<PodAutoscaler, HorizontalPodAutoscaler>(context, queue);
    controller::watch(context, queue, |pod: &Pod| of_revision(pod).into_iter().collect());
    // Its status changes with every pod, which is told already.
    let deployments = Arc::clone(queue);
    let replicas = |deployment: &Deployment| deployment.spec.as_ref().and_then(|spec| spec.replicas);
    context.caches.deployments.listen(move |change: &Change<Deployment>| {
        let [old, new] = [&change.old, &change.new].map(|side| side.as_deref().map(replicas));
        if old != new {
            let key = change.either().and_then(of_revision);
            key.into_iter().for_each(|key| deployments.add(key));
        }
    });
    controller::watch_settings::<PodAutoscaler, _>(context, queue, "autoscaler settings", |settings| {
        (settings.autoscaler().clone(), settings.deployment.clone())
    });
}

/// The PodAutoscaler of what a Revision made: it has the Revision's name.
fn of_revision<K: Kept>(object: &K) -> Option<Key> {
    let meta = object.meta();
    let revision = meta.labels.as_ref()?.get(serving::REVISION)?;
    Some(Key::new(meta.namespace.clone().unwrap_or_default(), revision))
}

/// Ticks, and bursts.
fn run(by_load: &Arc<ByLoad>, queue: &Arc<Queue>) {
    let tasks = &by_load.context.tasks;
    let (ticking, woken) = (Arc::clone(by_load), Arc::clone(queue));
    tasks.spawn("autoscaler ticks", async move {
        let mut passes = tokio::time::interval(PASS);
        passes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            passes.tick().await;
            for revision in ticking.scaler.pass(ticking.now()) {
                woken.add(revision);
            }
        }
    });
    let urgent = Arc::new(Queue::default());
    by_load.context.queues.add("autoscaler-bursts", &urgent);
    let (listening, told) = (Arc::clone(by_load), Arc::clone(&urgent));
    tasks.spawn("autoscaler bursts", listen(listening, told));
    for _ in 0..URGENT_WORKERS {
        let (by_load, urgent, queue) = (Arc::clone(by_load), Arc::clone(&urgent), Arc::clone(queue));
        tasks.spawn("autoscaler burst", async move {
            loop {
                let revision = urgent.next().await;
                by_load.raise(&revision).await;
                urgent.done(&revision);
                queue.add(revision);
            }
        });
    }
}

/// Looks at whose load jumps, at once and some more times.
async fn listen(by_load: Arc<ByLoad>, urgent: Arc<Queue>) {
    let bursts = by_load.live.bursts();
    let mut looks = Looks::default();
    loop {
        let next = looks.next();
        let at_once = tokio::select! {
            told = bursts.next() => told,
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => BTreeSet::new(),
        };
        let now = Instant::now();
        let again = looks.due(now);
        at_once.iter().for_each(|revision| looks.begin(revision.clone(), now));
        for revision in at_once.into_iter().chain(again) {
            if by_load.scaler.burst(&revision, by_load.now()) {
                urgent.add(revision);
            }
        }
    }
}

impl Controller for Autoscaling {
    type Object = PodAutoscaler;

    const NAME: &'static str = "autoscaler";
    const WORKERS: usize = 16;

    async fn reconcile(&self, scaling: Arc<PodAutoscaler>) -> Result<Again, Failure> {
        let settings = self.context.settings();
        let now = self.context.now();
        let class = annotations::class(&scaling, &settings.autoscaler().class).to_owned();
        if class != autoscaling::KPA {
            self.by_load.scaler.forget(&Key::of(&scaling.metadata));
        }
        let mut status = scaling.status.clone();
        pass::begin(&mut status, scaling.generation(), &now);
        let done = match class.as_str() {
            autoscaling::KPA => self.by_load.reconcile(&scaling, &mut status, &settings, &now).await,
            autoscaling::HPA => {
                let circumstances = (self.horizontal, &now);
                by_kubernetes::reconcile(&self.context, &scaling, &mut status, &settings, circumstances).await
            }
            // Somebody else's.
            _ => return Ok(None),
        };
        let written = self.write(&scaling, status, &now).await;
        // What went wrong first is what matters.
        let again = done?;
        written.map(|()| again)
    }

    fn forget(&self, key: &Key) {
        self.by_load.scaler.forget(key);
    }
}

impl Autoscaling {
    async fn write(&self, scaling: &PodAutoscaler, mut status: PodAutoscalerStatus, now: &Time) -> Result<(), Failure> {
        let before = &scaling.status.observed().conditions;
        pass::end(&mut status, before, scaling.generation(), now);
        self.context.write_status(scaling, status).await
    }
}
