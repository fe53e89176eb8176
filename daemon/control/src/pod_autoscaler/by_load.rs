// SPDX-License-Identifier: Apache-2.0
//! The KPA class: pods follow the requests. Control-plane spec 4.10, data-plane spec 1.10 to 1.13.
//!
//! Mechanism: what is seen of a revision ([`Seen`]) and what is decided about it become a plan, which is pure; the plan is
//! applied in the order in which users feel it: pods, endpoints, then what is told.
//! Invariants: the last pod goes only after the data plane has said that it would hold requests; while a number falls, the
//! idlest pods are named first; a number falls only from what was seen, and not once more pods are wanted.
//! Depends on: scaler, children, pods, status, annotations, logic::kpa.

use std::sync::Arc;
use std::time::Duration;

use api::metric::Metric;
use api::names::{autoscaling, serving};
use api::pod_autoscaler::{PodAutoscaler, PodAutoscalerStatus, desired};
use api::serverless_service::ServerlessService;
use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use logic::kpa::plan::{self, plan};
use logic::kpa::{Annotations, Config, Decision, Moment, Observed, Plan, Planned, Probe, Reachability, Spec};
use serde_json::json;

use super::scaler::{Followed, Scaler};
use super::{annotations, children, pods, status};
use crate::context::Context;
use crate::controller::Again;
use crate::failure::Failure;
use crate::key::Key;
use crate::live::Live;
use crate::settings::Settings;

/// When to ask again whether the data plane would hold requests.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// When to look again at a revision whose number was overtaken; who overtook it looks sooner.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What scales by load.
pub(super) struct ByLoad {
    pub(super) context: Context,
    pub(super) live: Arc<dyn Live>,
    pub(super) scaler: Arc<Scaler>,
}

/// What came of a number.
#[derive(PartialEq, Eq)]
enum Scaled {
    Written,
    /// It no longer holds.
    GivenUp,
}

/// What is seen of a revision.
struct Seen {
    key: Key,
    annotations: Annotations,
    reachability: Reachability,
    config: Config,
    spec: Spec,
    services: Option<Arc<ServerlessService>>,
    target: Arc<Deployment>,
    pods: Vec<Arc<Pod>>,
}

impl ByLoad {
    /// Now.
    pub(super) fn now(&self) -> Moment {
        status::moment(&self.context.now())
    }

    /// One look at a PodAutoscaler.
    pub(super) async fn reconcile(
        &self,
        scaling: &PodAutoscaler,
        status: &mut PodAutoscalerStatus,
        settings: &Settings,
        now: &Time,
    ) -> Result<Again, Failure> {
        let seen = self.look(scaling, settings)?;
        let services = seen.services.clone();
        let private = services.filter(|services| !services.status.private_service_name.is_empty());
        let Some(services) = private else {
            let plan = plan::without_service(&seen.observed(&scaling.status, self.now()), &seen.config);
            self.services(scaling, status, &plan, now).await?;
            status::write(status, &plan, None, now);
            return Ok(None);
        };
        status
            .metrics_service_name
            .clone_from(&services.status.private_service_name);
        let decision = self.scaler.follow(&seen.key, seen.followed(scaling)?, self.now());
        let plan = self.plan(&seen, &scaling.status, decision);
        if let Some(scale) = plan.scale_to
            && self.scale(&seen, scale, decision).await? == Scaled::GivenUp
        {
            return Ok(Some(LOOK_AGAIN));
        }
        if plan.want >= 0 {
            self.scaler.requested(&seen.key, plan.want);
        }
        let services = self.services(scaling, status, &plan, now).await?;
        self.metric(scaling, status, settings, now).await?;
        status::write(status, &plan, Some(&services), now);
        let asked = plan.keep_probing.then_some(ASK_AGAIN);
        Ok(asked.into_iter().chain(plan.again_after).min())
    }

    /// Gives a revision the pods that a burst asks for, and does nothing else; failures are the ordinary look's to repeat.
    pub(super) async fn raise(&self, revision: &Key) {
        let Some(scaling) = self.context.get::<PodAutoscaler>(revision) else {
            return;
        };
        let settings = self.context.settings();
        if annotations::class(&scaling, &settings.autoscaler().class) != autoscaling::KPA {
            return;
        }
        let Some(decision) = self.scaler.decision(revision) else {
            return;
        };
        let Ok(seen) = self.look(&scaling, &settings) else {
            return;
        };
        let scale = self.plan(&seen, &scaling.status, decision).scale_to;
        if let Some(scale) = scale.filter(|scale| *scale > seen.replicas())
            && let Err(failure) = self.scale(&seen, scale, decision).await
        {
            log::debug!("autoscaler {revision}: {failure}");
        }
    }

    fn look(&self, scaling: &PodAutoscaler, settings: &Settings) -> Result<Seen, Failure> {
        let key = Key::of(&scaling.metadata);
        let reference = &scaling.spec.scale_target_ref;
        let name = reference.name.as_deref().unwrap_or_default();
        let target = self.context.get::<Deployment>(&Key::new(&key.namespace, name));
        let Some(target) = target.filter(|_| reference.kind.as_deref() == Some("Deployment")) else {
            let kind = reference.kind.as_deref().unwrap_or_default();
            return Err(Failure::Decided(format!("error scaling: there is no {kind} {name:?}")));
        };
        let annotations = annotations::read(scaling);
        let reachability = annotations::reachability(scaling);
        let config = Config::of(settings.autoscaler(), &settings.deployment);
        let uid = scaling.label(serving::REVISION_UID).unwrap_or_default();
        Ok(Seen {
            spec: Spec::derive(&annotations, scaling.spec.container_concurrency, reachability, &config),
            services: self.context.get::<ServerlessService>(&key),
            pods: self.context.caches.pods.labelled(&key.namespace, uid),
            key,
            annotations,
            reachability,
            config,
            target,
        })
    }

