// SPDX-License-Identifier: Apache-2.0
//! Settings of Knative that must differ on one machine, unless somebody chose: the domain, and whose Ingresses are served.
//!
//! Invariants: a key that stands in the map is left alone; so is a `config-domain` that names any domain.
//! Depends on: declare (calls).

use ::standalone::http::Local;
use api::names::product;
use serde_json::{Value, json};

use super::declare::{call, failed_call};
use crate::failure::Failure;

/// Makes the choices.
pub(super) async fn settle(api: &mut Local, domain: &str) -> Result<(), Failure> {
    choose(api, "config-domain", |keys| keys.is_empty(), domain, "").await?;
    let class = "ingress-class";
    choose(
        api,
        "config-network",
        |keys| !keys.contains(&class),
        class,
        product::INGRESS_CLASS,
    )
    .await
}

async fn choose(
    api: &mut Local,
    map: &str,
    is_open: impl Fn(&[&str]) -> bool,
    key: &str,
    value: &str,
) -> Result<(), Failure> {
    let path = format!("/api/v1/namespaces/{}/configmaps/{map}", product::SYSTEM_NAMESPACE);
    let failed = |why: String| failed_call(map, &why);
    let there = call(api, "GET", &path, &Value::Null).await.map_err(failed)?;
    let keys = there["data"].as_object().into_iter().flat_map(|data| data.keys());
    let keys: Vec<&str> = keys.map(String::as_str).filter(|key| !key.starts_with('_')).collect();
    if !is_open(&keys) {
        return Ok(());
    }
    let change = json!({"data": {key: value}});
    call(api, "PATCH", &path, &change).await.map(drop).map_err(failed)
}
