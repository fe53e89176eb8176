// SPDX-License-Identifier: Apache-2.0
//! One window of seconds: what was recorded in each, and their average (data-plane spec 1.5).
//!
//! Problem: a tick over 100 000 revisions may not add up 60 numbers for each of them.
//! Mechanism: a ring with one bucket a second, and a running total that every write and every expiry keeps.
//! Invariants: buckets outside (`last` − length, `last`] hold nothing that counts; the total is the sum of the others,
//! added and subtracted in Knative's order, so that even its rounding is Knative's.
//! Depends on: spec.

use crate::kpa::spec::Algorithm;
use std::time::Duration;

/// The smallest weight of the newest second in a weighted average.
const SMALLEST_COEFFICIENT: f64 = 0.2;
/// What weight may be lost beyond the oldest second of a weighted average.
const LOST_WEIGHT: f64 = 0.0001;
/// Averages are rounded to this many parts of one.
const PRECISION: f64 = 1e6;

/// Seconds and what was recorded in them.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The value of second `s` stands at `s` modulo the length.
    buckets: Box<[f64]>,
    /// The first and the last second written, if any was.
    written: Option<Written>,
    total: f64,
    algorithm: Algorithm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    first: i64,
    last: i64,
}

impl Window {
    /// An empty window of that length, in whole seconds rounded up; at least one.
    pub fn new(length: Duration, algorithm: Algorithm) -> Self {
        Self {
            buckets: vec![0.0; seconds(length)].into_boxed_slice(),
            written: None,
            total: 0.0,
            algorithm,
        }
    }

    /// Averages in another way from now on; what was recorded stays.
    pub fn average_by(&mut self, algorithm: Algorithm) {
        self.algorithm = algorithm;
    }

    /// Its length.
    pub fn length(&self) -> Duration {
        Duration::from_secs(self.buckets.len() as u64)
    }

