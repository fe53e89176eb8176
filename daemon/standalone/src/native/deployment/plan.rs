// SPDX-License-Identifier: Apache-2.0
//! How many pods each set shall have.
//!
//! Mechanism: as Kubernetes' deployment controller: first a change of the wanted size is spread over the sets that have
//! pods, in proportion; then the newest grows as far as the surge allows and the old shrink as far as enough stay available.
//! Invariants: pure; a rollout never wants more than `most`, and never takes what is needed for `least`.
//! Depends on: nothing.

use serde_json::Value;

/// What a Deployment wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) replicas: i64,
    pub(super) surge: i64,
    pub(super) unavailable: i64,
    pub(super) is_recreate: bool,
    pub(super) is_paused: bool,
    /// How many old sets are kept.
    pub(super) history: usize,
}

/// A set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// How many pods it wants.
    pub(super) size: i64,
    /// How many pods it has.
    pub(super) actual: i64,
    pub(super) available: i64,
    /// What the Deployment wanted when the size was set, and the most that was allowed then.
    pub(super) desired: Option<i64>,
    pub(super) most: Option<i64>,
}

impl Plan {
    pub(super) fn of(deployment: &Value) -> Self {
        let spec = &deployment["spec"];
        let replicas = spec["replicas"].as_i64().unwrap_or(1);
        let is_recreate = spec["strategy"]["type"] == "Recreate";
        let rolling = &spec["strategy"]["rollingUpdate"];
        let surge = share(&rolling["maxSurge"], replicas, true);
        let mut unavailable = share(&rolling["maxUnavailable"], replicas, false);
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        Self {
            replicas,
            surge: if is_recreate { 0 } else { surge },
            unavailable: if is_recreate {
                replicas
            } else {
                unavailable.min(replicas)
            },
            is_recreate,
            is_paused: spec["paused"] == true,
            history: usize::try_from(spec["revisionHistoryLimit"].as_i64().unwrap_or(10)).unwrap_or(usize::MAX),
        }
    }

    /// The most pods that there may be.
    pub(super) fn most(&self) -> i64 {
        self.replicas + self.surge
    }

    /// The fewest available pods.
    pub(super) fn least(&self) -> i64 {
        self.replicas - self.unavailable
    }

    /// The size of every set, in their order: oldest first.
    pub(super) fn sizes(&self, sets: &[Set], newest: Option<usize>, has_old_pods: bool) -> Vec<i64> {
        let mut sizes: Vec<i64> = sets.iter().map(|set| set.size).collect();
        let is_told_anew = |set: &Set| set.size > 0 && set.desired.is_some_and(|desired| desired != self.replicas);
        if self.is_paused || sets.iter().any(is_told_anew) {
            self.scale(sets, newest, &mut sizes);
        } else if self.is_recreate {
            self.recreate(newest, has_old_pods, &mut sizes);
        } else {
            self.roll(sets, newest, &mut sizes);
        }
        sizes
    }

    fn recreate(&self, newest: Option<usize>, has_old_pods: bool, sizes: &mut [i64]) {
        for (index, size) in sizes.iter_mut().enumerate() {
            if Some(index) != newest {
                *size = 0;
            } else if !has_old_pods {
                *size = self.replicas;
            }
        }
    }

    fn roll(&self, sets: &[Set], newest: Option<usize>, sizes: &mut [i64]) {
        let total: i64 = sizes.iter().sum();
        let mut pending = 0;
        if let Some((index, set)) = newest.and_then(|index| Some((index, sets.get(index)?)))
            && let Some(size) = sizes.get_mut(index)
        {
            let room = (self.most() - total).max(0);
            *size = if *size > self.replicas {
                self.replicas
            } else {
                *size + room.min(self.replicas - *size)
            };
            pending = *size - set.available;
        }
        let total: i64 = sizes.iter().sum();
        let spare = total - self.least() - pending;
        shrink(sets, newest, sizes, spare, |set, size| size - set.available);
        let available: i64 = sets.iter().map(|set| set.available).sum();
        let spare = available - self.least();
        shrink(sets, newest, sizes, spare, |_, size| size);
    }

