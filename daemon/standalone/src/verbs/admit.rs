// SPDX-License-Identifier: Apache-2.0
//! Admission: our webhooks' code, called directly, with the API server's words around its refusals.
//!
//! Mechanism: the order is the API server's: defaults, the schema, then the rules.
//! Invariants: every write of one of Knative's kinds comes through here, also of a status, as the webhooks' rules say
//! (control-plane spec 2.1).
//! Depends on: api (admission), logic (settings), call, shape.

use api::admission::{Operation, Refusal as Denial, Request, judge};
use api::json::texts;
use api::names::product::SYSTEM_NAMESPACE;
use logic::settings::maps;
use serde_json::Value;

use super::call::Caller;
use super::shape;
use crate::meta;
use crate::part::Part;
use crate::refusal::Refusal;
use crate::resource::Resource;

/// The object with its defaults, and warnings.
pub(super) fn admit(
    resource: &'static Resource,
    part: Part,
    object: Value,
    old: Option<&Value>,
    caller: &Caller,
) -> Result<(Value, Vec<String>), Refusal> {
    let Some(kind) = resource.knative else {
        return config(resource, &object).map(|()| (object, Vec::new()));
    };
    let outcome = judge(
        &Request {
            kind,
            operation: if old.is_some() {
                Operation::Update
            } else {
                Operation::Create
            },
            sub_resource: part.sub_resource(),
            user: caller.user,
            object: &object,
            old_object: old.unwrap_or(&Value::Null),
        },
        caller.settings,
    );
    if let Some(denial @ Denial::Defaulting { .. }) = &outcome.refusal {
        return Err(denied("webhook.serving.knative.dev", denial));
    }
    let mut object = outcome.defaulted.unwrap_or(object);
    shape::judge(resource, &mut object, old)?;
    match &outcome.refusal {
        Some(denial) => Err(denied("validation.webhook.serving.knative.dev", denial)),
        None => Ok((object, outcome.warnings)),
    }
}

fn denied(webhook: &str, denial: &Denial) -> Refusal {
    Refusal::bad_request(format!("admission webhook \"{webhook}\" denied the request: {denial}"))
}

/// Knative's own ConfigMaps must be readable as settings (control-plane spec 2.9).
fn config(resource: &'static Resource, map: &Value) -> Result<(), Refusal> {
    if resource.kind != "ConfigMap" || meta::namespace(map) != SYSTEM_NAMESPACE {
        return Ok(());
    }
    let (annotations, data) = (texts(&map["metadata"]["annotations"]), texts(&map["data"]));
    maps::admit(meta::name(map), &annotations, &data).map_err(|problems| {
        Refusal::bad_request(format!(
            "admission webhook \"config.webhook.serving.knative.dev\" denied the request: validation failed: {problems}"
        ))
    })
}
