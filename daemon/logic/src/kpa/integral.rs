// SPDX-License-Identifier: Apache-2.0
//! Exact integrals from the kernel, as samples of whole seconds (design 3.2).
//!
//! Problem: Knative's samples are means over the last second, at best; the kernel knows the exact integral of the requests
//! in flight and the number of requests begun, at whatever moment one asks.
//! Mechanism: two readings give the exact means between them. They are spread over the seconds they cover; a second that is
//! complete becomes a sample, recorded at its end as Knative's are: the load of [s, s+1) stands in bucket s+1. What the
//! second begun has so far is carried to the next reading.
//! Invariants: the samples add up to the integral, whatever the times of the readings; a second is given out once, complete,
//! in order. A source that starts again (its counters went back) loses the time since the reading before, nothing else.
//! Depends on: autoscaler, moment.

use crate::kpa::autoscaler::Sample;
use crate::kpa::moment::Moment;

const SECOND: f64 = 1e9;

/// What one source (a pod, or the pods of a revision on one node) has counted until `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When.
    pub at: Moment,
    /// Requests in flight, integrated over time: request-nanoseconds, wrapping.
    pub integral: u64,
    /// Requests begun.
    pub started: u64,
}

impl Reading {
    /// The means since an earlier reading; `None` if the counters went back.
    pub fn mean_since(&self, earlier: &Self) -> Option<Sample> {
        let area = self.integral.wrapping_sub(earlier.integral) as i64;
        let started = self.started.checked_sub(earlier.started)?;
        let time = self.at.nanoseconds().saturating_sub(earlier.at.nanoseconds()) as f64;
        (area >= 0).then(|| Sample {
            concurrency: area as f64 / time,
            rps: started as f64 * SECOND / time,
        })
    }
}

/// Why a reading gave nothing; the source is measured from it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadingError {
    /// Not later than the one before; it is ignored.
    #[error("a reading is not later than the one before it")]
    NotLater,
    /// The counters went back: the source began again.
    #[error("the counters of a source went back")]
    WentBack,
}

/// Makes samples of readings.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Meter {
    last: Option<Reading>,
    /// What the second of the last reading has so far, in its parts of a whole second.
    carried: Sample,
}

/// Samples of consecutive seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Seconds {
    next: i64,
    /// The second in which the reading was taken: not complete.
    end: i64,
    first: Sample,
    rest: Sample,
}

impl Meter {
    /// One that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a reading and gives the seconds it completes. The first reading gives none.
    pub fn read(&mut self, reading: Reading) -> Result<Seconds, ReadingError> {
        let Some(last) = self.last else {
            self.last = Some(reading);
            return Ok(Seconds::none(reading.at));
        };
        if reading.at <= last.at {
            return Err(ReadingError::NotLater);
        }
        let mean = reading.mean_since(&last);
        let carried = std::mem::take(&mut self.carried);
        self.last = Some(reading);
        let mean = mean.ok_or(ReadingError::WentBack)?;
        Ok(self.spread(last.at, reading.at, mean, carried))
    }

    fn spread(&mut self, from: Moment, to: Moment, mean: Sample, carried: Sample) -> Seconds {
        if from.second() == to.second() {
            self.carried = plus(carried, mean, to.since(from).as_secs_f64());
            return Seconds::none(to);
        }
        let head = 1.0 - fraction(from);
        self.carried = plus(Sample::default(), mean, fraction(to));
        Seconds {
            next: from.second(),
            end: to.second(),
            first: plus(carried, mean, head),
            rest: mean,
        }
    }
}

impl Seconds {
    fn none(at: Moment) -> Self {
        Self {
            next: at.second(),
            end: at.second(),
            first: Sample::default(),
            rest: Sample::default(),
        }
    }

    /// Only the last `count`: older ones would fall out of every window.
    pub fn newest(mut self, count: u32) -> Self {
        let start = self.end.saturating_sub(i64::from(count));
        if start > self.next {
            self.next = start;
            self.first = self.rest;
        }
        self
    }
}

impl Iterator for Seconds {
    /// Where to record the sample, and the sample.
    type Item = (Moment, Sample);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        self.next += 1;
        let sample = std::mem::replace(&mut self.first, self.rest);
        Some((Moment::from_unix_seconds(u64::try_from(self.next).unwrap_or(0)), sample))
    }
}

fn plus(sum: Sample, mean: Sample, part: f64) -> Sample {
    Sample {
        concurrency: sum.concurrency + mean.concurrency * part,
        rps: sum.rps + mean.rps * part,
    }
}

/// How much of its second has passed.
fn fraction(at: Moment) -> f64 {
    at.since(Moment::from_unix_seconds(u64::try_from(at.second()).unwrap_or(0)))
        .as_secs_f64()
}

#[cfg(test)]
mod tests;
