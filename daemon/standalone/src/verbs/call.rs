// SPDX-License-Identifier: Apache-2.0
//! Who calls, about which part of an object, and what comes of it.
//!
//! Depends on: api (settings).

use std::sync::Arc;

use api::context::Settings;
use serde_json::Value;

/// A part of an object with a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Whole,
    /// The status.
    Status,
}

impl Part {
    /// The name of the subresource; empty for the object itself.
    #[must_use]
    pub fn sub_resource(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Status => "status",
        }
    }
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
