// SPDX-License-Identifier: Apache-2.0
//! Who can reach a host: control-plane spec 5.2.
//!
//! Depends on: nothing.

/// A rule for requests from outside.
pub const EXTERNAL_IP: &str = "ExternalIP";
/// A rule for requests from inside the cluster only.
pub const CLUSTER_LOCAL: &str = "ClusterLocal";
