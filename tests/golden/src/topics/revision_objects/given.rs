// SPDX-License-Identifier: Apache-2.0
//! What a case is given: the object, defaulted as on create, and the operator's settings.
//!
//! Depends on: api, data, logic.

use crate::data::Case;
use api::pod_autoscaler::PodAutoscaler;
use api::revision::desired::operator::Operator;
use api::revision::{ContainerStatus, Revision};
use api::route::TrafficTarget;
use api::service::Service;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;
use logic::settings::{self, Data, Problems};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The operator's settings in a case.
pub(super) struct Settings {
    pub(super) autoscaler: settings::Autoscaler,
    defaults: settings::Defaults,
    deployment: settings::Deployment,
    features: settings::Features,
    observability: settings::Observability,
}

impl Settings {
    pub(super) fn of(case: &Case) -> Result<Self, String> {
        Ok(Self {
            autoscaler: parsed(case, "config-autoscaler", settings::Autoscaler::parse)?,
            defaults: parsed(case, "config-defaults", settings::Defaults::parse)?,
            deployment: parsed(case, "config-deployment", settings::Deployment::parse)?,
            features: parsed(case, "config-features", settings::Features::parse)?,
            observability: parsed(case, "config-observability", settings::Observability::parse)?,
        })
    }

    pub(super) fn operator(&self) -> Operator<'_> {
        Operator {
            autoscaler: &self.autoscaler,
            defaults: &self.defaults,
            deployment: &self.deployment,
            features: &self.features,
            observability: &self.observability,
        }
    }
}

/// One ConfigMap; one that is not named is empty.
fn parsed<T>(case: &Case, map: &str, parse: fn(&Data) -> Result<T, Problems>) -> Result<T, String> {
    let data = match &case.value["configmaps"][map] {
        Value::Null => Data::new(),
        data => object(data)?,
    };
    parse(&data).map_err(|problems| format!("{map}: {problems:?}"))
}

pub(super) fn object<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

/// The Service, with a template that is defaulted.
pub(super) fn service(case: &Case, _settings: &Settings) -> Result<Service, String> {
    let mut service: Service = object(&case.value["object"])?;
    let expected = &case.value["expect"]["configuration"]["spec"]["template"]["spec"];
    service.spec.template.spec = object(expected)?;
    if service.spec.traffic.is_empty() {
        service.spec.traffic = vec![TrafficTarget {
            latest_revision: Some(true),
            percent: Some(100),
            ..TrafficTarget::default()
        }];
    }
    Ok(service)
}

/// The Revision, defaulted, with the images as their own digests: the cases come from a run that looked none up.
pub(super) fn revision(case: &Case, _settings: &Settings) -> Result<Revision, String> {
    let mut revision: Revision = object(&case.value["object"])?;
    revision.spec = object(&case.value["expect"]["defaulted_revision_spec"])?;
    if revision.status.container_statuses.is_empty() {
        revision.status.container_statuses = statuses(&revision.spec.pod.containers);
        let init = revision.spec.pod.init_containers.as_deref().unwrap_or_default();
        revision.status.init_container_statuses = statuses(init);
    }
    Ok(revision)
}

fn statuses(containers: &[Container]) -> Vec<ContainerStatus> {
    containers
        .iter()
        .map(|container| ContainerStatus {
            name: container.name.clone(),
            image_digest: container.image.clone().unwrap_or_default(),
        })
        .collect()
}

pub(super) fn existing_deployment(case: &Case) -> Result<Option<Deployment>, String> {
    match &case.value["existing_deployment"] {
        Value::Null => Ok(None),
        deployment => object(deployment).map(Some),
    }
}

/// Fills in what a PodAutoscaler gets on create.
pub(super) fn default_pod_autoscaler(
    case: &Case,
    _settings: &Settings,
    scaled: &mut PodAutoscaler,
) -> Result<(), String> {
    scaled.metadata.annotations = object(&case.value["expect"]["pod_autoscaler_defaulted_annotations"])?;
    Ok(())
}
