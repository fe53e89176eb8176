// SPDX-License-Identifier: Apache-2.0
//! The probes of a container that runs.
//!
//! Source: Kubernetes' `prober` (thresholds, defaults); design 3.4 (every few milliseconds until a pod is ready).
//! Mechanism: startup first; then liveness and readiness side by side. What they find is handed out as verdicts.
//! Invariants: readiness that fails never ends a container; nothing is probed before its initial delay; a probe that can never
//! be made never passes, and ends nothing, as a kubelet's that ends in an error.
//! Depends on: action.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerPort, Probe};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::action::{Action, Place};

/// The shortest time between two probes of a container that is not ready.
const EAGER: Duration = Duration::from_millis(3);
/// A kubelet notices a new container within a second; a liveness probe with one chance counts on that.
const NOTICED: Duration = Duration::from_secs(1);
/// The longest, unless the period is longer.
const LESS_EAGER: Duration = Duration::from_millis(50);

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Whether it has started.
    Startup,
    /// Whether it is to go on.
    Liveness,
    /// Whether it gets requests.
    Readiness,
}

impl Kind {
    /// As messages name it.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// What probes found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has started.
    Started,
    /// It is ready, or is not any more.
    Ready(bool),
    /// It must be started again.
    Dead {
        /// Which probe says so.
        kind: Kind,
        /// The probe's own grace in seconds.
        grace: Option<i64>,
    },
    /// A probe has failed.
    Failed {
        /// Which.
        kind: Kind,
        /// Why.
        message: String,
    },
}

