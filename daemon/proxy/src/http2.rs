// SPDX-License-Identifier: Apache-2.0
//! Clients of HTTP/2; pods get HTTP/2 with prior knowledge from them.
//!
//! Mechanism: `serve` holds a client's connection, one task a stream; `client` carries one stream to a pod and back.
//! Depends on: pod, path, headers.

mod client;
mod io;
pub(crate) mod serve;
