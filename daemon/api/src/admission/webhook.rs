// SPDX-License-Identifier: Apache-2.0
//! AdmissionReview in, AdmissionReview out: what stands in the bodies of the two webhooks.
//!
//! Invariants: every body gets an answer that the API server understands; what is not ours is allowed as it is.
//! Depends on: its parent, base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Hook, Operation, Outcome, Request, review_by};
use crate::context::Settings;
use crate::kind::Kind;

/// Where the API server finds a webhook.
#[must_use]
pub fn path(hook: Hook) -> &'static str {
    match hook {
        Hook::Defaulting => "/defaulting",
        Hook::Validation => "/resource-validation",
    }
}

/// The webhook at a path.
#[must_use]
pub fn at(path: &str) -> Option<Hook> {
    [Hook::Defaulting, Hook::Validation]
        .into_iter()
        .find(|hook| self::path(*hook) == path)
}

/// The answer to an AdmissionReview; a body that is none is refused.
#[must_use]
pub fn answer(hook: Hook, body: &[u8], settings: &Settings) -> Value {
    let review: Value = match serde_json::from_slice(body) {
        Ok(review) => review,
        Err(error) => return answered(&Value::Null, refused(&format!("decoding request failed: {error}"))),
    };
    let request = &review["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = format!(
        "{}/{}",
        text(&request["kind"]["group"]),
        text(&request["kind"]["version"])
    );
    let operation = match request["operation"].as_str() {
        Some("CREATE") => Some(Operation::Create),
        Some("UPDATE") => Some(Operation::Update),
        Some("DELETE") => Some(Operation::Delete),
        _ => None,
    };
    let kind = Kind::find(&version, &text(&request["kind"]["kind"]));
    let (Some(kind), Some(operation)) = (kind, operation) else {
        return answered(request, json!({"allowed": true}));
    };
    let outcome = review_by(
        hook,
        &Request {
            kind,
            operation,
            sub_resource: &text(&request["subResource"]),
            user: &text(&request["userInfo"]["username"]),
            object: &request["object"],
            old_object: &request["oldObject"],
        },
        settings,
    );
    answered(request, response(hook, &outcome))
}

fn response(hook: Hook, outcome: &Outcome) -> Value {
    let mut response = match &outcome.refusal {
        Some(refusal) => refused(&refusal.to_string()),
        None => json!({"allowed": true}),
    };
    if !outcome.warnings.is_empty() {
        response["warnings"] = outcome.warnings.clone().into();
    }
    if hook == Hook::Defaulting && outcome.is_allowed() && !outcome.patch.is_empty() {
        let patch = Value::from(outcome.patch.clone()).to_string();
        response["patchType"] = "JSONPatch".into();
        response["patch"] = STANDARD.encode(patch).into();
    }
    response
}

fn refused(message: &str) -> Value {
    json!({
        "allowed": false,
        "status": {"status": "Failure", "reason": "BadRequest", "code": 400, "message": message},
    })
}

fn answered(request: &Value, mut response: Value) -> Value {
    response["uid"] = match &request["uid"] {
        Value::Null => "".into(),
        uid => uid.clone(),
    };
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_none_is_refused() {
        let answer = answer(Hook::Defaulting, b"{", &Settings::default());
        assert_eq!(answer["response"]["allowed"], false);
    }

    #[test]
    fn what_is_not_ours_is_allowed_as_it_is() {
        let body = json!({"request": {"uid": "u", "operation": "CREATE", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"}}});
        let answer = answer(Hook::Defaulting, body.to_string().as_bytes(), &Settings::default());
        assert_eq!(answer["response"], json!({"uid": "u", "allowed": true}));
    }
}
