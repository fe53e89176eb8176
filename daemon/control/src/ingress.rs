// SPDX-License-Identifier: Apache-2.0
//! Ingresses: whether our gateways serve them. Control-plane spec 5.2.
//!
//! Problem: whoever waits for an Ingress cuts old backends off as soon as it is Ready, so Ready must not come before every
//! gateway runs exactly that spec.
//! Mechanism: the programme says at which version it has a spec ([`crate::gateway::Standing`]), the data plane which version
//! all gateways run; the one against the other is the status, which is pure.
//! Invariants: an Ingress of another class, or of none, is never touched; an Ingress that was ready at its generation stays
//! so while gateways take in later changes of others.
//! Depends on: context, controller, gateway, live.

use std::sync::Arc;

use api::conditions::{Conditioned as _, pass};
use api::ingress::{Ingress, IngressStatus, LoadBalancerIngress};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::watch;

use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::failure::Failure;
use crate::gateway::keeper::is_ours;
use crate::gateway::{Gateway, Standing};
use crate::key::Key;
use crate::live::Live;
use crate::queue::Queue;

/// Where gateways can be reached from outside.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reached {
    /// What the status of every Ingress says for requests from outside; none: a name or address is not known, and hosts
    /// are reached however the operator has arranged it.
    pub public: Option<LoadBalancerIngress>,
}

struct Ingresses {
    context: Context,
    gateway: Gateway,
    programmed: watch::Receiver<u64>,
    reached: Reached,
}

/// Starts the programme of the gateways, and to tell whether Ingresses are served.
pub fn start(context: &Context, live: &Arc<dyn Live>, reached: Reached) -> Gateway {
    let queue = Arc::new(Queue::default());
    controller::watch_self::<Ingress>(context, &queue);
    let gateway = Gateway::default();
    gateway.start(context, Arc::clone(&queue));
    let (confirmed, known) = (Arc::clone(&queue), gateway.clone());
    let mut programmed = live.programmed();
    context.tasks.spawn("ingress confirmations", async move {
        loop {
            let now = *programmed.borrow_and_update();
            known.confirm(now).into_iter().for_each(|key| confirmed.add(key));
            if programmed.changed().await.is_err() {
                return;
            }
        }
    });
    let context = context.speaking_as(Ingresses::NAME);
    let controller = Ingresses {
        context: context.clone(),
        gateway: gateway.clone(),
        programmed: live.programmed(),
        reached,
    };
    controller::start(&context, &queue, controller);
    gateway
}

impl Controller for Ingresses {
    type Object = Ingress;

    const NAME: &'static str = "ingress-controller";

    async fn reconcile(&self, ingress: Arc<Ingress>) -> Result<Again, Failure> {
        if !is_ours(&ingress) {
            return Ok(None);
        }
        let now = self.context.now();
        let programmed = *self.programmed.borrow();
        let standing = self.gateway.standing(&Key::of(&ingress.metadata));
        let mut status = ingress.status.clone();
        pass::begin(&mut status, ingress.generation(), &now);
        tell(
            &mut status,
            &ingress,
            standing.as_ref(),
            programmed,
            &self.reached,
            &now,
        );
        pass::end(
            &mut status,
            &ingress.status.observed().conditions,
            ingress.generation(),
            &now,
        );
        self.context.write_status(&ingress, status).await?;
        Ok(None)
    }
}

/// What the status says of an Ingress that stands so while gateways run version `programmed`.
fn tell(
    status: &mut IngressStatus,
    ingress: &Ingress,
    standing: Option<&Standing>,
    programmed: u64,
    reached: &Reached,
    now: &Time,
) {
    let uid = ingress.metadata.uid.as_deref().unwrap_or_default();
    let current = standing.filter(|standing| standing.uid == uid && standing.generation == ingress.generation());
    let Some(standing) = current else {
        status.mark_load_balancer_not_ready(now);
        return;
    };
    if let Some(lasting) = standing.problems.iter().find(|problem| !problem.is_passing()) {
        status.mark_load_balancer_failed("InvalidIngress", &lasting.to_string(), now);
        return;
    }
    if let Some(passing) = standing.problems.first() {
        status.mark_load_balancer_not_ready(now);
        status.mark_ingress_not_ready("NotProgrammed", &passing.to_string(), now);
        return;
    }
    status.mark_network_configured(now);
    match standing.version <= programmed {
        true => {
            let inside = LoadBalancerIngress {
                mesh_only: true,
                ..LoadBalancerIngress::default()
            };
            let outside = reached.public.clone().unwrap_or_else(|| inside.clone());
            status.mark_load_balancer_ready(vec![outside], vec![inside], now);
        }
        false => status.mark_load_balancer_not_ready(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Problem;

    fn time(seconds: i64) -> Time {
        Time(k8s_openapi::jiff::Timestamp::from_second(seconds).unwrap())
    }

    fn ingress() -> Ingress {
        let mut ingress = Ingress::default();
        ingress.metadata.uid = Some("u".to_owned());
        ingress.metadata.generation = Some(2);
        ingress
    }

    fn told(generation: i64, version: u64, problems: &[Problem]) -> IngressStatus {
        let standing = Standing {
            uid: "u".to_owned(),
            generation,
            version,
            problems: problems.to_vec(),
        };
        let mut status = IngressStatus::default();
        pass::begin(&mut status, 2, &time(1));
        tell(
            &mut status,
            &ingress(),
            Some(&standing),
            5,
            &Reached::default(),
            &time(2),
        );
        status
    }

    #[test]
    fn it_is_ready_once_every_gateway_runs_its_spec() {
        let status = told(2, 5, &[]);
        assert!(status.is_happy());
        assert!(status.private_load_balancer.unwrap().ingress[0].mesh_only);
        for early in [told(2, 6, &[]), told(1, 5, &[])] {
            let condition = early.condition("LoadBalancerReady").unwrap();
            assert_eq!(condition.reason, "Uninitialized");
            assert!(!early.is_happy());
        }
    }

    #[test]
    fn what_cannot_be_served_fails_and_what_is_missing_is_waited_for() {
        let failed = told(2, 5, &[Problem::NotPercents(90)]);
        let ready = failed.condition("Ready").unwrap();
        assert_eq!(
            (ready.status, ready.reason.as_str()),
            (api::condition::ConditionStatus::False, "InvalidIngress")
        );
        let waits = told(2, 5, &[Problem::NoBackend("default/hello-00001".to_owned())]);
        let ready = waits.condition("Ready").unwrap();
        assert_eq!(ready.status, api::condition::ConditionStatus::Unknown);
        assert!(ready.message.contains("hello-00001"), "{}", ready.message);
    }
}
