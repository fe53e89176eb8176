// SPDX-License-Identifier: Apache-2.0
//! Whether a route can lead to a revision (data-plane spec 1.14).
//!
//! Depends on: nothing.

/// Whether a route can lead to a revision. An unreachable one has no minimum, no rate limit and no delay downwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reachability {
    /// Not known: treated as reachable.
    #[default]
    Unknown,
    /// Some route refers to it.
    Reachable,
    /// No route refers to it, or it cannot run at all.
    Unreachable,
}

/// The label `serving.knative.dev/routingState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoutingState {
    /// `active`.
    Active,
    /// `reserve`.
    Reserve,
    /// `pending` and everything else.
    Other,
}

/// The Deployment's pods, as it reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Replicas {
    /// `spec.replicas`, if it is set.
    pub wanted: Option<i32>,
    /// `status.readyReplicas`.
    pub ready: i32,
}

impl Reachability {
    /// The reachability of a revision. `is_broken`: its ResourcesAvailable or its ContainerHealthy is False.
    pub fn of(is_broken: bool, replicas: Option<Replicas>, routing: Option<RoutingState>) -> Self {
        let has_none_of_those_wanted =
            replicas.is_some_and(|replicas| replicas.wanted.is_some_and(|wanted| wanted > 0) && replicas.ready == 0);
        match routing {
            _ if is_broken && has_none_of_those_wanted => Self::Unreachable,
            Some(RoutingState::Active) => Self::Reachable,
            Some(RoutingState::Reserve) => Self::Unreachable,
            Some(RoutingState::Other) | None => Self::Unknown,
        }
    }

    /// Whether it counts as reachable.
    pub fn is_reachable(self) -> bool {
        self != Self::Unreachable
    }
}

#[cfg(test)]
mod tests;
