// SPDX-License-Identifier: Apache-2.0
//! Which share every Revision has at this moment: control-plane spec 4.7, 4.8.
//!
//! Mechanism: the goal follows from the traffic; the state before it stands in the annotation of the Ingress.
//! Invariants: the first Ingress of a Route never rolls.
//! Depends on: targets, naming, `logic::traffic`, ingress (its types), conditions.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use logic::settings::{Network, Span};
use logic::traffic::rollout::{self, ConfigurationRollout, Observation, RevisionRollout, Rollout, StepParams, Stepped};

use super::naming::{Naming, NamingError, Visibility};
use super::status::INGRESS_READY;
use super::targets::{RevisionTarget, Traffic};
use super::{Route, RouteStatus, TrafficTarget};
use crate::condition::ConditionStatus;
use crate::conditions::{self, Conditioned};
use crate::ingress::Ingress;
use crate::names::{first, networking, serving};

/// The shares that the spec asks for: one Revision a Configuration that is followed, none without a share.
#[must_use]
pub fn goal(traffic: &Traffic) -> Rollout {
    let followed = |target: &&RevisionTarget| target.follows_latest() && target.percent != 0;
    let mut goal = Rollout {
        configurations: traffic
            .groups
            .iter()
            .flat_map(|(tag, targets)| targets.iter().filter(followed).map(|target| wanted(tag, target)))
            .collect(),
    };
    goal.sort();
    goal
}

fn wanted(tag: &str, target: &RevisionTarget) -> ConfigurationRollout {
    ConfigurationRollout {
        configuration_name: target.configuration.clone(),
        tag: tag.to_owned(),
        percent: target.percent,
        revisions: vec![RevisionRollout {
            revision_name: target.revision.clone(),
            percent: target.percent,
        }],
        step_params: StepParams::default(),
    }
}

/// The shares in effect at `now`, and when the next step is due.
#[must_use]
pub fn rollout(
    route: &Route,
    status: &RouteStatus,
    traffic: &Traffic,
    ingress: Option<&Ingress>,
    network: &Network,
    now: &Time,
) -> Stepped {
    let goal = goal(traffic);
    let Some(ingress) = ingress else {
        return Stepped {
            rollout: goal,
            next_step: None,
        };
    };
    let route_says_ready = conditions::is(status.condition(INGRESS_READY), ConditionStatus::True);
    let observation = Observation {
        annotation: ingress.annotation(networking::ROLLOUT),
        duration: duration(route, network),
        ingress_became_ready: ingress.is_ready() && !route_says_ready,
        now: nanoseconds(now),
    };
    rollout::reconcile(goal, &observation)
}

/// Unix time in nanoseconds, as far as 64 bits go.
#[must_use]
pub fn nanoseconds(now: &Time) -> i64 {
    let nanoseconds = now.0.as_nanosecond();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

/// Whole seconds: what the Route asks for, else what the cluster does.
fn duration(route: &Route, network: &Network) -> Duration {
    let annotations = route.metadata.annotations.as_ref();
    let text = annotations.and_then(|annotations| first(&serving::ROLLOUT_DURATION, annotations));
    let asked = text.and_then(|(_, text)| Span::parse(text).ok());
    let seconds = asked.map_or(0, |span| span.as_nanos() / 1_000_000_000);
    let seconds = if seconds == 0 {
        network.rollout_duration_secs
    } else {
        seconds
    };
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// The traffic as the status tells it: in the order of the spec, with these shares.
///
/// # Errors
/// A tag has no host.
pub fn status_traffic(
    route: &Route,
    traffic: &Traffic,
    visibilities: &BTreeMap<String, Visibility>,
    naming: Naming<'_>,
    rollout: &Rollout,
) -> Result<Vec<TrafficTarget>, NamingError> {
    let mut all = Vec::new();
    for target in &traffic.targets {
        let visibility = visibilities.get(&target.tag).copied().unwrap_or(Visibility::ExternalIp);
        let url = match target.tag.as_str() {
            "" => None,
            tag => Some(url(naming, &naming.host(route, tag, visibility)?, visibility)),
        };
        all.extend(shares(target, rollout).into_iter().map(|share| TrafficTarget {
            tag: target.tag.clone(),
            revision_name: share.revision_name,
            latest_revision: target.latest_revision,
            percent: Some(share.percent),
            url: url.clone(),
            ..TrafficTarget::default()
        }));
    }
    Ok(all)
}

/// The URL of a host before certificates are thought of.
#[must_use]
pub fn url(naming: Naming<'_>, host: &str, visibility: Visibility) -> String {
    let scheme = match visibility {
        Visibility::ClusterLocal => "http",
        Visibility::ExternalIp => &naming.network.default_external_scheme,
    };
    format!("{scheme}://{host}")
}

fn shares(target: &RevisionTarget, rollout: &Rollout) -> Vec<RevisionRollout> {
    let of_configuration = |one: &&ConfigurationRollout| one.configuration_name == target.configuration;
    let rolling = rollout
        .of_tag(&target.tag)
        .find(of_configuration)
        .filter(|_| target.follows_latest());
    match rolling {
        Some(rolling) => rolling.revisions.clone(),
        None => vec![RevisionRollout {
            revision_name: target.revision.clone(),
            percent: target.percent,
        }],
    }
}
