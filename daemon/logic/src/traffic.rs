// SPDX-License-Identifier: Apache-2.0
//! Which revision a request goes to: routes, splits, tags, rollouts.
//!
//! Problem: choosing a destination must equal Knative's contract of a KIngress (control-plane spec 5.2), cost next to
//! nothing on the request path, and be testable without a network.
//! Mechanism: `table` finds the split for host, path and headers (`condition`); `split` draws from it one `destination`,
//! which says all that is to be done to the request; `rollout` decides the shares of a configuration's revisions over
//! time. A tag is a host of its own, or a path rule with the condition that `Knative-Serving-Tag` names it.
//! Invariants: a look-up allocates nothing; `now` and randomness are arguments.
//! Depends on: nothing that does I/O.

pub mod condition;
pub mod destination;
pub mod host;
pub mod rollout;
pub mod split;
pub mod table;

pub use condition::{Condition, Headers, Source, Wanted};
pub use destination::{BackendPort, Destination, may_be_set};
pub use split::{Draw, NotPercents, Split};
pub use table::{PathRule, Refused, Request, Rule, Table};
