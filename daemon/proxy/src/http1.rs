// SPDX-License-Identifier: Apache-2.0
//! Clients of HTTP/1.0 and HTTP/1.1.
//!
//! Mechanism: `serve` holds a client's connection, `relay` carries one request to a pod and its answer back (`to_two`: to
//! a pod of HTTP/2), `tunnel` carries what comes after an upgrade.
//! Depends on: wire, pod, path, frames.

mod client;
mod relay;
pub(crate) mod serve;
mod side;
mod to_two;
mod tunnel;
