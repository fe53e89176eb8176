// SPDX-License-Identifier: Apache-2.0
//! How long requests took, by the status that the client got (data-plane spec 1.17).
//!
//! Mechanism: a distribution a status, made when it first occurs; found by index, not by search.
//! Invariants: after the first request of a status nothing allocates; nothing waits.
//! Depends on: life (metrics).

use life::metrics::{Histogram, names};
use std::sync::OnceLock;
use std::time::Duration;

/// Logged and counted for a request whose client did not wait for an answer, as nginx does.
const CLIENT_GONE: u16 = 499;
/// Statuses of a class.
const OF_CLASS: usize = 100;

type Class = Box<[OnceLock<Box<Histogram>>]>;

/// Distributions of seconds, by status.
#[derive(Debug, Default)]
pub struct Durations {
    /// 1xx first.
    classes: [OnceLock<Class>; 5],
}

impl Durations {
    /// Counts a request; status 0: the client got none.
    pub(crate) fn observe(&self, status: u16, took: Duration) {
        let status = if status == 0 { CLIENT_GONE } else { status };
        let (class, within) = (usize::from(status) / OF_CLASS, usize::from(status) % OF_CLASS);
        let Some(class) = class.checked_sub(1).and_then(|class| self.classes.get(class)) else {
            return;
        };
        let class = class.get_or_init(|| (0..OF_CLASS).map(|_| OnceLock::new()).collect());
        if let Some(histogram) = class.get(within) {
            let histogram = histogram.get_or_init(|| Box::new(Histogram::new(names::SECONDS)));
            histogram.observe(took.as_secs_f64());
        }
    }

    /// The statuses that occurred, in rising order.
    pub fn each(&self) -> impl Iterator<Item = (u16, &Histogram)> {
        let classes = (1_u16..).zip(&self.classes);
        classes.flat_map(|(class, of_class)| {
            let known = of_class
                .get()
                .into_iter()
                .flat_map(|histograms| (0_u16..).zip(histograms));
            known.filter_map(move |(within, histogram)| Some((class * 100 + within, &**histogram.get()?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_and_nothing_is_none() {
        let durations = Durations::default();
        for status in [200, 503, 200, 0, 199, 99, 600, u16::MAX] {
            durations.observe(status, Duration::from_millis(30));
        }
        let counts = durations
            .each()
            .map(|(status, histogram)| (status, histogram.cumulated().last().map(|(_, count)| count)));
        let due = [(199, 1), (200, 2), (499, 1), (503, 1)];
        assert_eq!(
            counts.collect::<Vec<_>>(),
            due.map(|(status, count)| (status, Some(count)))
        );
    }
}
