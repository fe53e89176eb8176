// SPDX-License-Identifier: Apache-2.0
//! Work on demand, as Knative's `autoscale-go` takes it: `?sleep=MS&prime=N&bloat=MB`, and failures.
//!
//! Invariants: bounded in time and memory; computing does not hold other requests up.
//! Depends on: tokio.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use tokio::time::sleep;

const LONGEST_SLEEP: u64 = 3_600_000;
const LARGEST_PRIME: u64 = 100_000_000;
const LARGEST_BLOAT: u64 = 4096;

/// What a query asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    sleep: Option<u64>,
    prime: Option<u64>,
    bloat: Option<u64>,
    fail: Option<u64>,
}

impl Work {
    /// Of a query; what is wrong with it otherwise.
    pub(crate) fn of(query: &str) -> Result<Self, String> {
        let mut work = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (field, most) = match name {
                "sleep" => (&mut work.sleep, LONGEST_SLEEP),
                "prime" => (&mut work.prime, LARGEST_PRIME),
                "bloat" => (&mut work.bloat, LARGEST_BLOAT),
                "fail" => (&mut work.fail, 100),
                _ => continue,
            };
            let number = value.parse().ok().filter(|number| *number <= most);
            *field = Some(number.ok_or_else(|| format!("{name}={value}: a number up to {most} is needed\n"))?);
        }
        Ok(work)
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Does it, and says what was done; none for a failure that was asked for.
    pub(crate) async fn perform(self) -> Option<String> {
        // All three at once.
        let heavy = tokio::task::spawn_blocking(move || {
            let memory = self.bloat.map(|megabytes| vec![1_u8; (megabytes as usize) << 20]);
            (memory, self.prime.map(prime_below))
        });
        let begun = Instant::now();
        if let Some(time) = self.sleep {
            sleep(Duration::from_millis(time)).await;
        }
        let slept = begun.elapsed();
        let (memory, prime) = heavy.await.ok()?;
        let mut text = String::new();
        // Writing to a String cannot fail.
        if let (Some(_), Some(megabytes)) = (&memory, self.bloat) {
            let _ = writeln!(text, "Allocated {megabytes} Mb of memory.");
        }
        if let (Some(limit), Some(prime)) = (self.prime, prime) {
            let _ = match prime {
                Some(prime) => writeln!(text, "The largest prime less than {limit} is {prime}."),
                None => writeln!(text, "There are no primes smaller than {limit}."),
            };
        }
        if self.sleep.is_some() {
            let _ = writeln!(text, "Slept for {:.2} milliseconds.", slept.as_secs_f64() * 1e3);
        }
        let fails = self.fail.is_some_and(|share| fastrand::u64(0..100) < share);
        (!fails).then_some(text)
    }
}

/// The largest prime below a number, by a sieve: as much work as that takes.
fn prime_below(limit: u64) -> Option<u64> {
    let limit = limit as usize;
    let mut is_composite = vec![false; limit.max(2)];
    let mut largest = None;
    for number in 2..limit {
        if is_composite[number] {
            continue;
        }
        largest = Some(number as u64);
        let mut multiple = number * number;
        while multiple < limit {
            is_composite[multiple] = true;
            multiple += number;
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_is_done_as_asked_and_said() {
        let work = Work::of("sleep=60000&prime=10000&bloat=5&other=x").unwrap();
        let text = work.perform().await.unwrap();
        assert!(text.contains("The largest prime less than 10000 is 9973."), "{text}");
        assert!(text.contains("Allocated 5 Mb of memory."), "{text}");
        assert!(text.contains("Slept for "), "{text}");
        assert_eq!(Work::of("fail=100").unwrap().perform().await, None);
        assert_eq!(prime_below(2), None);
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for query in [
            "sleep=x",
            "sleep=",
            "prime=100000001",
            "bloat=5000",
            "fail=101",
            "sleep=-1",
        ] {
            assert!(Work::of(query).is_err(), "{query}");
        }
        assert!(Work::of("x=y").unwrap().is_none());
    }
}
