// SPDX-License-Identifier: Apache-2.0
//! The life of a container: started, probed, started again, ended.
//!
//! Mechanism: one task per container; whatever it finds it reports as a whole [`View`], and its pod makes a status of it.
//! Invariants: it ends only with the container's processes; when it is told to stop it starts nothing any more.
//! Depends on: site, attempt, probing, backoff, view.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Container;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::action::{Action, Place};
use super::attempt::{self, Attempt};
use super::backoff::BackOff;
use super::cgroup::Enforced;
use super::last_words;
use super::plan::Ended;
use super::probing::{self, Verdict};
use super::site::{Hold, Site};
use super::view::{Doing, Policy, View};

/// The path of the hook that Knative's pods have: their node's daemon answers when their requests have ended.
const DRAIN: &str = "/wait-for-drain";
/// Waits for what is not there: the first, doubling up to the last.
const HOLDS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How long a container that is started again waits for its requests: it does not answer (Knative's queue-proxy takes a drain
/// back after as long, unless its pod ends).
const RESET: Duration = Duration::from_secs(1);
/// How seldom the same probe's failures are told.
const SELDOM: Duration = Duration::from_secs(10);

/// By when a pod must have ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stop {
    /// Then it is killed.
    pub deadline: Instant,
    /// How long it had.
    pub grace: Duration,
}

/// What an earlier runner left of a container.
enum Before {
    Nothing,
    Runs(Attempt),
    Over(Ended),
}

/// The life of a container.
#[derive(Debug)]
pub(super) struct Life {
    /// What it shares with its pod.
    pub site: Arc<Site>,
    /// Its number among all of the pod's.
    pub index: usize,
    /// Its spec.
    pub container: Container,
    /// Whether it is started again.
    pub policy: Policy,
    /// How it stands.
    pub view: View,
    /// Whom it tells.
    pub reports: mpsc::Sender<(usize, View)>,
    /// Whether it is to stop.
    pub stop: watch::Receiver<Option<Stop>>,
    /// When the failure of its readiness probe was last told.
    pub told: Option<Instant>,
}

impl Life {
    /// Lives it, to its end.
    pub(super) async fn run(mut self) -> View {
        let mut waits = BackOff::new(self.site.settings.back_off);
        let before = self.adopt();
        // What was ready before has ended with what ran then.
        if !matches!(before, Before::Runs(_)) && std::mem::take(&mut self.view.is_ready) {
            self.report().await;
        }
        let mut adopted = match before {
            Before::Nothing => None,
            Before::Runs(attempt) => Some(attempt),
            Before::Over(ended) if self.is_stopping() || !self.policy.restarts(ended.code) => {
                return self.rest(ended).await;
            }
            Before::Over(ended) => {
                self.view.last = Some(ended);
                self.view.restarts += 1;
                None
            }
        };
        loop {
            let attempt = match adopted.take() {
                Some(attempt) => attempt,
                None => match self.begin().await {
                    Some(attempt) => attempt,
                    None => return self.view,
                },
            };
            let since = Instant::now();
            let ended = self.live(attempt).await;
            self.view.is_ready = false;
            self.view.has_started = false;
            if self.is_stopping() || !self.policy.restarts(ended.code) {
                return self.rest(ended).await;
            }
            let wait = waits.after(since.elapsed());
            self.view.last = Some(ended.clone());
            if !wait.is_zero() {
                self.wait_out(wait).await;
            }
            if self.is_stopping() {
                return self.rest(ended).await;
            }
            self.view.restarts += 1;
        }
    }

    async fn rest(mut self, ended: Ended) -> View {
        self.view.doing = Doing::Terminated(ended);
        self.report().await;
        self.view
    }

    /// What an earlier runner left: the newest attempt.
    fn adopt(&mut self) -> Before {
        let folder = self.site.attempts(&self.container.name);
        let Some(newest) = attempt::numbers(&folder).last().copied() else {
            return Before::Nothing;
        };
        self.view.restarts = newest;
        let before = newest.checked_sub(1).map(|before| folder.join(before.to_string()));
        self.view.last = before.and_then(|before| attempt::ended(&before));
        let folder = folder.join(newest.to_string());
        match Attempt::adopt(&folder, &self.site.cgroup(self.index)) {
            Some(attempt) => Before::Runs(attempt),
            None => Before::Over(attempt::ended(&folder).unwrap_or_else(|| attempt::lost(None))),
        }
    }

