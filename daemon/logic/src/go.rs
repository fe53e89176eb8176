// SPDX-License-Identifier: Apache-2.0
//! Texts as Go reads and prints them.
//!
//! Problem: a ConfigMap or an annotation is right or wrong, and its error reads, as Go's parsers decide.
//! Mechanism: one leaf a kind of value: numbers, durations, printed texts, URLs, YAML.
//! Invariants: no input panics; error texts are those of Go.
//! Depends on: nothing.

pub mod number;
pub mod print;
pub mod span;
pub mod url;
pub mod yaml;
