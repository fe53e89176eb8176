// SPDX-License-Identifier: Apache-2.0
//! What a Service makes: a Configuration and a Route, both of its own name; control-plane spec 4.2.
//!
//! Invariants: the same Service gives the same objects; labels and annotations of the user reach both.
//! Depends on: configuration, names, object, route.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Service;
use crate::configuration::{Configuration, ConfigurationSpec, ConfigurationStatus};
use crate::names::{kubernetes, serving};
use crate::route::{Route, RouteSpec, RouteStatus, TrafficTarget};

/// The Configuration of a Service; `existing`: the one that is there, whose Routes are kept in mind.
#[must_use]
pub fn configuration(service: &Service, existing: Option<&Configuration>) -> Configuration {
    let mut labels = labels(service);
    labels.insert(
        serving::SERVICE_UID.to_owned(),
        service.metadata.uid.clone().unwrap_or_default(),
    );
    let [kebab, camel] = serving::ROLLOUT_DURATION;
    let mut annotations = annotations_without(service, &[kubernetes::LAST_APPLIED, kebab, camel]);
    annotations.insert(serving::ROUTES.to_owned(), routes(service, existing));
    Configuration {
        metadata: metadata(service, labels, annotations),
        spec: ConfigurationSpec {
            template: service.spec.template.clone(),
        },
        status: ConfigurationStatus::default(),
    }
}

/// The Route of a Service: targets without a Revision follow the Configuration.
#[must_use]
pub fn route(service: &Service) -> Route {
    let annotations = annotations_without(service, &[kubernetes::LAST_APPLIED]);
    let traffic = service.spec.traffic.iter().map(|target| {
        let mut target: TrafficTarget = target.clone();
        if target.revision_name.is_empty() {
            service.name().clone_into(&mut target.configuration_name);
        }
        target
    });
    Route {
        metadata: metadata(service, labels(service), annotations),
        spec: RouteSpec {
            traffic: traffic.collect(),
        },
        status: RouteStatus::default(),
    }
}

fn metadata(service: &Service, labels: BTreeMap<String, String>, annotations: BTreeMap<String, String>) -> ObjectMeta {
    ObjectMeta {
        name: service.metadata.name.clone(),
        namespace: service.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: Some(annotations).filter(|annotations| !annotations.is_empty()),
        owner_references: Some(vec![service.controller_reference()]),
        ..ObjectMeta::default()
    }
}

fn labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(serving::SERVICE.to_owned(), service.name().to_owned());
    labels
}

fn annotations_without(service: &Service, keys: &[&str]) -> BTreeMap<String, String> {
    let mut annotations = service.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| !keys.contains(&key.as_str()));
    annotations
}

/// The Routes that point at the Configuration: those it knows and the Service's own, sorted.
fn routes(service: &Service, existing: Option<&Configuration>) -> String {
    let known = existing.and_then(|configuration| configuration.annotation(serving::ROUTES));
    let mut routes: BTreeSet<&str> = known
        .into_iter()
        .flat_map(|known| known.split(','))
        .filter(|route| !route.is_empty())
        .collect();
    routes.insert(service.name());
    routes.into_iter().collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Service {
        let mut service = Service::default();
        service.metadata.name = Some("hello".to_owned());
        service
    }

    #[test]
    fn routes_that_others_pointed_here_are_kept_in_order() {
        let mut existing = Configuration::default();
        let known = BTreeMap::from([(serving::ROUTES.to_owned(), "zoo,ant".to_owned())]);
        existing.metadata.annotations = Some(known);
        let made = configuration(&hello(), Some(&existing));
        assert_eq!(made.annotation(serving::ROUTES), Some("ant,hello,zoo"));
    }

    #[test]
    fn only_targets_without_a_revision_follow_the_configuration() {
        let mut service = hello();
        service.spec.traffic = vec![
            TrafficTarget::default(),
            TrafficTarget {
                revision_name: "hello-00001".to_owned(),
                ..TrafficTarget::default()
            },
        ];
        let names: Vec<_> = route(&service)
            .spec
            .traffic
            .into_iter()
            .map(|target| target.configuration_name)
            .collect();
        assert_eq!(names, ["hello", ""]);
    }
}
