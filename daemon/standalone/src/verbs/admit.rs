// SPDX-License-Identifier: Apache-2.0
//! Admission: our webhooks' code, called directly, with the API server's words around its refusals.
//!
//! Invariants: every write of one of Knative's kinds comes through here, also of a status, as the webhooks' rules say
//! (control-plane spec 2.1).
//! Depends on: api (admission), call.

use api::admission::{Operation, Refusal as Denial, Request, review};
use serde_json::Value;

use super::call::Caller;
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
        return Ok((object, Vec::new()));
    };
    let outcome = review(
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
    if let Some(denial) = outcome.refusal {
        let webhook = match denial {
            Denial::Defaulting { .. } => "webhook.serving.knative.dev",
            Denial::Validation(_) => "validation.webhook.serving.knative.dev",
        };
        return Err(Refusal::bad_request(format!(
            "admission webhook \"{webhook}\" denied the request: {denial}"
        )));
    }
    Ok((outcome.defaulted.unwrap_or(object), outcome.warnings))
}
