// SPDX-License-Identifier: Apache-2.0
//! The address of what a domain shall lead to: control-plane spec 4.9, step 5.
//!
//! Mechanism: Services and Routes of Knative say their address in their status; a Service of Kubernetes has one by its name.
//! Depends on: context, tracker, api (domain_mapping).

use api::address::Addressable;
use api::domain_mapping::DomainMapping;
use api::route::Route;
use api::service::Service;
use k8s_openapi::api::core::v1::Service as KubernetesService;

use crate::context::Context;
use crate::kept::{Kept, api_version};
use crate::key::Key;
use crate::tracker::Reference;

/// What a kind is called in references; a Service may be Knative's or Kubernetes'.
pub(super) fn name_of<K: Kept>() -> &'static str {
    match (K::group(), K::kind()) {
        ("", "Service") => "core Service",
        (_, kind) => kind,
    }
}

/// What the DomainMapping refers to, if it is of a kind that can have an address.
pub(super) fn reference(mapping: &DomainMapping) -> Option<Reference> {
    let reference = &mapping.spec.reference;
    let kinds = [
        (api_version::<Service>(), Service::kind(), name_of::<Service>()),
        (api_version::<Route>(), Route::kind(), name_of::<Route>()),
        (
            api_version::<KubernetesService>(),
            KubernetesService::kind(),
            name_of::<KubernetesService>(),
        ),
    ];
    let found = kinds
        .iter()
        .find(|(version, kind, _)| *version == reference.api_version && *kind == reference.kind);
    found.map(|(_, _, name)| (*name, key(mapping)))
}

fn key(mapping: &DomainMapping) -> Key {
    let reference = &mapping.spec.reference;
    let namespace = match reference.namespace.as_str() {
        "" => mapping.namespace(),
        namespace => namespace,
    };
    Key::new(namespace, &reference.name)
}

/// The address of what the DomainMapping refers to, or why there is none.
pub(super) fn of(context: &Context, mapping: &DomainMapping, cluster_domain: &str) -> Result<String, String> {
    let key = key(mapping);
    let missing = |plural: &str| format!("failed to get object {key}: {plural} {:?} not found", key.name);
    match reference(mapping) {
        Some(("core Service", key)) => match context.get::<KubernetesService>(&key) {
            Some(_) => Ok(format!("http://{}.{}.svc.{cluster_domain}", key.name, key.namespace)),
            None => Err(missing("services")),
        },
        Some(("Service", key)) => match context.get::<Service>(&key) {
            Some(service) => said(service.status.address.as_ref(), &key),
            None => Err(missing("services.serving.knative.dev")),
        },
        Some((_, key)) => match context.get::<Route>(&key) {
            Some(route) => said(route.status.address.as_ref(), &key),
            None => Err(missing("routes.serving.knative.dev")),
        },
        None => {
            let reference = &mapping.spec.reference;
            Err(format!(
                "{} {} has no address that a domain can lead to",
                reference.api_version, reference.kind
            ))
        }
    }
}

fn said(address: Option<&Addressable>, key: &Key) -> Result<String, String> {
    let url = address.and_then(|address| address.url.clone());
    url.ok_or_else(|| format!("address not set for {key}"))
}
