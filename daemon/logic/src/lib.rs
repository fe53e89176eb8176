// SPDX-License-Identifier: Apache-2.0
//! Pure decisions: what Sluice decides, without doing it.
//!
//! Problem: autoscaling, admission of requests, traffic split and settings must equal Knative's, and be testable tick for
//! tick.
//! Mechanism: data and `now` in, data out; one module a decision.
//! Invariants: no I/O, no async, no clock, no global; nothing panics on any input.
//! Depends on: nothing that does I/O.

pub mod data_path;
pub mod go;
pub mod kpa;
pub mod limiter;
pub mod quantity;
pub mod replay;
pub mod settings;
pub mod syntax;
pub mod traffic;
