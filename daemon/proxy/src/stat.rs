// SPDX-License-Identifier: Apache-2.0
//! What an autoscaler of Knative's scrapes of a pod (data-plane spec 1.2, 4.3).
//!
//! Problem: queue-proxy closes a period every second; here counters only grow, and nobody wakes up for a pod that nobody asks.
//! Mechanism: a period lasts from one question to the first that comes a second later or more; questions within are given the
//! period before.
//! Invariants: before the first period is over only the pod's name is told; one period of a second or more is one mean.
//! Depends on: nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The shortest period.
const PERIOD: Duration = Duration::from_secs(1);

/// `Stat` of Knative's `pkg/autoscaler/metrics/stat.proto`. No request counts as proxied: whoever had it before, it is counted
/// once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stat {
    /// Field 1.
    pub pod: String,
    /// Field 2: the mean number in flight.
    pub concurrency: f64,
    /// Field 4: requests begun a second.
    pub requests: f64,
    /// Field 6: seconds since the pod began.
    pub uptime: f64,
}

impl Stat {
    /// The message (proto3: what is zero is left out).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.pod.len());
        if !self.pod.is_empty() {
            // Wire type 2: a length, then so many bytes.
            out.push(1 << 3 | 2);
            let mut length = self.pod.len();
            while length >= 0x80 {
                out.push((length & 0x7f) as u8 | 0x80);
                length >>= 7;
            }
            out.push(length as u8);
            out.extend_from_slice(self.pod.as_bytes());
        }
        for (number, value) in [(2, self.concurrency), (4, self.requests), (6, self.uptime)] {
            if value != 0.0 {
                // Wire type 1: eight bytes.
                out.push(number << 3 | 1);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        out
    }
}

/// Counters of a pod that only grow, wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Nanoseconds of a clock that only grows.
    pub at: u64,
    /// Request-nanoseconds in flight.
    pub integral: u64,
    /// Requests begun.
    pub started: u64,
}

/// Makes means of a pod's counters.
#[derive(Debug)]
pub struct Meter {
    pod: String,
    begun: u64,
    state: Mutex<(Taken, Option<Stat>)>,
}

impl Meter {
    /// Of a pod that has these counters now.
    #[must_use]
    pub fn new(pod: impl Into<String>, now: Taken) -> Self {
        Self {
            pod: pod.into(),
            begun: now.at,
            state: Mutex::new((now, None)),
        }
    }

    /// What is told when the counters are these.
    pub fn tell(&self, now: Taken) -> Stat {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, told) = &mut *state;
        let took = now.at.saturating_sub(before.at);
        if u128::from(took) >= PERIOD.as_nanos() {
            // Counters of several CPUs are not read at one instant: near 0 it may be some nanoseconds below.
            let in_flight = (now.integral.wrapping_sub(before.integral) as i64).max(0);
            *told = Some(Stat {
                pod: self.pod.clone(),
                concurrency: in_flight as f64 / took as f64,
                requests: now.started.wrapping_sub(before.started) as f64 * PERIOD.as_nanos() as f64 / took as f64,
                uptime: now.at.saturating_sub(self.begun) as f64 / 1e9,
            });
            *before = now;
        }
        told.clone().unwrap_or_else(|| Stat {
            pod: self.pod.clone(),
            ..Stat::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_message_has_the_fields_of_stat_proto() {
        let stat = Stat {
            pod: "a".repeat(200),
            concurrency: 1.5,
            requests: 0.0,
            uptime: 2.0,
        };
        let mut expected = vec![0x0a, 0xc8, 0x01];
        expected.extend_from_slice("a".repeat(200).as_bytes());
        expected.extend_from_slice(b"\x11\0\0\0\0\0\0\xf8\x3f\x31\0\0\0\0\0\0\0\x40");
        assert_eq!(stat.encode(), expected);
        assert!(Stat::default().encode().is_empty());
    }

    #[test]
    fn a_period_is_a_second_or_more() {
        let at = |millis: u64, integral: u64, started: u64| Taken {
            at: 5 * SECOND + millis * 1_000_000,
            integral,
            started,
        };
        let meter = Meter::new("pod", at(0, 7, 40));
        let named = Stat {
            pod: "pod".to_owned(),
            ..Stat::default()
        };
        assert_eq!(meter.tell(at(999, SECOND, 50)), named);
        let first = meter.tell(at(2000, 7 + 3 * SECOND, 44));
        let expected = Stat {
            concurrency: 1.5,
            requests: 2.0,
            uptime: 2.0,
            ..named.clone()
        };
        assert_eq!(first, expected);
        // The same until the next period is over.
        assert_eq!(meter.tell(at(2500, 9 * SECOND, 90)), expected);
        let second = meter.tell(at(3000, 6 + 3 * SECOND, 44));
        assert_eq!(second, Stat { uptime: 3.0, ..named });
    }
}
