// SPDX-License-Identifier: Apache-2.0
//! Whether two values mean the same to Kubernetes: what is absent is what is empty.
//!
//! Depends on: api (json).

use std::collections::BTreeMap;

use serde::Serialize;

/// Whether they are the same once written as Knative writes them.
#[must_use]
pub fn same<T: PartialEq + Serialize>(left: &T, right: &T) -> bool {
    left == right
        || matches!((api::json::written(left), api::json::written(right)), (Ok(left), Ok(right)) if left == right)
}

/// Whether two maps are the same; none is an empty one.
#[must_use]
pub fn same_map(left: Option<&BTreeMap<String, String>>, right: Option<&BTreeMap<String, String>>) -> bool {
    let filled = |map: Option<&BTreeMap<String, String>>| map.is_some_and(|map| !map.is_empty());
    left == right || (!filled(left) && !filled(right))
}
