// SPDX-License-Identifier: Apache-2.0
//! Settings of Knative that must differ on one machine, unless somebody chose: the domain, and whose Ingresses are served.
//!
//! Mechanism: they are applied after the settings of the files, and by a manager of their own: a domain that was chosen here
//! goes when a file names one.
//! Invariants: a key that stands in the map is left alone; so is a `config-domain` that names any domain.
//! Depends on: declare (calls), logic (settings).

use std::collections::BTreeMap;

use ::standalone::http::Local;
use api::json::texts;
use api::names::product;
use logic::settings::Domain;
use serde_json::{Value, json};

use super::declare::{self, Declared, apply_one, failed_call, get, keys, settings_path};
use crate::failure::Failure;

/// Who owns what is chosen here.
const MANAGER: &str = "sluice-choices";
const DOMAIN: &str = "config-domain";
const NETWORK: &str = "config-network";
const CLASS: &str = "ingress-class";

/// Makes the choices, once the settings of the files are applied.
pub(super) async fn settle(api: &mut Local, domain: &str, declared: &[Declared]) -> Result<(), Failure> {
    let map = there(api, DOMAIN).await?;
    if declare::keys_of(declared, DOMAIN).next().is_some() {
        if has_chosen(&map) {
            choose(api, DOMAIN, json!({})).await?;
        }
    } else if keys(&map).next().is_none() {
        choose(api, DOMAIN, json!({domain: ""})).await?;
    }
    if keys(&there(api, NETWORK).await?).all(|key| key != CLASS) {
        choose(api, NETWORK, json!({CLASS: product::INGRESS_CLASS})).await?;
    }
    Ok(())
}

/// The domain of services that have no label for another.
pub(super) async fn domain_in_force(api: &mut Local) -> Result<String, Failure> {
    let map = there(api, DOMAIN).await?;
    // A map that is wrong has changed nothing, and names no domain yet.
    let domain = Domain::parse(&texts(&map["data"])).unwrap_or_default();
    Ok(domain.of(&BTreeMap::new()).to_owned())
}

async fn there(api: &mut Local, map: &str) -> Result<Value, Failure> {
    let there = get(api, &settings_path(map)).await;
    there.map_err(|why| failed_call(map, &why))
}

fn has_chosen(map: &Value) -> bool {
    let mut owners = map["metadata"]["managedFields"].as_array().into_iter().flatten();
    owners.any(|owner| owner["manager"] == MANAGER)
}

/// Says what is chosen in a map: nothing else is, of what was chosen there before.
async fn choose(api: &mut Local, map: &str, data: Value) -> Result<(), Failure> {
    let chosen = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": map}, "data": data});
    let applied = apply_one(api, &settings_path(map), MANAGER, &chosen).await;
    applied.map_err(|why| failed_call(map, &why))
}
