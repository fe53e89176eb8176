// SPDX-License-Identifier: Apache-2.0
//! `ingress.jsonl`: Routes over time, Ingresses of DomainMappings, and the hash that gateways are probed for.
//!
//! Depends on: api, compare, data, report; route, store.

mod route;
mod store;

use crate::compare;
use crate::data::Case;
use crate::report::Verdict;
use api::domain_mapping::DomainMapping;
use api::domain_mapping::desired;
use api::domain_mapping::target::Target;
use api::ingress::probe;
use api::ingress::{Ingress, IngressTls};
use logic::settings::{Data, Network};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(super) fn judge(case: &Case) -> Verdict {
    match case.kind() {
        "route" => route::judge(&case.value),
        "domain_mapping" => domain_mapping(&case.value),
        "probe_hash" => probe_hash(&case.value),
        kind => Err(format!("no judge for the kind `{kind}`")),
    }
}

fn domain_mapping(case: &Value) -> Verdict {
    let mapping: DomainMapping = read(&case["domain_mapping"])?;
    let target = Target {
        service: case["target_service"].as_str().unwrap_or_default(),
        host: case["target_host"].as_str().unwrap_or_default(),
    };
    let tls: Vec<IngressTls> = match case["tls"].is_null() {
        true => desired::own_tls(&mapping),
        false => read(&case["tls"])?,
    };
    let challenges: Vec<_> = match case["acme_challenges"].is_null() {
        true => Vec::new(),
        false => read(&case["acme_challenges"])?,
    };
    let network = Network::parse(&config_map(case, "config-network")).map_err(|problems| format!("{problems:?}"))?;
    let actual = match desired::ingress(&mapping, target, tls, &challenges, &network) {
        Ok(ingress) => json!({
            "error": null,
            "ingress": without_kind(&ingress)?,
            "hash_input_spec_json": hashed_text(&ingress)?,
            "probe_hash": hash(&ingress)?,
        }),
        Err(error) => json!({"error": error.to_string()}),
    };
    same(&case["expect"], &actual)
}

fn probe_hash(case: &Value) -> Verdict {
    let ingress: Ingress = read(&case["ingress"])?;
    let actual = match probe::with_probe(&ingress) {
        Ok((probed, hash)) => json!({
            "error": null,
            "hash_input_spec_json": hashed_text(&ingress)?,
            "ingress_with_probe": serde_json::to_value(&probed).map_err(|error| error.to_string())?,
            "probe_hash": hash,
        }),
        Err(error) => json!({"error": error.to_string()}),
    };
    same(&case["expect"], &actual)
}

fn hashed_text(ingress: &Ingress) -> Result<String, String> {
    probe::hashed_text(&ingress.spec).map_err(|error| error.to_string())
}

fn hash(ingress: &Ingress) -> Result<String, String> {
    probe::hash(ingress).map_err(|error| error.to_string())
}

fn same(expected: &Value, actual: &Value) -> Verdict {
    compare::difference(expected, actual).map_or(Ok(()), Err)
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

/// The data of a ConfigMap of a case.
fn config_map(case: &Value, name: &str) -> Data {
    let data = case["configmaps"][name].as_object().into_iter().flatten();
    data.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// An object as the data show it: without what says its kind.
fn without_kind<T: serde::Serialize>(object: &T) -> Result<Value, String> {
    let mut value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    for key in ["apiVersion", "kind"] {
        value.as_object_mut().map(|fields| fields.remove(key));
    }
    Ok(value)
}
