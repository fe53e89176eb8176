// SPDX-License-Identifier: Apache-2.0
//! What create, update and delete mean: the rules of the API server for metadata, parts and lifecycles.
//!
//! Invariants: pure; a verb reads and writes a [`Transaction`](crate::store::Transaction) and nothing else.
//! Depends on: store, meta, ownership, api (admission).

mod admit;
mod apply;
mod call;
mod collect;
mod create;
mod delete;
mod ending;
mod identifier;
mod scale;
mod shape;
mod update;

pub use apply::apply;
pub use call::{Caller, Unknown, Written};
pub use create::create;
pub use delete::{DeleteOptions, Deleted, Propagation, delete, delete_collection};
pub use scale::{scale_of, scaled};
pub use update::{check_version, update};

#[cfg(test)]
mod tests;
