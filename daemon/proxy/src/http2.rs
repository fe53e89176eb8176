// SPDX-License-Identifier: Apache-2.0
//! Clients of HTTP/2, and pods of HTTP/2.
//!
//! Mechanism: `serve` holds a client's connection, one task a stream; `client` is one stream, which `to_two` carries to a pod
//! of HTTP/2 and `to_one` to one of HTTP/1.1; `crate::frames` is what both sides of HTTP/2 have in common. What
//! the `h2` crate does not tell is seen in the frames that pass by (`walk`): `incoming`, `refusals`.
//! Depends on: pod, path, headers, wire, frames.

mod client;
mod incoming;
mod io;
mod refusals;
pub(crate) mod serve;
mod side;
mod to_one;
mod to_two;
mod walk;
