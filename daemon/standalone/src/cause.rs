// SPDX-License-Identifier: Apache-2.0
//! What is wrong with one field.
//!
//! Depends on: nothing.

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldValueDuplicate`, `FieldManagerConflict` and so on.
    pub reason: &'static str,
    /// What is wrong, without the field.
    pub message: String,
    /// The path of the field.
    pub field: String,
}
