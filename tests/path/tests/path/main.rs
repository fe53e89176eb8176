// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy` as a process, between clients and pods that nobody here wrote.
//!
//! Problem: two readers of the same bytes may see different requests; what our own client and server agree on proves little.
//! Mechanism: `gateway` starts the program with a file; `pods` are three readers (strict, hyper's, Python's) that record what
//! they saw; `smuggling` and `frames` are bytes that two readers could read differently, `mixing` clients that share pods'
//! connections, `clients` programs that are not ours, `faults` pods that die, `restart`
//! processes that replace each other.
//! Depends on: the program `sluice` beside this test.
#![expect(clippy::unwrap_used, reason = "in a test this is how it fails")]

mod clients;
mod faults;
mod frames;
mod gateway;
mod mixing;
mod pods;
mod restart;
mod smuggling;
