// SPDX-License-Identifier: Apache-2.0
//! A Route over time: before each step something changes, then it is reconciled once, then everything is compared.
//!
//! Depends on: api, store.

use super::store::Store;
use super::{config_map, hash, same, without_kind};
use crate::report::Verdict;
use api::names::networking;
use api::route::RouteStatus;
use api::route::naming::Naming;
use api::route::reconcile::{Decision, Seen, Settings, reconcile};
use api::route::targets::Targets;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use logic::settings::{Domain, Features, Network};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CLUSTER_DOMAIN: &str = "cluster.local";
/// config-network refuses it here (design 5), yet what it does to an Ingress is known.
const SYSTEM_INTERNAL_TLS: &str = "system-internal-tls";

/// The settings of one case.
struct Configured {
    network: Network,
    domain: Domain,
    features: Features,
    is_system_internal_tls: bool,
}

pub(super) fn judge(case: &Value) -> Verdict {
    let configured = Configured::read(case)?;
    let mut store = Store::default();
    let mut services = json!([]);
    let steps = case["steps"].as_array().ok_or("no steps")?;
    for (index, step) in steps.iter().enumerate() {
        let mut expected = step["expect"].clone();
        if expected["services"].is_null() {
            expected["services"] = services;
        }
        services = expected["services"].clone();
        for key in ["endpoints", "certificates", "events", "requeue_after_ns"] {
            if expected[key].is_null() {
                expected[key] = json!([]);
            }
        }
        let actual = play(&mut store, &configured, step)?;
        same(&expected, &actual).map_err(|difference| format!("step {index}: {difference}"))?;
    }
    Ok(())
}

impl Configured {
    fn read(case: &Value) -> Result<Self, String> {
        let mut network = config_map(case, "config-network");
        let system_internal_tls = network.remove(SYSTEM_INTERNAL_TLS);
        let domain = config_map(case, "config-domain");
        let features = config_map(case, "config-features");
        Ok(Self {
            network: Network::parse(&network).map_err(|problems| format!("{problems:?}"))?,
            domain: Domain::parse_in(&domain, CLUSTER_DOMAIN).map_err(|problems| format!("{problems:?}"))?,
            features: Features::parse(&features).map_err(|problems| format!("{problems:?}"))?,
            is_system_internal_tls: system_internal_tls.is_some_and(|text| text.eq_ignore_ascii_case("enabled")),
        })
    }

    fn settings(&self) -> Settings<'_> {
        Settings {
            naming: Naming {
                network: &self.network,
                domain: &self.domain,
                cluster_domain: CLUSTER_DOMAIN,
            },
            features: &self.features,
            is_system_internal_tls: self.is_system_internal_tls,
            own_class: None,
        }
    }
}

/// One step; what there is after it.
fn play(store: &mut Store, configured: &Configured, step: &Value) -> Result<Value, String> {
    let nanoseconds = step["now_unix_ns"].as_i64().ok_or("no time")?;
    let now = Time(Timestamp::from_nanosecond(i128::from(nanoseconds)).map_err(|error| error.to_string())?);
    store.change(step, &now)?;
    let decision = decide(store, configured, &now);
    let events: Vec<_> = decision
        .actions
        .iter()
        .filter_map(|action| Some(action.event.as_ref()?.to_string()))
        .collect();
    store.route.status = decision.status;
    for action in decision.actions {
        store.apply(action);
    }
    let mut shown = json!({
        "error": decision.error.map(|error| error.to_string()),
        "events": events,
        "requeue_after_ns": decision.requeue_after.iter().map(|wait| wait.as_nanos()).collect::<Vec<_>>(),
        "services": all(&store.services)?,
        "endpoints": all(&store.endpoints)?,
        "certificates": all_without_status(&store.certificates)?,
        "route_status": status(&store.route.status)?,
        "ingress": null,
    });
    if let Some(ingress) = &store.ingress {
        let annotation = ingress.annotation(networking::ROLLOUT).unwrap_or_default();
        shown["rollout"] = serde_json::from_str(annotation).map_err(|error| error.to_string())?;
        shown["probe_hash"] = json!(hash(ingress)?);
        shown["ingress"] = without_status(ingress)?;
    }
    Ok(shown)
}

fn decide(store: &Store, configured: &Configured, now: &Time) -> Decision {
    let seen = Seen {
        targets: Targets {
            configurations: &store.configurations,
            revisions: &store.revisions,
        },
        services: &store.services,
        endpoints: &store.endpoints,
        certificates: &store.certificates,
        ingress: store.ingress.as_ref(),
    };
    reconcile(&store.route, seen, configured.settings(), now)
}

fn all<T: Serialize>(objects: &BTreeMap<String, T>) -> Result<Vec<Value>, String> {
    objects.values().map(without_kind).collect()
}

fn all_without_status<T: Serialize>(objects: &BTreeMap<String, T>) -> Result<Vec<Value>, String> {
    objects.values().map(without_status).collect()
}

/// The data show neither the status of these objects nor their generation.
fn without_status<T: Serialize>(object: &T) -> Result<Value, String> {
    let mut value = without_kind(object)?;
    value["status"] = json!({});
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("generation");
    }
    Ok(value)
}

/// The data show no times.
fn status(status: &RouteStatus) -> Result<Value, String> {
    let mut status = status.clone();
    for condition in &mut status.observed.conditions {
        condition.last_transition_time = None;
    }
    serde_json::to_value(&status).map_err(|error| error.to_string())
}
