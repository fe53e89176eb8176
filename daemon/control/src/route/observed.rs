// SPDX-License-Identifier: Apache-2.0
//! What a Route's decision looks at, from the caches.
//!
//! Depends on: context, api (route).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::certificate::Certificate;
use api::configuration::Configuration;
use api::ingress::Ingress;
use api::names::{networking, serving};
use api::revision::Revision;
use api::route::Route;
use api::route::naming::Naming;
use api::route::programme::ingress_name;
use api::route::targets::DEFAULT_GROUP;
use k8s_openapi::api::core::v1::{Endpoints, Service};

use crate::caches::Cached;
use crate::context::Context;
use crate::key::Key;

/// What there is.
pub(super) struct Observed {
    pub(super) configurations: BTreeMap<String, Configuration>,
    pub(super) revisions: BTreeMap<String, Revision>,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) endpoints: BTreeMap<String, Endpoints>,
    pub(super) certificates: BTreeMap<String, Certificate>,
    pub(super) ingress: Option<Arc<Ingress>>,
}

/// Gathers what there is.
pub(super) fn of(context: &Context, route: &Route, naming: Naming<'_>) -> Observed {
    let mut configurations = BTreeMap::new();
    let mut revisions = BTreeMap::new();
    for target in &route.spec.traffic {
        if !target.revision_name.is_empty() {
            add(context, route, &target.revision_name, &mut revisions);
        } else if !target.configuration_name.is_empty() {
            add(context, route, &target.configuration_name, &mut configurations);
        }
    }
    // A pinned Revision is looked at together with what it is of.
    let owners: BTreeSet<_> = revisions
        .values()
        .filter_map(|revision: &Revision| revision.label(serving::CONFIGURATION).map(str::to_owned))
        .collect();
    for name in owners {
        add(context, route, &name, &mut configurations);
    }
    let latest = configurations
        .values()
        .map(|configuration: &Configuration| &configuration.status.latest_ready_revision_name);
    for name in latest.filter(|name| !name.is_empty()) {
        add(context, route, name, &mut revisions);
    }
    let labelled = context
        .caches
        .kubernetes_services
        .labelled(route.namespace(), route.name());
    let mut services: BTreeMap<_, _> = labelled
        .into_iter()
        .map(|service| {
            (
                service.metadata.name.clone().unwrap_or_default(),
                Service::clone(&service),
            )
        })
        .collect();
    for name in names(route, naming) {
        add(context, route, &name, &mut services);
    }
    let mut endpoints = BTreeMap::new();
    for name in services
        .keys()
        .cloned()
        .chain(names(route, naming))
        .collect::<BTreeSet<_>>()
    {
        add::<Endpoints>(context, route, &name, &mut endpoints);
    }
    Observed {
        configurations,
        revisions,
        services,
        endpoints,
        certificates: certificates(context, route, naming),
        ingress: context.get(&Key::new(route.namespace(), ingress_name(route))),
    }
}

/// The names of the Services that are wanted; those that cannot be rendered are the decision's to tell.
fn names(route: &Route, naming: Naming<'_>) -> BTreeSet<String> {
    let tags = route.spec.traffic.iter().map(|target| target.tag.as_str());
    std::iter::once(DEFAULT_GROUP)
        .chain(tags)
        .filter_map(|tag| naming.label(route, tag).ok())
        .collect()
}

fn add<K: Cached>(context: &Context, route: &Route, name: &str, found: &mut BTreeMap<String, K>) {
    if let Some(object) = context.get::<K>(&Key::new(route.namespace(), name)) {
        found.insert(name.to_owned(), K::clone(&object));
    }
}

/// Those of the Route, of the names that it wants, and those that cover a whole domain: the latter only where any is wanted.
fn certificates(context: &Context, route: &Route, naming: Naming<'_>) -> BTreeMap<String, Certificate> {
    let cache = &context.caches.certificates;
    let mut found = cache.labelled(route.namespace(), route.name());
    if naming.network.external_domain_tls || naming.network.cluster_local_domain_tls {
        let prefix = format!("route-{}", route.metadata.uid.as_deref().unwrap_or_default());
        let others = cache.all().into_iter().filter(|certificate| {
            certificate.namespace() == route.namespace()
                && (certificate.name().starts_with(&prefix) || certificate.label(networking::WILDCARD_DOMAIN).is_some())
        });
        found.extend(others);
    }
    let named = |certificate: Arc<Certificate>| (certificate.name().to_owned(), Certificate::clone(&certificate));
    found.into_iter().map(named).collect()
}
