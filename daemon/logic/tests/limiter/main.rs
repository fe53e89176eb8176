// SPDX-License-Identifier: Apache-2.0
//! The limiter against obvious models, in networks of daemons, between threads, and on the clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is how a test fails"
)]
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "nobody reads the documentation of a test binary"
)]

mod guards;
mod model;
mod network;
mod threads;
