// SPDX-License-Identifier: Apache-2.0
//! Who owns which field: `metadata.managedFields` and server-side apply.
//!
//! Mechanism: an object is taken apart into leaves, each a path as FieldsV1 writes it; every manager's entry is a set of
//! such paths. A write gives the leaves that it changes to its manager; an apply owns what it names, conflicts where
//! another manager owns a leaf of another value, and removes what it named before and nobody else owns.
//! Invariants: pure; applying the same again changes nothing; forced, no leaf of another value has two owners.
//! Depends on: lists, meta, refusal.

mod apply;
mod book;
mod leaves;
mod path;

pub use apply::{Applied, apply};
pub use book::track;

#[cfg(test)]
mod tests;
