// SPDX-License-Identifier: Apache-2.0
//! Who calls, and what comes of it.
//!
//! Depends on: api (settings).

use std::sync::Arc;

use api::context::Settings;
use serde_json::Value;

/// What becomes of fields that the kind does not have: `fieldValidation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// They are dropped: `Ignore`.
    Dropped,
    /// They are dropped, and the caller is told: `Warn`.
    #[default]
    Told,
    /// The object is refused: `Strict`.
    Refused,
}

/// Who calls and what their objects are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// For admission.
    pub settings: &'a Settings,
    /// For `serving.knative.dev/creator`.
    pub user: &'a str,
    /// For `metadata.managedFields`.
    pub manager: &'a str,
    /// Whether the object's `managedFields` are right already: after an apply.
    pub has_booked: bool,
    /// What becomes of fields that the kind does not have.
    pub unknown: Unknown,
}

/// What came of a write.
#[derive(Clone, Debug)]
pub struct Written {
    /// The object as it is now.
    pub object: Arc<Value>,
    /// Whether it is new.
    pub is_new: bool,
    /// What the caller is told.
    pub warnings: Vec<String>,
}
