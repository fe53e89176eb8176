// SPDX-License-Identifier: Apache-2.0
//! Patches: what a client wants changed, as one of the formats of the API server.
//!
//! Invariants: pure; a patch that fails has changed nothing.
//! Depends on: lists, refusal.

mod merge;
mod steps;
mod strategic;

use serde_json::Value;

use crate::refusal::Refusal;
use crate::resource::Resource;

/// A patch.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// RFC 7396.
    Merge(Value),
    /// RFC 6902.
    Steps(json_patch::Patch),
    /// Kubernetes' own, with list items merged by key.
    Strategic(Value),
}

const STEPS: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// The media types that [`read`] takes for a kind.
pub fn media(resource: &Resource) -> impl Iterator<Item = &'static str> {
    let strategic = strategic::is_taken(resource).then_some(STRATEGIC);
    [STEPS, MERGE].into_iter().chain(strategic)
}

/// Reads a patch; nothing if the media type is none of a patch.
///
/// # Errors
/// 400 for what cannot be read.
pub fn read(resource: &Resource, media: &str, body: &[u8]) -> Result<Option<Patch>, Refusal> {
    Ok(match media {
        MERGE => Some(Patch::Merge(object(body)?)),
        STRATEGIC if strategic::is_taken(resource) => Some(Patch::Strategic(object(body)?)),
        STEPS => Some(Patch::Steps(steps::read(body)?)),
        _ => None,
    })
}

/// The object that a patch makes of another.
///
/// # Errors
/// 422 if it does not fit.
pub fn apply(resource: &Resource, patch: &Patch, object: &Value) -> Result<Value, Refusal> {
    match patch {
        Patch::Merge(patch) => Ok(merge::apply(object, patch)),
        Patch::Steps(steps) => steps::apply(object, steps),
        Patch::Strategic(patch) => Ok(strategic::apply(resource, object, patch)),
    }
}

fn object(body: &[u8]) -> Result<Value, Refusal> {
    let patch: Value =
        serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
    if patch.is_object() {
        return Ok(patch);
    }
    Err(Refusal::bad_request("error decoding patch: it is no object"))
}
