// SPDX-License-Identifier: Apache-2.0
//! Which revision a request goes to: routes, splits, tags, rollouts.
//!
//! Problem: choosing a destination must equal Knative's contract of a KIngress, cost nothing on the request path, and
//! be testable without a network.
//! Mechanism: `rollout` decides the shares of a configuration's revisions over time.
//! Depends on: nothing that does I/O; `now` and randomness are arguments.

pub mod rollout;
