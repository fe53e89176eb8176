// SPDX-License-Identifier: Apache-2.0
//! JSON patch (RFC 6902), by the crate json-patch.
//!
//! Depends on: refusal.

use serde_json::Value;

use crate::refusal::Refusal;

/// More steps than this are refused, as the API server does.
const LIMIT: usize = 10_000;

pub(super) fn read(body: &[u8]) -> Result<json_patch::Patch, Refusal> {
    let steps: json_patch::Patch =
        serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
    if steps.0.len() > LIMIT {
        return Err(Refusal::Plain {
            code: 413,
            reason: "RequestEntityTooLarge",
            message: format!(
                "The allowed maximum operations in a JSON patch is {LIMIT}, got {}",
                steps.0.len()
            ),
        });
    }
    Ok(steps)
}

pub(super) fn apply(object: &Value, steps: &json_patch::Patch) -> Result<Value, Refusal> {
    let mut next = object.clone();
    json_patch::patch(&mut next, &steps.0).map_err(|_| Refusal::Plain {
        code: 422,
        reason: "Invalid",
        message: "the server rejected our request due to an error in our request".to_owned(),
    })?;
    Ok(next)
}
