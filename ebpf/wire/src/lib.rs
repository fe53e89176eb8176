// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! Where HTTP messages begin and end, from TCP segments as they pass a pod's socket.
//!
//! Problem: in-flight requests of a pod must be counted exactly from packets, in the kernel: no allocation, no
//! unbounded loop, resumable at any byte, with loss, duplication and reordering, two CPUs at once.
//! Mechanism: one [`Side`] a direction (phase, bytes left, the line at hand), [`words`] shared by both directions
//! and changed by compare-and-swap only, a [`Walk`] that takes one bounded turn per line, frame or body piece. What
//! surrounds the machine (packet bytes, clock, counters, loops) are the small traits of [`env`]; the kernel programs
//! and the host's tests implement them, the machine is one source.
//! Invariants: started ≥ ended, and equal once a connection is closed; whatever could not be read is flagged
//! [`env::Note::Uncertain`]; no byte is looked at twice but within one line of 128 bytes.
//! Depends on: core.
#![no_std]
#![forbid(unsafe_code)]

pub mod claim;
pub mod env;
mod field;
mod flow;
mod h1;
mod h2;
mod line;
mod segment;
mod side;
mod walk;
pub mod words;

pub use env::{Bytes, Env, LARGEST_KEPT, Note, Repeat, Slots, Tally, Turn, Words};
pub use flow::pending;
pub use h2::SLOTS;
pub use line::{BUFFER, SPAN};
pub use segment::{Segment, close_connection, count_connection, read_claimed, request, response};
pub use side::{Phase, Side};
pub use walk::Walk;
