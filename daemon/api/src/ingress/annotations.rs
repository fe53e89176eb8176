// SPDX-License-Identifier: Apache-2.0
//! Which annotations of an object its Ingress and Certificates have too: control-plane spec 4.7.
//!
//! Depends on: names.

use std::collections::BTreeMap;

use crate::names::{kubernetes, networking};

/// What is kubectl's business, and old spellings of what is said in the current one.
const NOT_HANDED_ON: [&str; 3] = [
    kubernetes::LAST_APPLIED,
    networking::CERTIFICATE_CLASS[1],
    networking::INGRESS_CLASS[1],
];

/// `own`, and over it the annotations of the object that it is made for.
#[must_use]
pub fn with_handed_on(
    mut own: BTreeMap<String, String>,
    of_owner: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    let handed_on = of_owner.into_iter().flatten();
    own.extend(handed_on.map(|(key, value)| (key.clone(), value.clone())));
    own.retain(|key, _| !NOT_HANDED_ON.contains(&key.as_str()));
    own
}