    fn scale(&self, sets: &[Set], newest: Option<usize>, sizes: &mut [i64]) {
        let active: Vec<usize> = (0..sets.len())
            .filter(|index| sets.get(*index).is_some_and(|set| set.size > 0))
            .collect();
        let one = match active.as_slice() {
            [] => newest.or_else(|| sets.len().checked_sub(1)),
            [only] => Some(*only),
            _ => None,
        };
        if let Some(size) = one.and_then(|index| sizes.get_mut(index)) {
            *size = self.replicas;
            return;
        }
        let is_saturated = newest.and_then(|index| sets.get(index)).is_some_and(|set| {
            set.desired == Some(self.replicas) && set.size == self.replicas && set.available == self.replicas
        });
        if is_saturated {
            let old = sizes.iter_mut().enumerate().filter(|(index, _)| Some(*index) != newest);
            old.for_each(|(_, size)| *size = 0);
        } else if !self.is_recreate {
            self.spread(sets, active, sizes);
        }
    }

    /// Spreads a change over the sets that have pods, in proportion to their sizes.
    fn spread(&self, sets: &[Set], mut active: Vec<usize>, sizes: &mut [i64]) {
        let allowed = if self.replicas > 0 { self.most() } else { 0 };
        let total: i64 = sizes.iter().sum();
        let change = allowed - total;
        // The largest first; of two the newer when growing, the older when shrinking.
        let size_of = |index: usize| sets.get(index).map_or(0, |set| set.size);
        active.sort_by_key(|index| {
            let age = i64::try_from(*index).unwrap_or_default();
            (-size_of(*index), if change > 0 { -age } else { age })
        });
        let mut given = 0;
        for index in &active {
            let (Some(set), Some(size)) = (sets.get(*index), sizes.get_mut(*index)) else {
                continue;
            };
            let left = change - given;
            let part = self.fraction(set);
            let part = if change > 0 {
                part.min(left).max(0)
            } else {
                part.max(left).min(0)
            };
            *size += part;
            given += part;
        }
        if let Some(size) = active.first().and_then(|index| sizes.get_mut(*index)) {
            *size = (*size + change - given).max(0);
        }
    }

    fn fraction(&self, set: &Set) -> i64 {
        if self.replicas == 0 {
            return -set.size;
        }
        let before = set.most.filter(|most| *most > 0).unwrap_or_else(|| self.most());
        // Rounded to the nearest.
        (2 * set.size * self.most() + before) / (2 * before) - set.size
    }
}

/// Takes pods from old sets, oldest first, as far as they are spare.
fn shrink(sets: &[Set], newest: Option<usize>, sizes: &mut [i64], spare: i64, most: impl Fn(&Set, i64) -> i64) {
    let mut taken = 0;
    for (index, (set, size)) in sets.iter().zip(sizes.iter_mut()).enumerate() {
        if Some(index) != newest {
            let part = most(set, *size).min(spare - taken).clamp(0, *size);
            *size -= part;
            taken += part;
        }
    }
}

impl Set {
    pub(super) fn of(set: &Value) -> Self {
        let note = |key: &str| set["metadata"]["annotations"][key].as_str()?.parse().ok();
        let count = |part: &str, name: &str| set[part][name].as_i64().unwrap_or_default();
        Self {
            size: count("spec", "replicas"),
            actual: count("status", "replicas"),
            available: count("status", "availableReplicas"),
            desired: note(super::DESIRED),
            most: note(super::MOST),
        }
    }
}

/// A number, or a percentage of the size.
fn share(value: &Value, size: i64, rounds_up: bool) -> i64 {
    if let Some(number) = value.as_i64() {
        return number.max(0);
    }
    let percent = value.as_str().and_then(|text| text.strip_suffix('%'));
    let percent: i64 = percent.and_then(|text| text.parse().ok()).unwrap_or(25);
    let hundredths = size.saturating_mul(percent.max(0));
    if rounds_up {
        (hundredths + 99) / 100
    } else {
        hundredths / 100
    }
}

#[cfg(test)]
mod tests;
