// SPDX-License-Identifier: Apache-2.0
//! What was counted for a pod, summed over CPUs and generations.
//!
//! Problem: the parts of one update (a count and its time stamp) must never be read apart: 0.15 % of naive snapshots
//! were wrong by the machine's uptime.
//! Mechanism: the kernel copies a CPU's value word by word in address order; `end` is the first word of the exact part and
//! `begin` its last, so equal words saw no writer. CPUs that were caught writing are read again.
//! Invariants: a snapshot is consistent per CPU; sums wrap.
//! Depends on: `abi`, `sys`.

use std::{
    io,
    mem::offset_of,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use abi::{Core, LATENCY_BUCKETS, PodCounts};

use crate::sys::map::PerCpu;

/// Words of one CPU's value.
const WORDS: usize = size_of::<PodCounts>() / 8;
const CORE_WORDS: usize = size_of::<Core>() / 8;
const END: usize = 0;
const STARTED: usize = offset_of!(PodCounts, core.started) / 8;
const ENDED: usize = offset_of!(PodCounts, core.ended) / 8;
const SUM_END: usize = offset_of!(PodCounts, core.sum_end) / 8;
const CONNECTIONS: usize = offset_of!(PodCounts, connections) / 8;
const CLOSED: usize = offset_of!(PodCounts, closed) / 8;
const BEGIN: usize = CORE_WORDS - 1;
/// A writer is in its critical section for some ten instructions, but may lose its CPU there, to the reader even.
const ATTEMPTS: usize = 1000;
/// Attempts at once; later ones leave the CPU first.
const IMPATIENT: usize = 50;
/// How long they leave it.
const PAUSE: Duration = Duration::from_micros(100);

/// Why counters could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No such pod index.
    #[error("pod {pod} is outside of the map's room of {room}")]
    OutOfRange {
        /// Asked for.
        pod: u32,
        /// Room.
        room: u32,
    },
    /// A CPU was writing every time.
    #[error("pod {pod} was being written at every one of {ATTEMPTS} attempts")]
    Torn {
        /// Asked for.
        pod: u32,
    },
    /// The kernel refused.
    #[error("counters could not be read")]
    Kernel(#[from] io::Error),
}

impl ReadError {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::OutOfRange { .. } => "start with room for more pods",
            Self::Torn { .. } => "read again; if it stays, a CPU died in the middle of an update: run `sluice cleanup`",
            Self::Kernel(_) => "run as root or with CAP_BPF",
        }
    }
}

/// A snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    words: [u64; WORDS],
}

impl Default for Counts {
    fn default() -> Self {
        Self { words: [0; WORDS] }
    }
}

impl std::ops::Deref for Counts {
    type Target = PodCounts;

    #[expect(unsafe_code, reason = "the words are the layout")]
    fn deref(&self) -> &PodCounts {
        const { assert!(size_of::<PodCounts>() == WORDS * 8 && align_of::<PodCounts>() == align_of::<u64>()) };
        // SAFETY: same size and alignment (asserted), u64 only.
        unsafe { &*std::ptr::from_ref(&self.words).cast() }
    }
}

impl Counts {
    /// Requests in flight. Between CPUs a snapshot is not one instant: never shown below 0.
    pub fn in_flight(&self) -> u64 {
        self.in_flight_raw().max(0) as u64
    }

    /// As it adds up.
    pub fn in_flight_raw(&self) -> i64 {
        self.core.started.wrapping_sub(self.core.ended) as i64
    }

    /// Concurrency integrated over time, in request·ns, modulo 2^64, at `now` (ns of CLOCK_MONOTONIC). The difference of two
    /// of them over the time between is the exact mean.
    pub fn integral(&self, now: u64) -> u64 {
        let core = &self.core;
        let open = core.started.wrapping_sub(core.ended);
        core.sum_end
            .wrapping_sub(core.sum_start)
            .wrapping_add(open.wrapping_mul(now))
    }

    /// Mean concurrency between an earlier snapshot and this one, each with its time.
    pub fn mean_since(&self, now: u64, earlier: &Self, then: u64) -> f64 {
        let area = self.integral(now).wrapping_sub(earlier.integral(then)) as i64;
        let time = now.saturating_sub(then);
        if time == 0 {
            self.in_flight() as f64
        } else {
            (area as f64 / time as f64).max(0.0)
        }
    }

    /// What was counted since an earlier snapshot, field by field.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = *self;
        for (word, before) in difference.words.iter_mut().zip(earlier.words) {
            *word = word.wrapping_sub(before);
        }
        difference
    }

    /// Open connections.
    pub fn open_connections(&self) -> u64 {
        (self.connections.wrapping_sub(self.closed) as i64).max(0) as u64
    }

    /// The latency below which a share `q` (0…1) of the answers stayed, linear within its bucket; `None` without answers.
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        quantile(&self.latency, q)
    }

    /// As if all that is open had ended at `now` (ns of CLOCK_MONOTONIC): of a pod that nobody reads any more.
    #[must_use]
    pub fn ended_at(&self, now: u64) -> Self {
        let mut over = *self;
        let open = self.core.started.wrapping_sub(self.core.ended);
        over.words[ENDED] = self.words[STARTED];
        over.words[SUM_END] = self.words[SUM_END].wrapping_add(open.wrapping_mul(now));
        over.words[CLOSED] = self.words[CONNECTIONS];
        over
    }

    /// Adds another snapshot.
    pub fn merge(&mut self, other: &Self) {
        self.add(&other.words);
    }

    fn add(&mut self, words: &[u64]) {
        for (sum, word) in self.words.iter_mut().zip(words) {
            *sum = sum.wrapping_add(*word);
        }
    }
}

