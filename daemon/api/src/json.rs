// SPDX-License-Identifier: Apache-2.0
//! How values appear in the JSON of Knative's objects.
//!
//! Problem: Knative's webhook reads an object into its types and writes it again; what it writes is compared, patched
//! and hashed. Kubernetes' types for Rust keep some empty values that it drops, and take a quantity as it was spelt.
//! Mechanism: our own fields vanish when empty ([`is_empty`]); quantities become canonical when a pod is read; what is
//! left is dropped by name in [`written`].
//! Depends on: `logic` (quantities), serde.

mod quantities;
mod vanishing;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub(crate) use quantities::{canonical_quantities, same_amounts};

/// An object as Knative would write it: without values that its types leave out when empty.
///
/// # Errors
/// The value is no JSON.
pub fn written<T: Serialize>(object: &T) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(object)?;
    vanishing::drop_empty(&mut value);
    Ok(value)
}

/// An object as Knative would write it after reading `original`: a list that it always writes is `[]` if it was, and
/// otherwise `null`, which is as good as absent.
///
/// # Errors
/// The value is no JSON.
pub fn written_after<T: Serialize>(object: &T, original: &Value) -> Result<Value, serde_json::Error> {
    let mut value = written(object)?;
    vanishing::restore_lists(original, &mut value);
    Ok(value)
}

/// The texts of an object, as of `data`, labels or annotations; what is no text, or no object, is left out.
#[must_use]
pub fn texts(object: &Value) -> BTreeMap<String, String> {
    let pairs = object.as_object().into_iter().flatten();
    pairs
        .filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())))
        .collect()
}

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
