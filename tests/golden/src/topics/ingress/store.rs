// SPDX-License-Identifier: Apache-2.0
//! What an API server, a gateway and an issuer of certificates do between two reconciliations of one Route.
//!
//! Invariants: a write that changes the spec of the Ingress raises its generation, 1 when created; Services have the
//! status that the API server gives them.
//! Depends on: api.

use super::read;
use api::certificate::Certificate;
use api::condition::Condition;
use api::conditions::{Conditioned, pass};
use api::configuration::Configuration;
use api::ingress::Ingress;
use api::object::Object;
use api::revision::Revision;
use api::route::Route;
use api::route::action::{Action, Change, Write};
use k8s_openapi::api::core::v1::{Endpoints, LoadBalancerStatus, Service, ServiceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The objects of one namespace.
#[derive(Default)]
pub(super) struct Store {
    pub(super) route: Route,
    pub(super) configurations: BTreeMap<String, Configuration>,
    pub(super) revisions: BTreeMap<String, Revision>,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) endpoints: BTreeMap<String, Endpoints>,
    pub(super) certificates: BTreeMap<String, Certificate>,
    pub(super) ingress: Option<Ingress>,
}

impl Store {
    /// What changed before a step.
    pub(super) fn change(&mut self, step: &Value, now: &Time) -> Result<(), String> {
        if !step["route"].is_null() {
            let status = std::mem::take(&mut self.route.status);
            self.route = read(&step["route"])?;
            self.route.status = status;
        }
        if !step["configurations"].is_null() {
            self.configurations = by_name(&step["configurations"])?;
        }
        if !step["revisions"].is_null() {
            self.revisions = by_name(&step["revisions"])?;
        }
        if !step["patch_services"].is_null() {
            self.patch_services(&step["patch_services"])?;
        }
        if let Some(is_ready) = step["ingress_ready"].as_bool() {
            self.answer_as_gateway(step, is_ready, now)?;
        }
        if let Some(is_ready) = step["certificates_ready"].as_bool() {
            self.answer_as_issuer(is_ready, now);
        }
        Ok(())
    }

    fn patch_services(&mut self, patches: &Value) -> Result<(), String> {
        for patch in services(patches)? {
            let name = name_of(&patch.metadata);
            match self.services.get_mut(&name) {
                Some(service) => {
                    let labels = service.metadata.labels.get_or_insert_default();
                    labels.extend(patch.metadata.labels.unwrap_or_default());
                }
                None => drop(self.services.insert(name, as_served(patch))),
            }
        }
        Ok(())
    }

    fn answer_as_gateway(&mut self, step: &Value, is_ready: bool, now: &Time) -> Result<(), String> {
        let Some(ingress) = &mut self.ingress else {
            return Ok(());
        };
        let before: Vec<Condition> = ingress.status.observed.conditions.clone();
        let generation = ingress.generation();
        let status = &mut ingress.status;
        pass::begin(status, generation, now);
        status.mark_network_configured(now);
        match is_ready {
            true => {
                status.mark_load_balancer_ready(balancers(&step["public_lb"])?, balancers(&step["private_lb"])?, now)
            }
            false => status.mark_load_balancer_not_ready(now),
        }
        pass::end(status, &before, generation, now);
        Ok(())
    }

    fn answer_as_issuer(&mut self, is_ready: bool, now: &Time) {
        for certificate in self.certificates.values_mut() {
            let generation = certificate.generation();
            match is_ready {
                true => certificate.status.mark_ready(now),
                false => certificate.status.mark_not_ready("", "", now),
            }
            certificate.status.observed_mut().observed_generation = generation;
        }
    }

    /// Does what a decision wants.
    pub(super) fn apply(&mut self, action: Action) {
        match action.write {
            Write::Service(change) => apply(&mut self.services, change, |service| {
                (name_of(&service.metadata), as_served(service))
            }),
            Write::Endpoints(change) => apply(&mut self.endpoints, change, |endpoints| {
                (name_of(&endpoints.metadata), endpoints)
            }),
            Write::Certificate(change) => {
                apply(&mut self.certificates, change, |certificate| {
                    (certificate.name().to_owned(), certificate)
                });
            }
            Write::Ingress(Change::Delete(_)) => self.ingress = None,
            Write::Ingress(Change::Create(ingress) | Change::Update(ingress) | Change::Replace(ingress)) => {
                self.write_ingress(*ingress);
            }
        }
    }

    fn write_ingress(&mut self, mut ingress: Ingress) {
        ingress.metadata.generation = Some(match &self.ingress {
            None => 1,
            Some(stored) => stored.generation() + i64::from(stored.spec != ingress.spec),
        });
        self.ingress = Some(ingress);
    }
}

fn apply<T>(objects: &mut BTreeMap<String, T>, change: Change<T>, stored: impl Fn(T) -> (String, T)) {
    match change {
        Change::Delete(name) => drop(objects.remove(&name)),
        Change::Create(object) | Change::Update(object) | Change::Replace(object) => {
            let (name, object) = stored(*object);
            objects.insert(name, object);
        }
    }
}

/// Services, or by name the labels of each.
fn services(patches: &Value) -> Result<Vec<Service>, String> {
    let Some(labels) = patches.as_object() else {
        return read(patches);
    };
    let patch = |(name, labels): (&String, &Value)| {
        let metadata = match labels["metadata"].is_null() {
            true => json!({"labels": labels}),
            false => labels["metadata"].clone(),
        };
        let mut service: Service = read(&json!({"metadata": metadata}))?;
        service.metadata.name.get_or_insert_with(|| name.clone());
        Ok(service)
    };
    labels.iter().map(patch).collect()
}

fn balancers(value: &Value) -> Result<Vec<api::ingress::LoadBalancerIngress>, String> {
    match value.is_null() {
        true => Ok(Vec::new()),
        false => read(value),
    }
}

fn by_name<S, T>(value: &Value) -> Result<BTreeMap<String, Object<S, T>>, String>
where
    Object<S, T>: serde::de::DeserializeOwned,
{
    let objects: Vec<Object<S, T>> = read(value)?;
    Ok(objects
        .into_iter()
        .map(|object| (object.name().to_owned(), object))
        .collect())
}

fn name_of(metadata: &ObjectMeta) -> String {
    metadata.name.clone().unwrap_or_default()
}

/// A Service with the status that it has from the start.
fn as_served(mut service: Service) -> Service {
    let status = service.status.get_or_insert_with(ServiceStatus::default);
    status.load_balancer.get_or_insert_with(LoadBalancerStatus::default);
    service
}
