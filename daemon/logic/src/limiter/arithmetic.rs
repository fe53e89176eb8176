// SPDX-License-Identifier: Apache-2.0
//! Knative's sums about capacity and about sharing pods between activators (data-plane spec 1.13, 3.4).
//!
//! Invariants: no overflow and no division by zero on any input.
//! Depends on: nothing.

use std::ops::Range;

/// The most that a revision's breaker can hold.
pub const MAX_CAPACITY: u32 = 2_147_483_647;

/// The fewest activators of a revision.
pub const MIN_ACTIVATORS: u32 = 2;

/// Which positions of a sorted list of pods belong to one activator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    range: Range<usize>,
    /// One of those that are left over when the list is dealt out evenly.
    extra: Option<usize>,
}

impl Slice {
    /// The slice of the activator at `index` (`None`: not in the list) of `count` in a list of `pods` (spec 3.4).
    #[must_use]
    pub fn of(pods: usize, index: Option<u32>, count: u32) -> Self {
        let whole = Self {
            range: 0..pods,
            extra: None,
        };
        let Some(index) = index.map(|index| index as usize) else {
            return whole;
        };
        let count = count as usize;
        if pods <= 1 || count <= 1 {
            return whole;
        }
        if count > pods {
            let only = index % pods;
            return Self {
                range: only..only + 1,
                extra: None,
            };
        }
        let (size, left_over) = (pods / count, pods % count);
        let start = index.saturating_mul(size).min(pods);
        let end = start.saturating_add(size).min(pods);
        let extra = (index < left_over).then(|| pods - left_over + index);
        Self {
            range: start..end,
            extra,
        }
    }

    /// Whether `position` belongs to it.
    #[must_use]
    pub fn contains(&self, position: usize) -> bool {
        self.range.contains(&position) || self.extra == Some(position)
    }
}

/// The pods, of a sorted list, that the activator at `index` of `count` uses (spec 3.4).
pub fn assign_slice<T: Clone>(pods: &[T], index: Option<u32>, count: u32) -> Vec<T> {
    let slice = Slice::of(pods.len(), index, count);
    let own = pods
        .iter()
        .enumerate()
        .filter(|(position, _)| slice.contains(*position));
    own.map(|(_, pod)| pod.clone()).collect()
}

/// How many requests a revision may run at this activator; `own` counts the pods assigned to it. Without backends there is
/// no upper bound (spec 3.4).
#[must_use]
pub fn calculate_capacity(container_concurrency: u32, backends: u32, own: u32, activators: u32) -> u64 {
    let concurrency = u64::from(container_concurrency);
    let capacity = if own > 0 {
        concurrency * u64::from(own)
    } else {
        match concurrency * u64::from(backends) {
            0 => 0,
            all => (all / u64::from(activators.max(1))).max(1),
        }
    };
    let most = u64::from(MAX_CAPACITY);
    if backends > 0 && (container_concurrency == 0 || capacity > most) {
        return most;
    }
    capacity
}

/// The place of `own` in a sorted list of activators (spec 3.4).
#[must_use]
pub fn infer_index<T: AsRef<str>>(sorted: &[T], own: &str) -> Option<usize> {
    let place = sorted.partition_point(|address| address.as_ref() < own);
    let is_there = sorted.get(place).is_some_and(|address| address.as_ref() == own);
    is_there.then_some(place)
}

/// How many activators the autoscaler asks for; `ready` pods of `total_value` each (spec 1.13).
#[must_use]
pub fn num_activators(ready: u32, target_burst_capacity: f64, total_value: f64, activator_capacity: f64) -> u32 {
    if target_burst_capacity == 0.0 {
        return MIN_ACTIVATORS;
    }
    let cover = f64::from(ready) * total_value + target_burst_capacity.max(0.0);
    // `as` saturates, and what is no number becomes 0.
    ((cover / activator_capacity).ceil() as u32).max(MIN_ACTIVATORS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(pods: usize, index: u32, count: u32) -> Vec<usize> {
        assign_slice(&(0..pods).collect::<Vec<_>>(), Some(index), count)
    }

    #[test]
    fn slices_are_those_of_the_specification() {
        assert_eq!(positions(5, 0, 2), [0, 1, 4]);
        assert_eq!(positions(5, 1, 2), [2, 3]);
        assert_eq!(positions(3, 3, 5), [0]);
        assert_eq!(positions(24, 3, 5), [12, 13, 14, 15, 23]);
        assert_eq!(positions(24, 4, 5), [16, 17, 18, 19]);
    }

    #[test]
    fn slices_of_all_activators_cover_each_pod_once() {
        for pods in 2..40 {
            for count in 2..=pods as u32 {
                let mut all: Vec<_> = (0..count).flat_map(|index| positions(pods, index, count)).collect();
                all.sort_unstable();
                assert_eq!(all, (0..pods).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn an_index_beyond_the_count_has_no_pods_of_others() {
        assert_eq!(positions(4, 9, 2), Vec::<usize>::new());
        assert_eq!(positions(4, u32::MAX, 2), Vec::<usize>::new());
    }

    #[test]
    fn a_capacity_is_bounded_only_where_backends_are() {
        assert_eq!(calculate_capacity(2_000_000_000, 2, 2, 1), u64::from(MAX_CAPACITY));
        assert_eq!(calculate_capacity(2_000_000_000, 0, 2, 1), 4_000_000_000);
        assert_eq!(calculate_capacity(0, 0, 2, 1), 0);
        assert_eq!(calculate_capacity(0, 1, 2, 1), u64::from(MAX_CAPACITY));
    }

    #[test]
    fn the_first_place_of_an_address_counts() {
        assert_eq!(infer_index(&["a", "b", "b", "b"], "b"), Some(1));
        assert_eq!(infer_index(&["a", "b"], "c"), None);
    }

    #[test]
    fn activators_are_those_of_the_specification() {
        assert_eq!(num_activators(3, 211.0, 100.0, 100.0), 6);
        assert_eq!(num_activators(50, -1.0, 100.0, 100.0), 50);
        assert_eq!(num_activators(5, 0.0, 10.0, 100.0), 2);
        assert_eq!(num_activators(1, f64::NAN, 1.0, 0.0), u32::MAX);
        assert_eq!(num_activators(0, -1.0, f64::NAN, 0.0), 2);
    }
}
