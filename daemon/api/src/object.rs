// SPDX-License-Identifier: Apache-2.0
//! An object of the API: metadata, what is wanted, what is.
//!
//! Invariants: `apiVersion` and `kind` are written from the type and not read: who decodes has already chosen by them.
//! `spec` and `status` are written even when empty, as Knative does; a kind without status has `()`-like [`NoStatus`].
//! Depends on: kind, json.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::json::or_default;
use crate::kind::Kind;

/// What a kind's `spec` says about the kind.
pub trait Spec {
    /// The kind whose spec this is.
    const KIND: Kind;
}

/// An object of one kind.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de> + Default, T: Deserialize<'de> + Default"))]
pub struct Object<S, T> {
    /// Name, labels, annotations, owners.
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: S,
    /// What is.
    #[serde(default, deserialize_with = "or_default")]
    pub status: T,
}

/// The status of a kind that has none: it is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct NoStatus {}

impl<S: Spec, T> Object<S, T> {
    /// The kind of these objects.
    pub const KIND: Kind = S::KIND;

    /// An owner reference to this object as the controller of what it makes; absent names are empty.
    #[must_use]
    pub fn controller_reference(&self) -> OwnerReference {
        OwnerReference {
            api_version: S::KIND.api_version(),
            kind: S::KIND.name().to_owned(),
            name: self.name().to_owned(),
            uid: self.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }
    }
}

impl<S, T> Object<S, T> {
    /// The name; empty while the API server has not generated one.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The namespace; empty for a cluster's object.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// The generation of the spec; 0 before the API server counts it.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }
}

impl<S: Spec + Serialize, T: Serialize> Serialize for Object<S, T> {
    fn serialize<W: Serializer>(&self, serializer: W) -> Result<W::Ok, W::Error> {
        let has_status = size_of::<T>() > 0;
        let mut fields = serializer.serialize_struct(S::KIND.name(), 4 + usize::from(has_status))?;
        fields.serialize_field("kind", S::KIND.name())?;
        fields.serialize_field("apiVersion", &S::KIND.api_version())?;
        fields.serialize_field("metadata", &self.metadata)?;
        fields.serialize_field("spec", &self.spec)?;
        if has_status {
            fields.serialize_field("status", &self.status)?;
        }
        fields.end()
    }
}
