// SPDX-License-Identifier: Apache-2.0
//! What an autoscaler of Knative's scrapes of a pod (data-plane spec 1.2, 4.3).
//!
//! Problem: queue-proxy closes a period every second; here counters only grow, and nobody wakes up for a pod that nobody asks.
//! Mechanism: a period lasts from one question to the first that comes a second later or more; questions within are given the
//! period before.
//! Invariants: before the first period is over only the pod's name is told; one period of a second or more is one mean.
//! Depends on: logic::kpa (readings).

use logic::kpa::{Moment, Reading};
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

/// Makes periods of a pod's readings.
#[derive(Debug)]
pub struct Periods {
    pod: String,
    begun: Moment,
    state: Mutex<(Reading, Option<Stat>)>,
}

impl Periods {
    /// Of a pod that is read so now.
    #[must_use]
    pub fn new(pod: impl Into<String>, now: Reading) -> Self {
        Self {
            pod: pod.into(),
            begun: now.at,
            state: Mutex::new((now, None)),
        }
    }

    /// What is told when it is read so.
    pub fn tell(&self, now: Reading) -> Stat {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, told) = &mut *state;
        if now.at.since(before.at) >= PERIOD {
            // Counters of several CPUs are not read at one instant: near 0 they may have gone back by some nanoseconds.
            let mean = now.mean_since(before).unwrap_or_default();
            *told = Some(Stat {
                pod: self.pod.clone(),
                concurrency: mean.concurrency,
                requests: mean.rps,
                uptime: now.at.since(self.begun).as_secs_f64(),
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
        let at = |millis: u64, integral: u64, started: u64| Reading {
            at: Moment::from_unix(Duration::from_millis(5000 + millis)),
            integral,
            started,
        };
        let periods = Periods::new("pod", at(0, 7, 40));
        let named = Stat {
            pod: "pod".to_owned(),
            ..Stat::default()
        };
        assert_eq!(periods.tell(at(999, SECOND, 50)), named);
        let first = periods.tell(at(2000, 7 + 3 * SECOND, 44));
        let expected = Stat {
            concurrency: 1.5,
            requests: 2.0,
            uptime: 2.0,
            ..named.clone()
        };
        assert_eq!(first, expected);
        // The same until the next period is over.
        assert_eq!(periods.tell(at(2500, 9 * SECOND, 90)), expected);
        let second = periods.tell(at(3000, 6 + 3 * SECOND, 44));
        assert_eq!(second, Stat { uptime: 3.0, ..named });
    }
}