/// Quantile of a log2 histogram.
pub fn quantile(histogram: &[u64; LATENCY_BUCKETS], q: f64) -> Option<Duration> {
    let total: u64 = histogram.iter().sum();
    if total == 0 {
        return None;
    }
    let wanted = q.clamp(0.0, 1.0) * total as f64;
    let mut below = 0.0;
    for (bucket, count) in histogram.iter().enumerate() {
        let count = *count as f64;
        if count > 0.0 && below + count >= wanted {
            let low = if bucket == 0 { 0.0 } else { (1_u64 << bucket) as f64 };
            let high = (1_u64 << (bucket + 1)) as f64;
            let share = ((wanted - below) / count).clamp(0.0, 1.0);
            return Some(Duration::from_nanos((low + (high - low) * share) as u64));
        }
        below += count;
    }
    None
}

/// The counters of one generation.
#[derive(Debug)]
pub(crate) struct Reader {
    map: PerCpu,
    buffer: Mutex<Vec<u64>>,
}

impl Reader {
    pub(crate) fn new(map: PerCpu) -> io::Result<Self> {
        if map.words_per_cpu() < CORE_WORDS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "counters without the frozen part",
            ));
        }
        let buffer = Mutex::new(vec![0; map.words()]);
        Ok(Self { map, buffer })
    }

    pub(crate) fn room(&self) -> u32 {
        self.map.info().max_entries
    }

    pub(crate) fn clear(&self, pod: u32) -> io::Result<()> {
        self.map.clear(pod)
    }

    /// Adds this generation's values: all of them when the layout is ours, else the frozen part.
    pub(crate) fn add(&self, pod: u32, is_own_layout: bool, sum: &mut Counts) -> Result<(), ReadError> {
        let room = self.room();
        if pod >= room {
            return Err(ReadError::OutOfRange { pod, room });
        }
        let width = self.map.words_per_cpu();
        let known = if is_own_layout { WORDS } else { CORE_WORDS };
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        self.map.read(pod, &mut buffer)?;
        let cpus = buffer.len() / width;
        for cpu in 0..cpus {
            let mut attempts = 0;
            while is_torn(&buffer[cpu * width..]) {
                attempts += 1;
                if attempts == ATTEMPTS {
                    return Err(ReadError::Torn { pod });
                }
                if attempts > IMPATIENT {
                    thread::sleep(PAUSE);
                }
                self.map.read(pod, &mut buffer)?;
            }
            sum.add(&buffer[cpu * width..][..known.min(width)]);
        }
        Ok(())
    }
}

fn is_torn(words: &[u64]) -> bool {
    words[END] != words[BEGIN]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(core: Core) -> Counts {
        let mut counts = Counts::default();
        counts.add(&[
            core.end,
            core.started,
            core.ended,
            core.sum_start,
            core.sum_end,
            core.begin,
        ]);
        counts
    }

    #[test]
    fn words_and_fields_are_the_same_thing() {
        let mut counts = Counts::default();
        let words: Vec<u64> = (0..WORDS as u64).collect();
        counts.add(&words);
        assert_eq!((counts.core.end, counts.core.started, counts.core.begin), (0, 1, 5));
        assert_eq!(counts.connections, 6);
        assert_eq!(counts.status[0], 22);
        assert_eq!(counts.latency[39], 67);
    }

    #[test]
    fn the_integral_of_one_request_is_its_duration() {
        let running = counts(Core {
            started: 1,
            sum_start: 1_000,
            ..Core::default()
        });
        assert_eq!(running.in_flight(), 1);
        assert_eq!(running.integral(1_500), 500);
        let done = counts(Core {
            started: 1,
            ended: 1,
            sum_start: 1_000,
            sum_end: 3_000,
            ..Core::default()
        });
        assert_eq!(done.integral(9_999), 2_000);
        assert_eq!(done.mean_since(5_000, &running, 1_500), 1_500.0 / 3_500.0);
    }

    #[test]
    fn what_is_over_grows_no_more() {
        let mut open = counts(Core {
            started: 3,
            ended: 1,
            sum_start: 3_000,
            sum_end: 1_500,
            ..Core::default()
        });
        open.words[CONNECTIONS] = 2;
        let over = open.ended_at(5_000);
        assert_eq!((over.in_flight(), over.open_connections()), (0, 0));
        assert_eq!((over.core.started, over.core.ended, over.connections), (3, 3, 2));
        assert_eq!(over.integral(5_000), open.integral(5_000));
        assert_eq!(over.integral(9_000), open.integral(5_000));
    }

    #[test]
    fn sums_wrap_and_in_flight_is_never_negative() {
        let wrapped = counts(Core {
            started: 2,
            ended: u64::MAX,
            ..Core::default()
        });
        assert_eq!(wrapped.in_flight(), 3);
        let early = counts(Core {
            started: 1,
            ended: 2,
            ..Core::default()
        });
        assert_eq!((early.in_flight_raw(), early.in_flight()), (-1, 0));
    }

    #[test]
    fn quantiles_are_linear_within_a_bucket() {
        let mut histogram = [0; LATENCY_BUCKETS];
        assert_eq!(quantile(&histogram, 0.5), None);
        histogram[10] = 100;
        assert_eq!(quantile(&histogram, 0.0), Some(Duration::from_nanos(1024)));
        assert_eq!(quantile(&histogram, 0.5), Some(Duration::from_nanos(1536)));
        assert_eq!(quantile(&histogram, 1.0), Some(Duration::from_nanos(2048)));
        histogram[20] = 100;
        assert_eq!(quantile(&histogram, 0.75), Some(Duration::from_nanos(1_572_864)));
        let mut last = [0; LATENCY_BUCKETS];
        last[LATENCY_BUCKETS - 1] = 1;
        assert!(quantile(&last, 0.99).is_some());
    }
}
