// SPDX-License-Identifier: Apache-2.0
//! Whether the traffic of a Service has arrived where its spec wants it: control-plane spec 4.2, step 6.
//!
//! Invariants: a Route that merged equal targets has fewer than its spec and counts as not arrived, as in Knative.
//! Depends on: its parent, configuration, route.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ROUTES_READY;
use crate::condition::ConditionStatus;
use crate::conditions::{Conditioned, is};
use crate::configuration::Configuration;
use crate::route::{Route, TrafficTarget};
use crate::service::ServiceStatus;

/// Takes a ready Route back to unknown while its traffic goes elsewhere than the latest ready Revision.
pub fn observe(status: &mut ServiceStatus, configuration: &Configuration, route: &Route, now: &Time) {
    let is_ready = is(status.condition(ROUTES_READY), ConditionStatus::True);
    if is_ready && !has_arrived(configuration, route) {
        status.mark_route_not_yet_ready(now);
    }
}

fn has_arrived(configuration: &Configuration, route: &Route) -> bool {
    let (wanted, found) = (&route.spec.traffic, &route.status.traffic);
    wanted.len() == found.len()
        && wanted
            .iter()
            .zip(found)
            .all(|(wanted, found)| comparable(&resolved(wanted, configuration)) == comparable(found))
}

/// The target with the Revision that the Configuration stands for.
fn resolved(target: &TrafficTarget, configuration: &Configuration) -> TrafficTarget {
    let mut target = target.clone();
    if target.configuration_name == configuration.name() {
        target.configuration_name.clear();
        target
            .revision_name
            .clone_from(&configuration.status.latest_ready_revision_name);
    }
    target
}

/// All but the URL and whether it follows the latest.
fn comparable(target: &TrafficTarget) -> (&str, &str, &str, Option<i64>) {
    (
        &target.tag,
        &target.revision_name,
        &target.configuration_name,
        target.percent,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;
    use serde_json::{Value, json};

    fn is_ready(spec: Value, status: Value) -> bool {
        let configuration: Configuration = serde_json::from_value(json!({"metadata": {"name": "hello"},
            "status": {"latestReadyRevisionName": "hello-2"}}))
        .unwrap();
        let route = serde_json::from_value(json!({"spec": {"traffic": spec}, "status": {"traffic": status}})).unwrap();
        let mut service = ServiceStatus::default();
        let now = Time(Timestamp::UNIX_EPOCH);
        service.marks(&now).mark_true(ROUTES_READY);
        observe(&mut service, &configuration, &route, &now);
        is(service.condition(ROUTES_READY), ConditionStatus::True)
    }

    #[test]
    fn traffic_at_the_latest_revision_has_arrived() {
        let wanted = json!([{"configurationName": "hello", "percent": 100, "latestRevision": true}]);
        let at = |revision| json!([{"revisionName": revision, "percent": 100, "url": "http://x"}]);
        assert!(is_ready(wanted.clone(), at("hello-2")));
        assert!(!is_ready(wanted, at("hello-1")));
    }

    #[test]
    fn a_target_less_counts_as_not_arrived() {
        let half = json!({"revisionName": "hello-1", "percent": 50});
        let whole = json!({"revisionName": "hello-1", "percent": 100});
        assert!(!is_ready(json!([half, half]), json!([whole])));
    }
}
