// SPDX-License-Identifier: Apache-2.0
//! Who calls, and what comes of it.
//!
//! Depends on: api (settings).

use std::sync::Arc;

use api::context::Settings;
use serde_json::Value;

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
