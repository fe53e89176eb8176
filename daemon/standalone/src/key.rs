// SPDX-License-Identifier: Apache-2.0
//! Where an object is: resource, namespace, name.
//!
//! Invariants: keys sort by resource, namespace and name, so that a list is a range.
//! Depends on: resource.

use std::cmp::Ordering;

use serde_json::Value;

use crate::meta;
use crate::resource::Resource;

/// Where an object is.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its resource.
    pub resource: &'static Resource,
    /// Its namespace; empty for a cluster's object.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// A key of parts.
    #[must_use]
    pub fn new(resource: &'static Resource, namespace: &str, name: &str) -> Self {
        Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The key of an object that has a name.
    #[must_use]
    pub fn of(resource: &'static Resource, object: &Value) -> Self {
        Self::new(resource, meta::namespace(object), meta::name(object))
    }

    fn parts(&self) -> (&str, &str, &str, &str) {
        (self.resource.group, self.resource.plural, &self.namespace, &self.name)
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}