/// Probes until the container ends or must be ended; drop it to stop. `was_ready`: as it is known, from an earlier runner.
pub(super) async fn probe(container: &Container, place: &Place, was_ready: bool, verdicts: &mpsc::Sender<Verdict>) {
    let ports = container.ports.as_deref().unwrap_or_default();
    let prober = |kind, probe: &Option<Probe>| probe.as_ref().map(|probe| Prober::new(kind, probe, ports));
    let has_started = match prober(Kind::Startup, &container.startup_probe) {
        Some(Ok(startup)) => startup.until_passed(place, verdicts).await,
        Some(Err(message)) => return never(Kind::Startup, message, verdicts).await,
        None => true,
    };
    if !has_started {
        return;
    }
    tell(verdicts, Verdict::Started).await;
    let live = async {
        match prober(Kind::Liveness, &container.liveness_probe) {
            Some(Ok(liveness)) => liveness.until_dead(place, verdicts).await,
            Some(Err(message)) => never(Kind::Liveness, message, verdicts).await,
            None => std::future::pending().await,
        }
    };
    let ready = async {
        match prober(Kind::Readiness, &container.readiness_probe) {
            Some(Ok(readiness)) => readiness.for_ever(place, was_ready, verdicts).await,
            Some(Err(message)) => never(Kind::Readiness, message, verdicts).await,
            None => {
                tell(verdicts, Verdict::Ready(true)).await;
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = live => {}
        () = ready => {}
    }
}

/// Who listens has gone: so has the container.
async fn tell(verdicts: &mpsc::Sender<Verdict>, verdict: Verdict) {
    let _ = verdicts.send(verdict).await;
}

/// A probe that cannot be made.
async fn never(kind: Kind, message: String, verdicts: &mpsc::Sender<Verdict>) {
    tell(verdicts, Verdict::Failed { kind, message }).await;
    std::future::pending().await
}

struct Prober {
    kind: Kind,
    action: Action,
    delay: Duration,
    period: Duration,
    limit: Duration,
    tally: Tally,
    grace: Option<i64>,
    begun: Instant,
}

impl Prober {
    fn new(kind: Kind, probe: &Probe, ports: &[ContainerPort]) -> Result<Self, String> {
        let seconds = |value: Option<i32>, default: u64| {
            let value = value
                .and_then(|value| u64::try_from(value).ok())
                .filter(|value| *value > 0);
            Duration::from_secs(value.unwrap_or(default))
        };
        let times = |value: Option<i32>, default: u32| {
            value
                .and_then(|value| u32::try_from(value).ok())
                .filter(|value| *value > 0)
                .unwrap_or(default)
        };
        // Knative's period of none means: as fast as you can.
        let is_knatives = probe.period_seconds == Some(0);
        let given = probe.initial_delay_seconds.and_then(|delay| u64::try_from(delay).ok());
        let delay = Duration::from_secs(given.unwrap_or_default());
        Ok(Self {
            kind,
            action: Action::of_probe(probe, ports)?,
            delay: if kind == Kind::Liveness {
                delay.max(NOTICED)
            } else {
                delay
            },
            period: seconds(probe.period_seconds, if is_knatives { 1 } else { 10 }),
            limit: seconds(probe.timeout_seconds, 1),
            tally: Tally::new(times(probe.success_threshold, 1), times(probe.failure_threshold, 3)),
            grace: probe.termination_grace_period_seconds,
            begun: Instant::now(),
        })
    }

    async fn once(&self, place: &Place, verdicts: &mpsc::Sender<Verdict>) -> bool {
        match self.action.perform(place, self.limit).await {
            Ok(()) => true,
            Err(message) => {
                let kind = self.kind;
                tell(verdicts, Verdict::Failed { kind, message }).await;
                false
            }
        }
    }

    async fn until_passed(mut self, place: &Place, verdicts: &mpsc::Sender<Verdict>) -> bool {
        sleep(self.delay).await;
        loop {
            let passed = self.once(place, verdicts).await;
            match self.tally.take(passed) {
                Some(true) => return true,
                Some(false) => {
                    self.give_up(verdicts).await;
                    return false;
                }
                None => sleep(self.period).await,
            }
        }
    }

    async fn until_dead(mut self, place: &Place, verdicts: &mpsc::Sender<Verdict>) {
        sleep(self.delay).await;
        loop {
            let passed = self.once(place, verdicts).await;
            if self.tally.take(passed) == Some(false) {
                return self.give_up(verdicts).await;
            }
            sleep(self.period).await;
        }
    }

    async fn for_ever(mut self, place: &Place, mut is_ready: bool, verdicts: &mpsc::Sender<Verdict>) {
        sleep(self.delay).await;
        loop {
            let passed = self.once(place, verdicts).await;
            if let Some(verdict) = self.tally.take(passed)
                && verdict != is_ready
            {
                is_ready = verdict;
                tell(verdicts, Verdict::Ready(verdict)).await;
            }
            sleep(self.pause(is_ready)).await;
        }
    }

    /// Until it is ready every few milliseconds, ever more seldom; a command is too dear for that.
    fn pause(&self, is_ready: bool) -> Duration {
        let is_cheap = !matches!(self.action, Action::Exec(_));
        if is_ready || !is_cheap || self.period > Duration::from_secs(1) {
            return self.period;
        }
        eager(self.begun.elapsed()).min(self.period)
    }

    async fn give_up(&self, verdicts: &mpsc::Sender<Verdict>) {
        let (kind, grace) = (self.kind, self.grace);
        tell(verdicts, Verdict::Dead { kind, grace }).await;
        std::future::pending().await
    }
}

/// A twentieth of the time that has gone by: half a minute of waiting costs seven hundred probes.
fn eager(waited: Duration) -> Duration {
    (waited / 20).clamp(EAGER, LESS_EAGER)
}

/// How many in a row.
struct Tally {
    successes: u32,
    failures: u32,
    passed: u32,
    failed: u32,
}

impl Tally {
    fn new(successes: u32, failures: u32) -> Self {
        Self {
            successes,
            failures,
            passed: 0,
            failed: 0,
        }
    }

    /// The verdict, once there are enough in a row.
    fn take(&mut self, passed: bool) -> Option<bool> {
        if passed {
            self.passed = self.passed.saturating_add(1);
            self.failed = 0;
            (self.passed >= self.successes).then_some(true)
        } else {
            self.failed = self.failed.saturating_add(1);
            self.passed = 0;
            (self.failed >= self.failures).then_some(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_takes_as_many_in_a_row_as_its_threshold() {
        let mut tally = Tally::new(2, 3);
        let verdicts: Vec<_> = [true, false, true, true, false, false, false]
            .map(|passed| tally.take(passed))
            .into();
        assert_eq!(verdicts, [None, None, None, Some(true), None, None, Some(false)]);
    }

    #[test]
    fn waiting_begins_eager_and_gets_patient() {
        assert_eq!(eager(Duration::ZERO), EAGER);
        assert_eq!(eager(Duration::from_millis(400)), Duration::from_millis(20));
        assert_eq!(eager(Duration::from_secs(60)), LESS_EAGER);
    }
}
