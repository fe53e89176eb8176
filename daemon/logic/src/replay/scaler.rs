// SPDX-License-Identifier: Apache-2.0
//! The autoscaler of a simulated revision: the real runner, and the real plan of what follows from its decisions.
//!
//! Mechanism: `second` records what a second had (as Knative, nothing while there is neither pod nor load), pokes, and ticks
//! every other time; `reconcile` walks the plan and gives the pods to have.
//! Invariants: the activator answers probes exactly while the endpoints lead to it.
//! Depends on: kpa, model, settings.

use super::model::MOST_PODS;
use super::settings::Settings;
use crate::kpa::activators::Mode;
use crate::kpa::autoscaler::Sample;
use crate::kpa::runner::TICK;
use crate::kpa::zero::{Path, Probe};
use crate::kpa::{
    Active, ActiveSince, Activity, Annotations, Config, Moment, Observed, Plan, Planned, Reachability, Runner, Spec,
    Wake, plan,
};
use std::time::Duration;

/// The autoscaler and what it made of its revision.
#[derive(Debug)]
pub(super) struct Scaler {
    runner: Runner,
    annotations: Annotations,
    config: Config,
    condition: ActiveSince,
    activity: Activity,
    path: Path,
    desired_scale: i32,
    replicas: u32,
    seconds: u64,
    look_at: Option<u64>,
    is_capped: bool,
}

impl Scaler {
    /// The autoscaler of a revision that has run with `pods` ready pods for long.
    pub(super) fn new(settings: &Settings, now: u64, pods: u32) -> Self {
        let is_up = pods > 0;
        let now = moment(now);
        Self {
            // More would begin in panic, as after a restart of the autoscaler.
            runner: Runner::new(settings.spec(), now, pods.min(1)),
            annotations: settings.annotations.clone(),
            config: settings.config.clone(),
            condition: ActiveSince {
                active: if is_up { Active::Yes } else { Active::No },
                since: Moment::default(),
            },
            activity: if is_up { Activity::Active } else { Activity::NoTraffic },
            path: Path {
                mode: if is_up { Mode::Serve } else { Mode::Proxy },
                proxied_since: (!is_up).then_some(Moment::default()),
            },
            desired_scale: i32::try_from(pods).unwrap_or(i32::MAX),
            replicas: pods,
            seconds: 0,
            look_at: None,
            is_capped: false,
        }
    }

    /// A second has ended. The pods to have from now on.
    pub(super) fn second(&mut self, now: u64, ready: u32, sample: Sample) -> u32 {
        let at = moment(now);
        if ready > 0 || sample.concurrency > 0.0 || sample.rps > 0.0 {
            // Means of bounded counts are finite.
            let _ = self.runner.record(at, sample);
        }
        self.seconds += 1;
        let is_tick = self.seconds.is_multiple_of(TICK.as_secs());
        let woken = match is_tick {
            true => self.runner.tick(at, ready),
            false => self.runner.poke(at, ready, sample.concurrency),
        };
        match is_tick || woken == Wake::Yes {
            true => self.reconcile(now, ready),
            false => self.replicas,
        }
    }

    /// A burst between ticks. The pods to have from now on.
    pub(super) fn event(&mut self, now: u64, ready: u32, live: Sample) -> u32 {
        match self.runner.event(moment(now), ready, live) {
            Wake::Yes => self.reconcile(now, ready),
            Wake::No => self.replicas,
        }
    }

    /// Does what follows from what is decided. The pods to have from now on.
    pub(super) fn reconcile(&mut self, now: u64, ready: u32) -> u32 {
        let at = moment(now);
        self.look_at = None;
        if let Some(plan) = self.plan(at, ready) {
            self.apply(&plan, now);
        }
        self.replicas
    }

    fn plan(&self, now: Moment, ready: u32) -> Option<Plan> {
        let answer = match self.path.mode {
            Mode::Proxy => Probe::Answered,
            Mode::Serve => Probe::Failed,
        };
        let observed = Observed {
            annotations: &self.annotations,
            reachability: Reachability::Reachable,
            condition: self.condition,
            is_initialised: true,
            desired_scale: Some(self.desired_scale),
            has_service: true,
            path: self.path,
            ready,
            replicas: i32::try_from(self.replicas).ok(),
        };
        let spec = self.runner.autoscaler().spec();
        let ask = |probe| plan::plan(now, &observed, self.runner.status(), spec, &self.config, probe);
        let planned = match ask(Probe::NotAsked) {
            Planned::Probe => ask(answer),
            planned => planned,
        };
        match planned {
            Planned::Do(plan) => Some(plan),
            Planned::Probe => None,
        }
    }

    fn apply(&mut self, plan: &Plan, now: u64) {
        let at = moment(now);
        if plan.activity != Activity::Unchanged && plan.activity != self.activity {
            self.activity = plan.activity;
            self.condition = ActiveSince {
                active: plan.activity.status().unwrap_or(self.condition.active),
                since: at,
            };
        }
        if plan.mode != self.path.mode {
            self.path = Path {
                mode: plan.mode,
                proxied_since: (plan.mode == Mode::Proxy).then_some(at),
            };
        }
        self.desired_scale = plan.desired_scale.unwrap_or(self.desired_scale);
        self.look_at = plan
            .again_after
            .map(|wait| now.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX).max(1)));
        if let Some(pods) = plan.scale_to {
            let pods = u32::try_from(pods).unwrap_or(0);
            self.is_capped |= pods > MOST_PODS;
            self.replicas = pods.min(MOST_PODS);
        }
    }

    /// When to reconcile though nothing happened.
    pub(super) fn look_at(&self) -> Option<u64> {
        self.look_at
    }

    /// Pods wanted.
    pub(super) fn desired(&self) -> i32 {
        self.desired_scale.max(0)
    }

    /// Whether it lives through a burst.
    pub(super) fn is_panicking(&self) -> bool {
        self.runner.autoscaler().is_panicking()
    }

    /// What one pod should carry.
    pub(super) fn spec(&self) -> &Spec {
        self.runner.autoscaler().spec()
    }

    /// Whether more pods were wanted than a simulation has.
    pub(super) fn is_capped(&self) -> bool {
        self.is_capped
    }
}

fn moment(nanoseconds: u64) -> Moment {
    Moment::from_unix(Duration::from_nanos(nanoseconds))
}
