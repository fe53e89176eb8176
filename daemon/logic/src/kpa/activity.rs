// SPDX-License-Identifier: Apache-2.0
//! The condition Active of a PodAutoscaler (data-plane spec 1.12).
//!
//! Mechanism: a table over the pods wanted, the pods ready and the condition before.
//! Invariants: reasons and messages are Knative's.
//! Depends on: moment.

use crate::kpa::moment::Moment;
use std::time::Duration;

/// The status of the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Active {
    /// Unknown: it is being activated.
    #[default]
    Activating,
    /// True.
    Yes,
    /// False.
    No,
}

/// The condition as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveSince {
    /// Its status.
    pub active: Active,
    /// Its last transition: when its status, reason or message last changed.
    pub since: Moment,
}

impl ActiveSince {
    /// How long it has stood.
    pub fn age(self, now: Moment) -> Duration {
        now.since(self.since)
    }
}

/// What becomes of the condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activity {
    /// True.
    Active,
    /// Unknown: requests wait for pods.
    Queued,
    /// False: nobody asks for it.
    NoTraffic,
    /// False: it did not become ready in time.
    TimedOut,
    /// As it was.
    Unchanged,
}

impl Activity {
    /// What becomes of it. `threshold` is the number of ready pods that makes it active; `before` its status until now.
    pub fn of(want: i32, ready: i32, threshold: i32, before: Active) -> Self {
        match before {
            Active::Activating if want == 0 && threshold > 0 => Self::TimedOut,
            _ if want == 0 || threshold == 0 => Self::NoTraffic,
            Active::No if want < 0 && ready < threshold => Self::NoTraffic,
            Active::No if want < 0 => Self::Unchanged,
            _ if ready < threshold => Self::Queued,
            _ => Self::Active,
        }
    }

    /// The condition's status; `None`: as it was.
    pub fn status(self) -> Option<Active> {
        match self {
            Self::Active => Some(Active::Yes),
            Self::Queued => Some(Active::Activating),
            Self::NoTraffic | Self::TimedOut => Some(Active::No),
            Self::Unchanged => None,
        }
    }

    /// The condition's reason; empty when True.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Active | Self::Unchanged => "",
            Self::Queued => "Queued",
            Self::NoTraffic => "NoTraffic",
            Self::TimedOut => "TimedOut",
        }
    }

    /// The condition's message; empty when True.
    pub fn message(self) -> &'static str {
        match self {
            Self::Active | Self::Unchanged => "",
            Self::Queued => "Requests to the target are being buffered as resources are provisioned.",
            Self::NoTraffic => "The target is not receiving traffic.",
            Self::TimedOut => "The target could not be activated.",
        }
    }
}

#[cfg(test)]
mod tests;
