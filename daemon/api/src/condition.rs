// SPDX-License-Identifier: Apache-2.0
//! Conditions, and what every status begins with: control-plane spec 1.2.
//!
//! Depends on: json.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::{Deserialize, Serialize};

use crate::json::{is_empty, or_default};

/// The part of every status: the generation it describes and how that is going.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The generation of the spec that the rest of the status describes; 0: none yet.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub observed_generation: i64,
    /// Sorted by type.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
    /// More, for tools.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
}

/// One thing that is true, false or not known yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its name, unique in the list.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// Whether it holds.
    #[serde(default, deserialize_with = "or_default")]
    pub status: ConditionStatus,
    /// What it means for the object that it does not hold.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub severity: Severity,
    /// When anything of it changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// One word for machines.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub reason: String,
    /// A sentence for people.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Not known yet; also any text that is not one of the three.
    #[default]
    Unknown,
}

impl From<String> for ConditionStatus {
    fn from(text: String) -> Self {
        match text.as_str() {
            "True" => Self::True,
            "False" => Self::False,
            _ => Self::Unknown,
        }
    }
}

/// What a condition that does not hold means for its object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
pub enum Severity {
    /// The object is not ready; also any text that is not one of the three. Written as the empty text.
    #[default]
    #[serde(rename = "")]
    Error,
    /// Somebody should look.
    Warning,
    /// Only told.
    Info,
}

impl From<String> for Severity {
    fn from(text: String) -> Self {
        match text.as_str() {
            "Warning" => Self::Warning,
            "Info" => Self::Info,
            _ => Self::Error,
        }
    }
}
