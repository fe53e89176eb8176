// SPDX-License-Identifier: Apache-2.0
//! The Kubernetes API for the kinds that our controllers use, without a cluster.
//!
//! Problem: `sluice standalone` runs the same controllers as a cluster, and people bring kubectl and kn.
//! Mechanism: a pure core (store, verbs, patch) decides what a call changes; `state` writes that down before it is
//! answered; `http` speaks the protocol.
//! Invariants: nothing below `state` reads a clock, chance or a file; what is not served says so by name.
//! Depends on: api (kinds, definitions, admission). docs/embedded-api.md has the table of kinds and limits.

mod cause;
pub mod defaults;
pub mod dns;
pub mod http;
mod key;
pub mod lists;
pub mod logs;
pub mod meta;
pub mod moment;
pub mod native;
pub mod ownership;
mod part;
pub mod patch;
pub mod refusal;
pub mod resource;
pub mod runner;
pub mod schema;
pub mod selector;
pub mod state;
pub mod store;
pub mod verbs;

pub use key::Key;
pub use part::Part;
