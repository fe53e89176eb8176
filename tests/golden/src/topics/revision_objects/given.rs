// SPDX-License-Identifier: Apache-2.0
//! What a case is given: the object, defaulted as on create, and the operator's settings.
//!
//! Depends on: api, data, logic.

use crate::data::Case;
use api::admitted::SetDefaults;
use api::context::{self, Context, Occasion};
use api::names::product;
use api::revision::desired::operator::Operator;
use api::revision::{ContainerStatus, Revision};
use api::service::Service;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;
use logic::settings::{self, Data, Problems};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The operator's settings in a case.
pub(super) struct Settings {
    admission: context::Settings,
    deployment: settings::Deployment,
    observability: settings::Observability,
}

impl Settings {
    pub(super) fn of(case: &Case) -> Result<Self, String> {
        Ok(Self {
            admission: context::Settings {
                autoscaler: parsed(case, "config-autoscaler", settings::Autoscaler::parse)?,
                defaults: parsed(case, "config-defaults", settings::Defaults::parse)?,
                features: parsed(case, "config-features", settings::Features::parse)?,
                cluster_domain: product::CLUSTER_DOMAIN.to_owned(),
            },
            deployment: parsed(case, "config-deployment", settings::Deployment::parse)?,
            observability: parsed(case, "config-observability", settings::Observability::parse)?,
        })
    }

    /// Fills in what an object gets on create.
    pub(super) fn set_defaults<T: SetDefaults>(&self, object: &mut T) {
        let context = Context {
            settings: &self.admission,
            occasion: Occasion::Create { user: "" },
        };
        object.set_defaults(None, &context);
    }

    pub(super) fn autoscaler(&self) -> &settings::Autoscaler {
        &self.admission.autoscaler
    }

    pub(super) fn operator(&self) -> Operator<'_> {
        Operator {
            autoscaler: self.autoscaler(),
            defaults: &self.admission.defaults,
            deployment: &self.deployment,
            features: &self.admission.features,
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

/// The Service, defaulted; nobody created it, so it names no creator.
pub(super) fn service(case: &Case, settings: &Settings) -> Result<Service, String> {
    let mut service: Service = object(&case.value["object"])?;
    let metadata = service.metadata.clone();
    settings.set_defaults(&mut service);
    service.metadata = metadata;
    Ok(service)
}

/// The Revision, defaulted, with the images as their own digests: the cases come from a run that looked none up.
pub(super) fn revision(case: &Case, settings: &Settings) -> Result<Revision, String> {
    let mut revision: Revision = object(&case.value["object"])?;
    settings.set_defaults(&mut revision);
    let pod = &revision.spec.pod;
    if revision.status.container_statuses.is_empty() {
        revision.status.container_statuses = statuses(&pod.containers);
        revision.status.init_container_statuses = statuses(pod.init_containers.as_deref().unwrap_or_default());
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
