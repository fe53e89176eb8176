// SPDX-License-Identifier: Apache-2.0
//! Who may run now, where, and who waits: one machine a revision.
//!
//! Problem: capacity, queue and choice of pod must never be judged twice, and containerConcurrency must hold on every pod
//! however the members change.
//! Mechanism: `machine` takes events and answers with data (run on that pod, ask its node, wait, refused); `pods` chooses,
//! `requests` keeps the order of arrival, `shared` puts it between threads. `arithmetic` and `subset` are Knative's sums.
//! Invariants: a pod's slots are counted by its own node alone; waiters go in order of arrival; nobody waits beside room
//! that he may take; whoever leaves gives back what he held. docs/limiter.md says how the parts are meant to be used.
//! Depends on: nothing.

pub mod arithmetic;
mod free;
mod machine;
mod peers;
mod pods;
mod random;
mod requests;
pub mod shared;
pub mod subset;
mod terms;

pub use machine::{Backends, Limiter};
pub use terms::{
    Activators, Admission, Answer, Ask, Counts, Effect, Home, NodeId, PodId, PodSpec, QueueBound, Rebuff, Refusal,
    Settings, Ticket,
};
