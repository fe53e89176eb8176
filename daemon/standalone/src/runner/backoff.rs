// SPDX-License-Identifier: Apache-2.0
//! How long a container that keeps ending waits before it is started again.
//!
//! Source: Kubernetes' kubelet: at once, then 10 s, doubling up to 5 min; forgotten after 10 min of running.
//! Invariants: pure.
//! Depends on: nothing.

use std::time::Duration;

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(300);
/// Who ran so long begins anew.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// The waits of one container.
#[derive(Clone, Copy, Debug)]
pub(super) struct BackOff {
    first: Duration,
    next: Option<Duration>,
}

impl BackOff {
    /// With the first wait.
    #[must_use]
    pub(super) fn new(first: Duration) -> Self {
        Self { first, next: None }
    }

    /// How long to wait after a run of some length.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= FORGOTTEN {
            self.next = None;
        }
        match self.next {
            None => {
                self.next = Some(self.first);
                Duration::ZERO
            }
            Some(wait) => {
                self.next = Some((wait * 2).min(LONGEST));
                wait
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_minutes_and_are_forgotten_after_ten() {
        let mut waits = BackOff::new(Duration::from_secs(10));
        let mut after = |ran| waits.after(Duration::from_secs(ran)).as_secs();
        let found: Vec<u64> = (0..8).map(|_| after(1)).collect();
        assert_eq!(found, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!((after(600), after(1)), (0, 10));
    }
}
