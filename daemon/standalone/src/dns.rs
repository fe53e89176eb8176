// SPDX-License-Identifier: Apache-2.0
//! Names of Services for pods, and every other name from the host's resolvers.
//!
//! Problem: an application calls `http://hello.default.svc.cluster.local` and must find the Service's address.
//! Mechanism: a zone answered from the store; what is not in it goes on to resolvers of the host, unread.
//! Invariants: any bytes get an answer, an error answer or none; queries in flight, connections and waits are bounded;
//! the answer to a UDP query is no longer than its sender takes.
//! Depends on: state, hickory (messages).

mod exchange;
mod forward;
mod resolvers;
mod server;
mod zone;

use std::net::SocketAddr;

pub use resolvers::read as read_resolvers;
pub use server::Server;

/// What the DNS server must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The DNS domain of the cluster.
    pub domain: String,
    /// Whom to ask for other names, in this order; without any, other names are refused.
    pub upstreams: Vec<SocketAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            domain: api::names::product::CLUSTER_DOMAIN.to_owned(),
            upstreams: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
