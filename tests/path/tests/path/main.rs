// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy` as a process, between clients and pods that nobody here wrote.
//!
//! Problem: two readers of the same bytes may see different requests; what our own client and server agree on proves little.
//! Mechanism: `gateway` starts the program with a file, `connect` is hyper's way to it; `pods` are readers (strict, hyper's, Python's) that record what they
//! saw, `program` others in processes of their own; `smuggling` and `frames` are bytes that two readers could read differently,
//! `mixing` clients that share pods' connections, `clients`, `shapes`, `websocket`, `grpc` and `h2spec` clients that are not
//! ours, `rules` what becomes of requests, `faults` pods that die or refuse,
//! `chaos` pods that do so at any moment,
//! `restart` processes that replace each other.
//! Depends on: the program `sluice` beside this test.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test this is how it fails"
)]

mod certificate;
mod chaos;
mod clients;
mod connect;
mod faults;
mod frames;
mod gateway;
mod grpc;
mod h2spec;
mod mixing;
mod pods;
mod program;
mod restart;
mod rules;
mod shapes;
mod smuggling;
mod websocket;
