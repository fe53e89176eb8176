// SPDX-License-Identifier: Apache-2.0
//! Patches: what a client wants changed, as one of the formats of the API server.
//!
//! Invariants: pure; a patch that fails has changed nothing.
//! Depends on: refusal.

mod merge;
mod steps;

use serde_json::Value;

use crate::refusal::Refusal;

/// A patch.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 7396.
    Merge(Value),
    /// RFC 6902.
    Steps(json_patch::Patch),
}

/// Reads a patch; nothing if the media type is none of a patch.
///
/// # Errors
/// 400 for what cannot be read.
pub fn read(media: &str, body: &[u8]) -> Result<Option<Patch>, Refusal> {
    Ok(match media {
        "application/merge-patch+json" => {
            let patch: Value = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
            if !patch.is_object() {
                return Err(Refusal::bad_request("a merge patch of an object must be an object"));
            }
            Some(Patch::Merge(patch))
        }
        "application/json-patch+json" => Some(Patch::Steps(steps::read(body)?)),
        _ => None,
    })
}

/// The object that a patch makes of another.
///
/// # Errors
/// 422 if it does not fit.
pub fn apply(patch: &Patch, object: &Value) -> Result<Value, Refusal> {
    match patch {
        Patch::Merge(patch) => Ok(merge::apply(object, patch)),
        Patch::Steps(steps) => steps::apply(object, steps),
    }
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::bad_request(format!("error decoding patch: {error}"))
}
