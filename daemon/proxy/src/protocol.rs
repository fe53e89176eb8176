// SPDX-License-Identifier: Apache-2.0
//! What a revision's pods are spoken to in.
//!
//! Depends on: nothing.

/// The protocol of the connections to pods: the name of the port they are reached by (control-plane spec 5.2, "Backends").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PodProtocol {
    /// As the client speaks: what stands beside an application does not translate.
    #[default]
    AsClient,
    /// HTTP/1.1, whatever the client speaks.
    Http1,
    /// HTTP/2 with prior knowledge; clients of HTTP/1.1 are translated, but for their upgrades and CONNECTs.
    H2c,
}
