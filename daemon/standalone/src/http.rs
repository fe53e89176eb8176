// SPDX-License-Identifier: Apache-2.0
//! The protocol of the API server over the state.
//!
//! Mechanism: [`Api::respond`] answers one request: path → discovery or a call on objects → verb → JSON.
//! Invariants: every error is a `Status` object; what is not served answers 404, 405 or 415 and names it; bodies, watches
//! and the memory of watches are bounded.
//! Depends on: state, verbs, selector, resource.

mod answer;
mod body;
mod call;
mod connection;
mod discovery;
mod form;
mod input;
mod local;
mod log;
mod openapi;
mod path;
mod protobuf;
mod query;
mod settings;
mod site;
mod table;
mod watch;

pub use answer::Api;
pub use body::Body;
pub use connection::serve;
pub use local::Local;
pub use site::Limits;
