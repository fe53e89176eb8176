// SPDX-License-Identifier: Apache-2.0
//! How `/wait-for-drain` waits for the end of a pod's requests (data-plane spec 4.8).
//!
//! Problem: it is asked before a container is stopped. That may be because the pod ends, or because the container alone is
//! started again, and the call does not say which.
//! Mechanism: at once the pod's probes fail, so that nobody sends anything new. If the pod has not been told to end within a
//! second, that is taken back, and all who wait are answered; else they are when the pod rests.
//! Invariants: who asks after it rested is answered at once.
//! Depends on: health.

use crate::health::Health;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Within this time a pod that ends is told so (Knative's `pkg/http/handler` drainer and queue-proxy's `main.go`).
const TOLD: Duration = Duration::from_secs(1);

/// When a pod has no requests left.
pub type Rest = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The end of one pod.
pub struct Drainer {
    /// What probes of the pod are told.
    health: Health,
    rests: Box<dyn Fn() -> Rest + Send + Sync>,
    now: watch::Sender<Now>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Now {
    has_rested: bool,
    /// How often it was taken back.
    resets: u64,
}

impl Drainer {
    /// `health` is shared with the pod's other ports; it is told by `Health::drain` that the pod ends. `rests` begins to
    /// wait until the pod has no requests left.
    #[must_use]
    pub fn new(health: Health, rests: impl Fn() -> Rest + Send + Sync + 'static) -> Self {
        Self {
            health,
            rests: Box::new(rests),
            now: watch::Sender::default(),
        }
    }

    /// Returns when the container may be stopped; not to be given up before, since it may have something to take back.
    pub(crate) async fn wait(&self) {
        let begun = *self.now.borrow();
        let mut now = self.now.subscribe();
        self.health.set_aside(true);
        let is_over = |now: &Now| now.has_rested || now.resets != begun.resets;
        let reset = async {
            sleep(TOLD).await;
            if self.health.is_told_to_end() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = (self.rests)() => drop(self.now.send_if_modified(|now| !std::mem::replace(&mut now.has_rested, true))),
            // The sender lives as long as this does.
            _ = now.wait_for(is_over) => {}
            () = reset => {
                self.health.set_aside(false);
                self.now.send_modify(|now| *now = Now { has_rested: false, resets: now.resets + 1 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::Semaphore;
    use tokio::time::{Instant, advance, timeout};

    /// One that rests when the semaphore has a permit.
    fn drainer() -> (Arc<Drainer>, Health, Arc<Semaphore>) {
        let (health, work) = (Health::default(), Arc::new(Semaphore::new(0)));
        let of_it = Arc::clone(&work);
        let rests = move || -> Rest {
            let work = Arc::clone(&of_it);
            Box::pin(async move { drop(work.acquire_owned().await) })
        };
        (Arc::new(Drainer::new(health.clone(), rests)), health, work)
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_that_is_started_again_has_a_second() {
        let (drainer, health, _work) = drainer();
        let begun = Instant::now();
        let later = async {
            sleep(TOLD / 2).await;
            assert!(health.is_draining());
            // Who comes later is answered with the first.
            drainer.wait().await;
            assert_eq!(begun.elapsed(), TOLD);
        };
        tokio::join!(drainer.wait(), later);
        assert_eq!(begun.elapsed(), TOLD);
        assert!(!health.is_draining());
        // The next one begins anew.
        drainer.wait().await;
        assert_eq!(begun.elapsed(), TOLD * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_ends_is_waited_for_until_it_rests() {
        let (drainer, health, work) = drainer();
        health.drain();
        let mut waits = Box::pin(drainer.wait());
        assert!(timeout(TOLD * 20, &mut waits).await.is_err());
        let begun = Instant::now();
        work.add_permits(1);
        waits.await;
        drainer.wait().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(health.is_draining());
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_may_be_told_within_the_second() {
        let (drainer, health, work) = drainer();
        let mut waits = Box::pin(drainer.wait());
        assert!(timeout(TOLD / 2, &mut waits).await.is_err());
        health.drain();
        assert!(timeout(TOLD * 5, &mut waits).await.is_err());
        work.add_permits(1);
        waits.await;
        advance(TOLD * 2).await;
        assert!(health.is_draining());
    }
}