    /// Adds `value` to Unix second `second`; a second that has left the window is dropped. The value must be finite.
    pub fn record(&mut self, second: i64, value: f64) {
        match self.written {
            Some(written) if second == written.last => {}
            Some(written) if written.last.saturating_sub(second) >= self.len() => return,
            written => self.open(second, written),
        }
        let index = self.index(second);
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += value;
            self.total += value;
        }
    }

    /// Makes room for a second that is not the last one, and forgets the seconds it pushes out.
    fn open(&mut self, second: i64, written: Option<Written>) {
        let Some(Written { first, last }) = written else {
            self.clear(second);
            return;
        };
        if second < last {
            let first = first.min(second);
            self.written = Some(Written { first, last });
        } else if second.saturating_sub(last) >= self.len() {
            self.clear(second);
        } else {
            for passed in last + 1..=second {
                let index = self.index(passed);
                if let Some(bucket) = self.buckets.get_mut(index) {
                    self.total -= *bucket;
                    *bucket = 0.0;
                }
            }
            self.written = Some(Written { first, last: second });
        }
    }

    fn clear(&mut self, second: i64) {
        self.buckets.fill(0.0);
        self.total = 0.0;
        self.written = Some(Written {
            first: second,
            last: second,
        });
    }

    /// Whether nothing was written for longer than its length.
    pub fn is_empty(&self, now: i64) -> bool {
        self.written
            .is_none_or(|written| now.saturating_sub(written.last) > self.len())
    }

    /// The average at Unix second `now`; 0 when there is nothing to average.
    pub fn average(&self, now: i64) -> f64 {
        match self.algorithm {
            Algorithm::Linear => self.linear(now),
            Algorithm::WeightedExponential => self.weighted(now),
        }
    }

    /// The average if second `now` had at least `value` in it; changes nothing. The value must be finite.
    pub fn average_with(&self, now: i64, value: f64) -> f64 {
        let last = self.written.map_or(now, |written| written.last);
        let now = now.max(last);
        let value = match now == last {
            true => self.bucket(now).max(value),
            false => value,
        };
        match self.algorithm {
            Algorithm::Linear => self.linear_with(now, value),
            Algorithm::WeightedExponential => self.weighted_with(now, value),
        }
    }

    fn linear_with(&self, now: i64, value: f64) -> f64 {
        let Some(Written { first, last }) = self
            .written
            .filter(|written| now.saturating_sub(written.last) < self.len())
        else {
            return round(value);
        };
        // The bucket of `now` holds what is replaced: its own value, or one that has left the window.
        let replaced = if now == last { last..=last } else { last + 1..=now };
        let total = replaced.fold(self.total, |total, second| total - self.bucket(second)) + value;
        let count = now.saturating_sub(first).saturating_add(1).min(self.len());
        round(total / count as f64)
    }

    fn weighted_with(&self, now: i64, value: f64) -> f64 {
        let coefficient = self.coefficient();
        let mut average = coefficient * value;
        let Some(Written { last, .. }) = self
            .written
            .filter(|written| now.saturating_sub(written.last) < self.len())
        else {
            return average;
        };
        let mut weight = coefficient;
        for age in 1..self.len() {
            weight *= 1.0 - coefficient;
            let second = now.saturating_sub(age);
            if second <= last {
                average += self.bucket(second) * weight;
            }
        }
        average
    }

    /// The seconds after the last write do not count as zeros; those between two writes do.
    fn linear(&self, now: i64) -> f64 {
        let Some(Written { first, last }) = self.written else {
            return 0.0;
        };
        let silent = now.saturating_sub(last).max(0);
        if silent >= self.len() {
            return 0.0;
        }
        let expired = (last + 1..=last + silent).map(|second| self.bucket(second));
        let total = expired.fold(self.total, |total, value| total - value);
        let count = last.saturating_sub(first).saturating_add(1).min(self.len() - silent);
        round(total / count as f64)
    }

    fn weighted(&self, now: i64) -> f64 {
        let Some(Written { last, .. }) = self.written else {
            return 0.0;
        };
        let silent = now.saturating_sub(last).max(0);
        if silent > self.len() {
            return 0.0;
        }
        let coefficient = self.coefficient();
        let mut weight = coefficient;
        if silent > 0 {
            weight *= (1.0 - coefficient).powf(silent as f64);
        }
        let mut average = 0.0;
        for age in 0..self.len() - silent {
            average += self.bucket(last.saturating_sub(age)) * weight;
            weight *= 1.0 - coefficient;
        }
        average
    }

    /// The weight of the newest second.
    fn coefficient(&self) -> f64 {
        (1.0 - LOST_WEIGHT.powf(1.0 / self.buckets.len() as f64)).max(SMALLEST_COEFFICIENT)
    }

    /// Changes its length; the newest seconds stay. One that is empty at second `now` is emptied.
    pub fn resize(&mut self, length: Duration, now: i64) {
        if seconds(length) == self.buckets.len() {
            return;
        }
        let mut resized = Self::new(length, self.algorithm);
        if let Some(Written { last, .. }) = self.written.filter(|_| !self.is_empty(now)) {
            for age in 0..self.len().min(resized.len()) {
                let second = last.saturating_sub(age);
                let index = resized.index(second);
                if let Some(bucket) = resized.buckets.get_mut(index) {
                    *bucket = self.bucket(second);
                    resized.total += *bucket;
                }
            }
            let first = last.saturating_sub(self.len() - 1);
            resized.written = Some(Written { first, last });
        }
        *self = resized;
    }

    fn len(&self) -> i64 {
        // At most `u32::MAX`, see `seconds`.
        self.buckets.len() as i64
    }

    fn bucket(&self, second: i64) -> f64 {
        self.buckets.get(self.index(second)).copied().unwrap_or(0.0)
    }

    fn index(&self, second: i64) -> usize {
        second.rem_euclid(self.len()) as usize
    }
}

/// Whole seconds, rounded up, at least one and at most a day: a wrong setting must not take all memory.
fn seconds(length: Duration) -> usize {
    const DAY: u64 = 24 * 60 * 60;
    let whole = length.as_secs() + u64::from(length.subsec_nanos() > 0);
    whole.clamp(1, DAY) as usize
}

fn round(value: f64) -> f64 {
    let scaled = (value * PRECISION).round();
    if scaled.is_finite() { scaled / PRECISION } else { value }
}

#[cfg(test)]
mod tests;
