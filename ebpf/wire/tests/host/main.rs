// SPDX-License-Identifier: Apache-2.0
//! Host tests of `wire`: the same bytes through the machine and through hyper, httparse and h2.
//!
//! No privilege is needed. The rig is [`machine`] (surroundings), [`network`] (segments, loss, order) and [`oracle`];
//! the rest are tests by topic.
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

mod claim;
mod frames;
mod http1;
mod http2;
mod live;
mod loss;
mod machine;
mod network;
mod oracle;
mod pipe;
mod property;
mod reference;
mod session;
mod smuggling;
mod special;
