// SPDX-License-Identifier: Apache-2.0
//! How values appear in the JSON of Knative's objects.
//!
//! A plain value that is absent or `null` reads as its empty value, and an empty one is not written.
//! Depends on: serde.

use serde::{Deserialize, Deserializer};

/// Reads `null` as the empty value.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Whether a value is the empty one of its type: such a field is not written.
pub(crate) fn is_empty<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