    /// Starts an attempt; none if the pod stops before.
    async fn begin(&mut self) -> Option<Attempt> {
        let mut pause = HOLDS.0;
        let mut stop = self.stop.clone();
        loop {
            let tried = tokio::select! {
                tried = self.start() => tried,
                () = stopped(&mut stop) => return None,
            };
            let hold = match tried {
                Ok(attempt) => return Some(attempt),
                Err(hold) => hold,
            };
            self.hold(hold).await;
            if timeout(pause, stopped(&mut stop)).await.is_ok() {
                return None;
            }
            pause = (pause * 2).min(HOLDS.1);
        }
    }

    async fn start(&mut self) -> Result<Attempt, Hold> {
        let image = self.site.image(&self.container).await?;
        self.view.image_id.clone_from(&image.id);
        let (plan, enforced) = self
            .site
            .plan(&self.container, self.index, self.view.restarts, &image)?;
        self.forget_old();
        let holder = self.site.holder(self.index).map_err(Hold::create)?;
        if self.view.restarts == 0 {
            self.tell_unenforced(&enforced);
        }
        Attempt::start(holder, &plan).await.map_err(Hold::create)
    }

    /// Keeps the records and the log of the run before, no more.
    fn forget_old(&self) {
        let folder = self.site.attempts(&self.container.name);
        for number in attempt::numbers(&folder) {
            if number + 1 < self.view.restarts {
                // What cannot be removed goes with the pod.
                let _ = std::fs::remove_dir_all(folder.join(number.to_string()));
            }
        }
    }

    fn tell_unenforced(&self, enforced: &Enforced) {
        if !enforced.not.is_empty() {
            let message = format!(
                "limits of container {} are not enforced on this machine: {} (no cgroup controller for it)",
                self.container.name,
                enforced.not.join(", ")
            );
            self.tell(true, "LimitsNotEnforced", &message);
        }
    }

    async fn hold(&mut self, hold: Hold) {
        let is_image = hold.reason == "ErrImagePull";
        let is_new = !matches!(&self.view.doing, Doing::Waiting { message, .. } if message.ends_with(&hold.message));
        if is_new {
            let image = self.container.image.as_deref().unwrap_or_default();
            let message = match is_image {
                true => format!("Failed to pull image {image:?}: {}", hold.message),
                false => format!("Error: {}", hold.message),
            };
            self.tell(true, "Failed", &message);
            self.view.doing = Doing::Waiting {
                reason: hold.reason,
                message: hold.message,
            };
        } else if is_image {
            let image = self.container.image.as_deref().unwrap_or_default();
            self.view.doing = Doing::Waiting {
                reason: "ImagePullBackOff",
                message: format!("Back-off pulling image {image:?}: ErrImagePull: {}", hold.message),
            };
        }
        self.report().await;
    }

