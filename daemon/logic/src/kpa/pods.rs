// SPDX-License-Identifier: Apache-2.0
//! What the pods of a revision are doing (data-plane spec 1.11).
//!
//! Depends on: nothing.

/// `status.phase` of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Accepted, not all containers started.
    Pending,
    /// Started.
    Running,
    /// Succeeded, Failed, Unknown: does not count.
    Other,
}

/// One pod, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pod {
    /// `status.phase`.
    pub phase: Phase,
    /// Whether it has a deletion timestamp.
    pub is_deleted: bool,
    /// Whether its condition Ready is True.
    pub is_ready: bool,
}

/// How many pods are in which state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PodCounts {
    /// Running and ready.
    pub ready: u32,
    /// All others that count.
    pub not_ready: u32,
    /// Not started; among those not ready.
    pub pending: u32,
    /// Running, and going away; among those not ready.
    pub terminating: u32,
}

impl FromIterator<Pod> for PodCounts {
    fn from_iter<I: IntoIterator<Item = Pod>>(pods: I) -> Self {
        pods.into_iter().fold(Self::default(), Self::and)
    }
}

impl PodCounts {
    fn and(mut self, pod: Pod) -> Self {
        let add = |count: &mut u32| *count = count.saturating_add(1);
        match pod.phase {
            Phase::Other => return self,
            Phase::Pending => add(&mut self.pending),
            Phase::Running if pod.is_deleted => add(&mut self.terminating),
            Phase::Running if pod.is_ready => {
                add(&mut self.ready);
                return self;
            }
            Phase::Running => {}
        }
        add(&mut self.not_ready);
        self
    }
}

#[cfg(test)]
mod tests;
