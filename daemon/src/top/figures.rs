// SPDX-License-Identifier: Apache-2.0
//! What is shown of a server, worked out of its snapshots.
//!
//! Invariants: pure: time is an argument. What cannot be known is `None`, never 0.
//! Depends on: `history`, abi (sizes), kernel (`quantile`, `Counts`).

use std::time::Duration;

use abi::{LATENCY_BUCKETS, STATUS_CLASSES};
use kernel::Counts;

use crate::top::history::{History, Span};

/// Windows of the means.
pub(crate) const WINDOWS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// Window of percentiles and status rates.
const RECENT: Duration = WINDOWS[1];

/// Counters at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) in_flight: u64,
    /// request·ns, modulo 2^64.
    pub(crate) integral: u64,
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) open: u64,
    pub(crate) connections: u64,
    pub(crate) opaque: u64,
    pub(crate) http2: u64,
    pub(crate) tunnels: u64,
    pub(crate) uncertain: u64,
    pub(crate) aborted: u64,
    pub(crate) not_counted: u64,
    pub(crate) probes: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) status: [u64; STATUS_CLASSES],
    pub(crate) latency: [u64; LATENCY_BUCKETS],
}

impl Snapshot {
    /// Of what the kernel counted, read at `now`.
    pub(crate) fn of(counts: &Counts, now: u64) -> Self {
        Self {
            in_flight: counts.in_flight(),
            integral: counts.integral(now),
            started: counts.core.started,
            ended: counts.core.ended,
            open: counts.open_connections(),
            connections: counts.connections,
            opaque: counts.opaque,
            http2: counts.http2,
            tunnels: counts.tunnels,
            uncertain: counts.uncertain,
            aborted: counts.aborted,
            not_counted: counts.storage_failed,
            probes: counts.probes,
            bytes_in: counts.bytes_in,
            bytes_out: counts.bytes_out,
            status: counts.status,
            latency: counts.latency,
        }
    }
}

/// What is shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) now: Snapshot,
    /// How far back the means can look.
    pub(crate) observed: Duration,
    /// Mean concurrency over [`WINDOWS`].
    pub(crate) means: [Option<f64>; 3],
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) bytes_per_second: Option<(f64, f64)>,
    pub(crate) status_per_second: Option<[f64; STATUS_CLASSES]>,
    /// p50, p90, p99; `None` without an answer in the window.
    pub(crate) latency: [Option<Duration>; 3],
}

impl Figures {
    /// As of the newest snapshot.
    pub(crate) fn of(history: &History<Snapshot>, now: &Snapshot) -> Self {
        let last = history.last();
        let recent = history.over(RECENT);
        Self {
            now: now.clone(),
            observed: history.length(),
            means: WINDOWS.map(|window| history.over(window).map(|span| mean(&span))),
            requests_per_second: last.as_ref().map(|span| rate(span, |snapshot| snapshot.started)),
            bytes_per_second: last.as_ref().map(|span| {
                (
                    rate(span, |snapshot| snapshot.bytes_in),
                    rate(span, |snapshot| snapshot.bytes_out),
                )
            }),
            status_per_second: recent
                .as_ref()
                .map(|span| std::array::from_fn(|class| rate(span, |snapshot| snapshot.status[class]))),
            latency: [0.5, 0.9, 0.99].map(|q| recent.as_ref().and_then(|span| quantile(span, q))),
        }
    }
}

fn mean(span: &Span<'_, Snapshot>) -> f64 {
    let area = span.to.integral.wrapping_sub(span.from.integral) as i64;
    // A snapshot is not one instant over all CPUs: at rest it may be some nanoseconds below 0.
    (area as f64 / span.nanoseconds.max(1) as f64).max(0.0)
}

fn rate(span: &Span<'_, Snapshot>, field: impl Fn(&Snapshot) -> u64) -> f64 {
    let count = field(span.to).wrapping_sub(field(span.from)) as i64;
    count.max(0) as f64 * 1e9 / span.nanoseconds.max(1) as f64
}

fn quantile(span: &Span<'_, Snapshot>, q: f64) -> Option<Duration> {
    let answers = std::array::from_fn(|bucket| span.to.latency[bucket].saturating_sub(span.from.latency[bucket]));
    kernel::quantile(&answers, q)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    pub(crate) fn nothing() -> Snapshot {
        Snapshot::of(&Counts::default(), 0)
    }

    fn history(snapshots: &[(u64, Snapshot)]) -> (History<Snapshot>, Snapshot) {
        let (first, rest) = snapshots.split_first().unwrap();
        let mut history = History::new(WINDOWS[2], first.0, first.1.clone());
        for (time, snapshot) in rest {
            history.push(*time, snapshot.clone());
        }
        (history, snapshots.last().unwrap().1.clone())
    }

    #[test]
    fn the_first_snapshot_gives_no_rates_and_no_zeros() {
        let (history, now) = history(&[(SECOND, nothing())]);
        let figures = Figures::of(&history, &now);
        assert_eq!(figures.means, [None; 3]);
        assert_eq!((figures.requests_per_second, figures.latency), (None, [None; 3]));
    }

    #[test]
    fn the_mean_is_area_over_time_also_across_the_wrap() {
        let begin = u64::MAX - SECOND;
        let before = Snapshot {
            integral: begin,
            ..nothing()
        };
        let middle = Snapshot {
            integral: begin.wrapping_add(10 * SECOND),
            ..nothing()
        };
        let after = Snapshot {
            integral: begin.wrapping_add(12 * SECOND),
            ..nothing()
        };
        let (history, now) = history(&[(0, before), (4 * SECOND, middle), (5 * SECOND, after)]);
        let means = Figures::of(&history, &now).means;
        assert_eq!(means, [Some(2.0), Some(12.0 / 5.0), Some(12.0 / 5.0)]);
    }

    #[test]
    fn a_mean_is_never_below_zero() {
        let after = Snapshot {
            integral: 0_u64.wrapping_sub(50),
            ..nothing()
        };
        let (history, now) = history(&[(0, nothing()), (SECOND, after)]);
        assert_eq!(Figures::of(&history, &now).means[0], Some(0.0));
    }

    #[test]
    fn rates_are_of_the_last_interval_and_percentiles_of_ten_seconds() {
        let mut snapshots = vec![(0, nothing())];
        for tick in 1..=20_u64 {
            let mut snapshot = Snapshot {
                started: tick * 10,
                bytes_out: tick * 1000,
                ..nothing()
            };
            // Slow answers (2^30 ns) until tick 5, fast ones (2^20 ns) afterwards.
            snapshot.latency[30] = tick.min(5) * 10;
            snapshot.latency[20] = tick.saturating_sub(5) * 10;
            snapshot.status[2] = tick * 10;
            snapshots.push((tick * SECOND, snapshot));
        }
        let (history, now) = history(&snapshots);
        let figures = Figures::of(&history, &now);
        assert_eq!(figures.requests_per_second, Some(10.0));
        assert_eq!(figures.bytes_per_second, Some((0.0, 1000.0)));
        assert_eq!(figures.status_per_second.unwrap()[2], 10.0);
        assert!(
            figures.latency[2].unwrap() <= Duration::from_nanos(1 << 21),
            "{:?}",
            figures.latency
        );
        assert_eq!(figures.observed, Duration::from_secs(20));
    }
}