    fn plan(&self, seen: &Seen, status: &PodAutoscalerStatus, decision: Decision) -> Plan {
        let now = self.now();
        let observed = seen.observed(status, now);
        let planned = |probe| plan(now, &observed, decision, &seen.spec, &seen.config, probe);
        let asked = match planned(Probe::NotAsked) {
            Planned::Do(plan) => return plan,
            Planned::Probe if self.live.is_held(&seen.key) => Probe::Answered,
            Planned::Probe => Probe::Failed,
        };
        match planned(asked) {
            Planned::Do(plan) => plan,
            // It asks only while nobody has asked.
            Planned::Probe => plan::without_service(&observed, &seen.config),
        }
    }

    async fn scale(&self, seen: &Seen, scale: i32, decision: Decision) -> Result<Scaled, Failure> {
        let fewer = usize::try_from(seen.replicas().saturating_sub(scale)).unwrap_or_default();
        let key = Key::of(&seen.target.metadata);
        if fewer > 0 && scale > 0 {
            self.name_idlest(seen, fewer).await;
            if self.is_overtaken(seen, &key, decision) {
                return Ok(Scaled::GivenUp);
            }
        }
        let change = json!({"spec": {"replicas": scale}});
        self.context.merge::<Deployment>(&key, &change).await?;
        Ok(Scaled::Written)
    }

    /// Whether more pods have come, or are wanted, since this was decided: a burst does not wait while pods are named.
    fn is_overtaken(&self, seen: &Seen, target: &Key, decision: Decision) -> bool {
        let decided = self.scaler.decision(&seen.key);
        let wants_more = decided.is_some_and(|newer| newer.desired > decision.desired);
        let target = self.context.get::<Deployment>(target);
        wants_more || target.is_none_or(|target| replicas(&target) != seen.replicas())
    }

    /// Which pods go is worth a try, not a failure.
    async fn name_idlest(&self, seen: &Seen, going: usize) {
        let pods: Vec<&Pod> = seen.pods.iter().map(AsRef::as_ref).collect();
        let costs = pods::costs(&pods, &self.live.pods(&seen.key), going);
        let namespace = &seen.key.namespace;
        let written = join_all(costs.into_iter().map(|(name, cost)| async move {
            let annotations = json!({ pods::DELETION_COST: cost.to_string() });
            let change = json!({"metadata": {"annotations": annotations}});
            self.context.merge::<Pod>(&Key::new(namespace, name), &change).await
        }));
        for failure in written.await.into_iter().filter_map(Result::err) {
            log::debug!("autoscaler {}: {failure}", seen.key);
        }
    }

    async fn services(
        &self,
        scaling: &PodAutoscaler,
        status: &mut PodAutoscalerStatus,
        plan: &Plan,
        now: &Time,
    ) -> Result<Arc<ServerlessService>, Failure> {
        let wanted = desired::serverless_service(scaling, status::mode(plan.mode), plan.activators);
        children::ensure(&self.context, (scaling, status, now), wanted, |found, wanted| {
            let differs = found.spec != wanted.spec;
            found.spec = wanted.spec;
            differs
        })
        .await
    }

    async fn metric(
        &self,
        scaling: &PodAutoscaler,
        status: &mut PodAutoscalerStatus,
        settings: &Settings,
        now: &Time,
    ) -> Result<(), Failure> {
        let named = PodAutoscaler {
            status: status.clone(),
            ..scaling.clone()
        };
        let autoscaler = settings.autoscaler();
        let wanted = desired::metric(scaling, desired::scrape_target(&named, autoscaler), autoscaler);
        let bring = |found: &mut Metric, wanted: Metric| {
            let differs = found.spec != wanted.spec;
            found.spec = wanted.spec;
            differs
        };
        children::ensure(&self.context, (scaling, status, now), wanted, bring)
            .await
            .map(drop)
    }
}

impl Seen {
    fn observed<'a>(&'a self, status: &PodAutoscalerStatus, now: Moment) -> Observed<'a> {
        let services = self.services.as_deref();
        Observed {
            annotations: &self.annotations,
            reachability: self.reachability,
            condition: status::active(status, now),
            is_initialised: status.is_scale_target_initialized(),
            desired_scale: status.desired_scale,
            has_service: services.is_some_and(|services| !services.status.service_name.is_empty()),
            path: status::path(services.unwrap_or(&ServerlessService::default())),
            ready: self.counts().ready,
            replicas: self.target.spec.as_ref().and_then(|spec| spec.replicas),
        }
    }

    fn counts(&self) -> logic::kpa::PodCounts {
        pods::counts(self.pods.iter().map(AsRef::as_ref))
    }

    fn replicas(&self) -> i32 {
        replicas(&self.target)
    }

    fn followed(&self, scaling: &PodAutoscaler) -> Result<Followed, Failure> {
        let label = |key: &str| {
            let value = scaling.label(key).filter(|value| !value.is_empty());
            value.ok_or_else(|| Failure::Decided(format!("label {key:?} not found or empty in PodAutoscaler")))
        };
        label(serving::REVISION)?;
        Ok(Followed {
            spec: self.spec.clone(),
            pods: self.counts(),
            service: scaling.label(serving::SERVICE).unwrap_or_default().into(),
            configuration: label(serving::CONFIGURATION)?.into(),
        })
    }
}

/// Pods that were asked for; Kubernetes makes one where nobody said.
fn replicas(target: &Deployment) -> i32 {
    target.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}