    /// Probes it and waits for its end, or ends it.
    async fn live(&mut self, mut attempt: Attempt) -> Ended {
        if let Some(started) = &attempt.started {
            self.view.doing = Doing::Running(started.at.clone());
            self.report().await;
        }
        let place = self.place(&attempt);
        let container = self.container.clone();
        let (tell, mut verdicts) = mpsc::channel(8);
        let probing = probing::probe(&container, &place, self.view.is_ready, &tell);
        tokio::pin!(probing);
        let mut is_probing = attempt.started.is_some();
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                ended = attempt.ended() => return self.finish(&attempt, ended),
                () = stopped(&mut stop) => {
                    self.view.is_ready = false;
                    self.report().await;
                    let stop = (*self.stop.borrow()).unwrap_or(Stop { deadline: Instant::now(), grace: Duration::ZERO });
                    return self.end(attempt, stop).await;
                }
                () = &mut probing, if is_probing => is_probing = false,
                Some(verdict) = verdicts.recv() => if let Some(grace) = self.judge(verdict).await {
                    let stop = Stop { deadline: Instant::now() + grace, grace };
                    return self.end(attempt, stop).await;
                },
            }
        }
    }

    /// What a probe's verdict means; the grace of a container that must end.
    async fn judge(&mut self, verdict: Verdict) -> Option<Duration> {
        match verdict {
            Verdict::Started => self.view.has_started = true,
            Verdict::Ready(is_ready) => self.view.is_ready = is_ready,
            Verdict::Failed { kind, message } => {
                let is_readiness = kind == probing::Kind::Readiness;
                let is_due = self.told.is_none_or(|told| told.elapsed() > SELDOM);
                if self.view.is_ready || !is_readiness || is_due {
                    if is_readiness {
                        self.told = Some(Instant::now());
                    }
                    self.tell(true, "Unhealthy", &format!("{} probe failed: {message}", kind.name()));
                }
                return None;
            }
            Verdict::Dead { kind, grace } => {
                let (name, kind) = (&self.container.name, kind.name().to_lowercase());
                self.tell(
                    false,
                    "Killing",
                    &format!("Container {name} failed {kind} probe, will be restarted"),
                );
                // Nobody probes it any more, and it gets nothing new until it has been started again.
                self.view.is_ready = false;
                self.report().await;
                let grace = grace
                    .and_then(|grace| u64::try_from(grace).ok())
                    .map(Duration::from_secs);
                return Some(grace.unwrap_or_else(|| self.site.grace()));
            }
        }
        self.report().await;
        None
    }

    /// Hook, SIGTERM, time, SIGKILL.
    async fn end(&mut self, mut attempt: Attempt, stop: Stop) -> Ended {
        let place = self.place(&attempt);
        let mut watched = self.stop.clone();
        watched.mark_unchanged();
        let mut deadline = stop.deadline;
        let farewell = self.farewell(place, stop.grace);
        tokio::pin!(farewell);
        let mut is_asked = false;
        loop {
            tokio::select! {
                ended = attempt.ended() => return self.finish(&attempt, ended),
                () = &mut farewell, if !is_asked => {
                    is_asked = true;
                    attempt.terminate();
                }
                () = sleep_until(deadline) => break,
                Ok(()) = watched.changed() => {
                    if let Some(stop) = *watched.borrow() {
                        deadline = deadline.min(stop.deadline);
                    }
                }
            }
        }
        attempt.kill();
        let ended = attempt.ended().await;
        self.finish(&attempt, ended)
    }

    /// What comes before SIGTERM: `preStop`. A hook that fails holds nothing up.
    fn farewell(&self, place: Place, grace: Duration) -> impl Future<Output = ()> + use<> {
        let hook = self
            .container
            .lifecycle
            .as_ref()
            .and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        let ports = self.container.ports.as_deref().unwrap_or_default();
        let action = hook.map(|hook| Action::of_hook(hook, ports));
        let (site, name) = (Arc::clone(&self.site), self.container.name.clone());
        let stop = self.stop.clone();
        async move {
            let done = match action {
                None => Ok(()),
                Some(Ok(Action::Http { path, .. })) if path == DRAIN => {
                    // No answer in time is an answer: the container still needs time of its own.
                    let drained = timeout(draining(grace), site.drain.drained(&site.identity.uid));
                    tokio::select! {
                        _ = drained => {}
                        () = reset(stop) => {}
                    }
                    Ok(())
                }
                Some(Ok(action)) => action.perform(&place, grace).await,
                Some(Err(message)) => Err(message),
            };
            if let Err(message) = done {
                let message = format!("PreStopHook of container {name} failed: {message}");
                site.objects.tell(&site.identity, true, "FailedPreStopHook", &message);
            }
        }
    }

    fn finish(&self, attempt: &Attempt, mut ended: Ended) -> Ended {
        if ended.message.is_empty() {
            ended.message = last_words::of(&attempt.folder, &self.container, ended.code);
        }
        ended
    }

    async fn wait_out(&mut self, wait: Duration) {
        let site = &self.site.identity;
        let message = format!(
            "back-off {}s restarting failed container={} pod={}_{}({})",
            wait.as_secs(),
            self.container.name,
            site.name,
            site.namespace,
            site.uid
        );
        self.tell(true, "BackOff", &message.replacen("back-off", "Back-off", 1));
        self.view.doing = Doing::Waiting {
            reason: "CrashLoopBackOff",
            message,
        };
        self.report().await;
        let mut stop = self.stop.clone();
        tokio::select! {
            () = sleep(wait) => {}
            () = stopped(&mut stop) => {}
        }
    }

    fn place(&self, attempt: &Attempt) -> Place {
        Place {
            ip: self.site.ip,
            attempt: attempt.folder.clone(),
            cgroup: attempt.cgroup.clone(),
            starter: self.site.settings.starter.clone(),
        }
    }

    fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    fn tell(&self, is_warning: bool, reason: &str, message: &str) {
        self.site.objects.tell(&self.site.identity, is_warning, reason, message);
    }

    async fn report(&self) {
        // A pod that does not listen has ended.
        let _ = self.reports.send((self.index, self.view.clone())).await;
    }
}

/// Returns when the pod is to stop.
async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) {
    // A pod that is no more has stopped too.
    drop(stop.wait_for(Option::is_some).await);
}

/// Returns when a container that is started again has had its time for its requests; never, if its pod is to stop by then.
async fn reset(mut stop: watch::Receiver<Option<Stop>>) {
    if timeout(RESET, stopped(&mut stop)).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// How long requests may take to end: the container keeps time of its own (design 3.4).
fn draining(grace: Duration) -> Duration {
    let own = Duration::from_secs(10).max(grace / 5);
    grace.saturating_sub(own.min(grace / 2))
}
