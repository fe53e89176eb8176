// SPDX-License-Identifier: Apache-2.0
//! HTTPS: which certificate a client gets, and the handshake.
//!
//! Mechanism: `certificates` holds one certificate a host and is replaced as a whole while connections go on; `handshake`
//! makes of an accepted socket a pair of halves like a plain one's.
//! Invariants: a handshake has bounded time, and so many run at once; a connection keeps the certificate it began with.
//! Depends on: limits, reader, rustls.

mod certificates;
mod halves;
mod handshake;
mod names;
mod unverified;

pub use certificates::{BadCertificate, Certificate, Certificates};
pub(crate) use handshake::{Secured, secure};
pub(crate) use unverified::connect as connect_unverified;
