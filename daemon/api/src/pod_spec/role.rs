// SPDX-License-Identifier: Apache-2.0
//! What a container of a pod is for: control-plane spec 2.4.
//!
//! Depends on: nothing.

use k8s_openapi::api::core::v1::Container;

/// What a container is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It gets the requests.
    Serving,
    /// It stands beside the one that gets them.
    Sidecar,
    /// It runs before the others.
    Init,
}

impl Role {
    /// The role of one of several containers: the one with a port serves.
    pub(super) fn beside_others(container: &Container) -> Self {
        match container.ports.as_deref() {
            None | Some([]) => Self::Sidecar,
            Some(_) => Self::Serving,
        }
    }
}
