// SPDX-License-Identifier: Apache-2.0
//! What kube needs to know of a kind, for our own kinds and for Kubernetes' alike.
//!
//! Problem: kube's client and watcher want its trait on the type, and neither trait nor types are of this crate.
//! Mechanism: [`Kept`] says the same of a type of `api` or of k8s-openapi; [`Stored`] carries it through kube.
//! Depends on: key, kube, api, k8s-openapi.

use std::borrow::Cow;
use std::fmt::Debug;

use api::object::{Object, Spec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicResourceScope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::key::Key;

/// A kind that the API server keeps.
pub trait Kept: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its group; empty for the oldest kinds.
    fn group() -> &'static str;
    /// Its version.
    fn version() -> &'static str;
    /// Its name, as `kind` has it.
    fn kind() -> &'static str;
    /// Its plural, as URLs have it.
    fn plural() -> &'static str;
    /// Name, labels, owners.
    fn meta(&self) -> &ObjectMeta;
    /// The same, to be changed.
    fn meta_mut(&mut self) -> &mut ObjectMeta;
}

impl<S, T> Kept for Object<S, T>
where
    S: Spec + Clone + Debug + PartialEq + Default + Serialize + DeserializeOwned + Send + Sync + 'static,
    T: Clone + Debug + PartialEq + Default + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn group() -> &'static str {
        S::KIND.group()
    }

    fn version() -> &'static str {
        S::KIND.version()
    }

    fn kind() -> &'static str {
        S::KIND.name()
    }

    fn plural() -> &'static str {
        S::KIND.plural()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Kubernetes' own kinds know everything of themselves.
macro_rules! native {
    ($($kind:ty),* $(,)?) => {$(
        impl Kept for $kind {
            fn group() -> &'static str {
                <Self as k8s_openapi::Resource>::GROUP
            }

            fn version() -> &'static str {
                <Self as k8s_openapi::Resource>::VERSION
            }

            fn kind() -> &'static str {
                <Self as k8s_openapi::Resource>::KIND
            }

            fn plural() -> &'static str {
                <Self as k8s_openapi::Resource>::URL_PATH_SEGMENT
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    )*};
}

native!(
    k8s_openapi::api::apps::v1::Deployment,
    k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler,
    k8s_openapi::api::core::v1::ConfigMap,
    k8s_openapi::api::core::v1::Endpoints,
    k8s_openapi::api::core::v1::Event,
    k8s_openapi::api::core::v1::Pod,
    k8s_openapi::api::core::v1::Secret,
    k8s_openapi::api::core::v1::Service,
    k8s_openapi::api::discovery::v1::EndpointSlice,
);

/// An object on its way through kube.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent, bound(deserialize = "K: DeserializeOwned"))]
pub(crate) struct Stored<K>(pub(crate) K);

impl<K: Kept> kube::Resource for Stored<K> {
    type DynamicType = ();
    type Scope = DynamicResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        K::kind().into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        K::group().into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        K::version().into()
    }

    fn plural(_: &()) -> Cow<'_, str> {
        K::plural().into()
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

/// The UID of the object that made this one, which alone may change it; none if nobody says so.
#[must_use]
pub fn controller(metadata: &ObjectMeta) -> Option<&str> {
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    Some(&owner.uid)
}

/// Whether `owner` made the object, so that it may change it.
#[must_use]
pub fn controls(owner: &ObjectMeta, made: &ObjectMeta) -> bool {
    owner.uid.is_some() && controller(made) == owner.uid.as_deref()
}

/// Group and version of a kind, as `apiVersion` has them.
#[must_use]
pub fn api_version<K: Kept>() -> String {
    match K::group() {
        "" => K::version().to_owned(),
        group => format!("{group}/{}", K::version()),
    }
}

/// The key of the object of kind `O` that made this one.
#[must_use]
pub fn maker<O: Kept, K: Kept>(made: &K) -> Option<Key> {
    let meta = made.meta();
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true))?;
    let is_of_kind = owner.kind == O::kind() && owner.api_version == api_version::<O>();
    is_of_kind.then(|| Key::new(meta.namespace.clone().unwrap_or_default(), &owner.name))
}
