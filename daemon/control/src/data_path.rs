// SPDX-License-Identifier: Apache-2.0
//! The condition `DataPath` of Revisions and Routes: whether clients inside the cluster reach the pods without a hop.
//!
//! Mechanism: facts from the caches and what the nodes can do, the decision of `logic::data_path`; the mode of the
//! ServerlessService is the autoscaler's last word. The condition is true for Direct; nothing depends on it.
//! Depends on: context, gateway (target), logic (data_path), api.

use std::sync::Arc;

use api::condition::{Condition, ConditionStatus, Severity};
use api::conditions::Conditioned;
use api::ingress::{HttpIngressPath, Ingress};
use api::names::{product, protocol};
use api::revision::Revision;
use api::revision::desired::{deployment_name, protocol_of};
use api::route::{Route, RouteStatus};
use api::serverless_service::ServerlessService;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use logic::data_path::{Cluster, DataPath, Protocol, RevisionFacts, RouteFacts, Share, Wish};

use crate::context::Context;
use crate::gateway::target;
use crate::key::Key;
use crate::settings::Settings;

/// Its type.
pub const DATA_PATH: &str = "DataPath";
/// The mode of a ServerlessService whose pods are reached without us.
const SERVE: &str = "Serve";

/// What the operator's settings and the nodes have to say.
fn cluster(context: &Context, settings: &Settings) -> Cluster {
    Cluster {
        redirects: context.redirects,
        ..target::cluster(settings)
    }
}

/// What is known of a Revision.
#[must_use]
pub fn facts(context: &Context, revision: &Revision) -> RevisionFacts {
    let key = Key::of(&revision.metadata);
    let deployment = context.get::<Deployment>(&Key::new(&key.namespace, deployment_name(revision)));
    let ready = deployment.and_then(|deployment| deployment.status.as_ref()?.ready_replicas);
    let services = context.get::<ServerlessService>(&key);
    let concurrency = revision.spec.container_concurrency.unwrap_or_default();
    RevisionFacts {
        container_concurrency: u32::try_from(concurrency).unwrap_or_default(),
        protocol: match protocol_of(revision) {
            protocol::H2C => Protocol::Http2,
            _ => Protocol::Http1,
        },
        wish: wish(&revision.metadata),
        excess_burst_capacity: services.map(|services| if services.spec.mode == SERVE { 0 } else { -1 }),
        ready_pods: ready.and_then(|ready| u32::try_from(ready).ok()).unwrap_or_default(),
    }
}

/// Marks how a Revision is reached.
pub fn mark_revision(context: &Context, revision: &mut Revision, settings: &Settings, now: &Time) {
    let path = DataPath::of_revision(&facts(context, revision), &cluster(context, settings));
    revision.status.marks(now).set(condition(&path));
}

/// Marks how a Route is reached, by the traffic in its status.
pub fn mark_route(context: &Context, route: &Route, status: &mut RouteStatus, settings: &Settings, now: &Time) {
    let ingress = context.get::<Ingress>(&Key::new(route.namespace(), api::route::programme::ingress_name(route)));
    let facts = route_facts(route, status, ingress.as_deref(), settings);
    let revision = facts.only_revision().map(|name| Key::new(route.namespace(), name));
    let revision: Option<Arc<Revision>> = revision.and_then(|key| context.get(&key));
    let known = revision.map(|revision| self::facts(context, &revision));
    let path = DataPath::of_route(&facts, known.as_ref(), &cluster(context, settings));
    status.marks(now).set(condition(&path));
}

fn route_facts(route: &Route, status: &RouteStatus, ingress: Option<&Ingress>, settings: &Settings) -> RouteFacts {
    let shares = status.traffic.iter().map(|target| Share {
        revision: target.revision_name.as_str().into(),
        percent: target.percent.unwrap_or_default(),
    });
    let rules = ingress.into_iter().flat_map(|ingress| &ingress.spec.rules);
    let paths: Vec<&HttpIngressPath> = rules
        .filter_map(|rule| rule.http.as_ref())
        .flat_map(|http| http.paths.iter())
        .collect();
    let routes_by_tag = settings.features().tag_header_based_routing.is_enabled();
    RouteFacts {
        shares: shares.collect(),
        header_rule: !routes_by_tag && paths.iter().any(|path| !path.headers.is_empty()),
        path_rule: paths.iter().any(|path| !path.path.is_empty()),
        tag_header: routes_by_tag,
        https_only: ingress.is_some_and(|ingress| ingress.spec.http_option == "Redirected"),
        wish: wish(&route.metadata),
    }
}

fn wish(metadata: &ObjectMeta) -> Option<Wish> {
    let annotations = metadata.annotations.as_ref()?;
    annotations.get(product::DIRECT).and_then(|text| Wish::parse(text))
}

fn condition(path: &DataPath) -> Condition {
    Condition {
        kind: DATA_PATH.to_owned(),
        status: match path.is_direct() {
            true => ConditionStatus::True,
            false => ConditionStatus::False,
        },
        severity: Severity::Info,
        last_transition_time: None,
        reason: path.reason().to_owned(),
        message: path.message(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::conditions::READY;
    use k8s_openapi::jiff::Timestamp;
    use logic::data_path::Reason;

    #[test]
    fn how_a_route_is_reached_does_not_decide_whether_it_is_ready() {
        let now = Time(Timestamp::UNIX_EPOCH);
        let mut status = RouteStatus::default();
        status.marks(&now).initialize();
        for kind in RouteStatus::SET.dependents() {
            status.marks(&now).mark_true(kind);
        }
        let path = DataPath::from_reasons(vec![Reason::NoPods]);
        status.marks(&now).set(condition(&path));
        assert!(status.is_happy());
        assert_eq!(status.condition(DATA_PATH).unwrap().reason, "NoPods");
        assert_eq!(status.condition(READY).unwrap().reason, "");
    }
}
