// SPDX-License-Identifier: Apache-2.0
//! Tasks with a name and an owner; beside them the page of figures ([`metrics`]).
//!
//! Problem: a task that nobody knows of can neither be waited for nor be stopped, and its panic is lost.
//! Mechanism: a `Tasks` counts what it started; `drain` asks all to finish what they have, `hurry` those to give up who wait for
//! somebody else, `stop` ends them. Who only waits for others may be left some patience (`drain_patiently`).
//! Invariants: whatever was spawned is counted until it is gone; a panic is counted under the task's name; nothing runs
//! after `stop` has returned.
//! Depends on: tokio.

pub mod metrics;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// A future whose code is made in the crate that wrote it.
///
/// That of an `async fn` is made where it is polled, and what it calls with it: in the end all of it in the binary's crate,
/// one after the other, and without the settings of the crate it belongs to. Entrances of crates return this.
pub type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Draining,
    Hurrying,
    Stopped,
}

/// A set of tasks; clones are the same set.
#[derive(Debug, Clone)]
pub struct Tasks {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    stage: watch::Sender<Stage>,
    running: AtomicUsize,
    /// In milliseconds.
    patience: AtomicU64,
    /// Told when `running` falls to none.
    idle: tokio::sync::Notify,
    panics: Mutex<BTreeMap<&'static str, u64>>,
}

/// Counts a task for as long as it exists.
struct Counted {
    shared: Arc<Shared>,
    name: &'static str,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut panics = self.shared.panics.lock().unwrap_or_else(PoisonError::into_inner);
            *panics.entry(self.name).or_default() += 1;
        }
        if self.shared.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.idle.notify_waiters();
        }
    }
}

/// Ready when the end has come so far.
///
/// Waiting takes a lock at every look. This one looks only if it was woken since, or if another task looks than before.
pub struct Reached {
    wait: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Given to `wait` at the last look.
    bell: Option<Arc<Bell>>,
}

/// A waker that remembers.
struct Bell {
    has_rung: AtomicBool,
    waker: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.waker.wake_by_ref();
    }
}

impl Future for Reached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let is_quiet = |bell: &Arc<Bell>| {
            // A bell that rings after this look wakes the task once more.
            !bell.has_rung.load(Ordering::Acquire) && bell.waker.will_wake(context.waker())
        };
        if self.bell.as_ref().is_some_and(is_quiet) {
            return Poll::Pending;
        }
        let bell = Arc::new(Bell {
            has_rung: AtomicBool::new(false),
            waker: context.waker().clone(),
        });
        let waker = Waker::from(Arc::clone(&bell));
        self.bell = Some(bell);
        let reached = self.wait.as_mut().poll(&mut Context::from_waker(&waker));
        if reached.is_ready() {
            // It may be asked again, and is still there.
            self.bell = None;
            self.wait = Box::pin(std::future::poll_fn(|_| Poll::Ready(())));
        }
        reached
    }
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            stage: watch::Sender::new(Stage::Running),
            running: AtomicUsize::new(0),
            patience: AtomicU64::new(0),
            idle: tokio::sync::Notify::new(),
            panics: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Starts a task; it must be called within a tokio runtime.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_on(&Handle::current(), name, task);
    }

    /// Starts a task on this runtime.
    pub fn spawn_on(&self, runtime: &Handle, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.running.fetch_add(1, Ordering::AcqRel);
        let counted = Counted {
            shared: Arc::clone(&self.shared),
            name,
        };
        let stopped = self.reached(Stage::Stopped);
        // Boxed: what an async block captures and then moves it holds twice, and connections idle by the ten thousand.
        let task = Box::pin(task);
        // The one place where tasks begin.
        drop(runtime.spawn(async move {
            let _counted = counted;
            tokio::select! {
                biased;
                () = task => {}
                () = stopped => {}
            }
        }));
    }

    /// Whether tasks are asked to finish.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.shared.stage.borrow() != Stage::Running
    }

    /// Returns when tasks are asked to finish; for use within them.
    pub async fn draining(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        drop(
            self.shared
                .stage
                .subscribe()
                .wait_for(|stage| *stage != Stage::Running)
                .await,
        );
    }

    /// As `draining`, for a task that waits for it beside something else again and again: after the first, a look costs
    /// next to nothing.
    #[must_use]
    pub fn drain_watch(&self) -> Reached {
        self.reached(Stage::Draining)
    }

    fn reached(&self, at_least: Stage) -> Reached {
        let mut stage = self.shared.stage.subscribe();
        Reached {
            wait: Box::pin(async move { drop(stage.wait_for(|stage| *stage >= at_least).await) }),
            bell: None,
        }
    }

    /// Asks every task to finish what it has.
    pub fn drain(&self) {
        self.advance(Stage::Draining);
    }

    /// As `drain`; who has nothing to finish, but waits for somebody who may still come, may wait that much longer.
    pub fn drain_patiently(&self, patience: Duration) {
        let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self.shared.patience.store(millis, Ordering::Release);
        self.drain();
    }

    /// As `drain`; who waits for somebody who will not come any more gives up.
    pub fn hurry(&self) {
        self.advance(Stage::Hurrying);
    }

    /// Whether who waits for somebody else should give up.
    #[must_use]
    pub fn is_hurrying(&self) -> bool {
        *self.shared.stage.borrow() >= Stage::Hurrying
    }

    /// Returns when who waits for somebody else should give up; for use within tasks.
    pub async fn hurrying(&self) {
        self.reached(Stage::Hurrying).await;
    }

    /// How long after the beginning of a drain who has nothing to finish may still wait.
    #[must_use]
    pub fn patience(&self) -> Duration {
        Duration::from_millis(self.shared.patience.load(Ordering::Acquire))
    }

    /// Ends every task where it stands, and waits until all are gone.
    pub async fn stop(&self) {
        self.advance(Stage::Stopped);
        self.gone().await;
    }

    /// Returns when no task is left.
    pub async fn gone(&self) {
        loop {
            let idle = self.shared.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.running() == 0 {
                return;
            }
            idle.await;
        }
    }

    /// How many tasks there are.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.running.load(Ordering::Acquire)
    }

    /// How many tasks of each name have panicked.
    #[must_use]
    pub fn panics(&self) -> BTreeMap<&'static str, u64> {
        self.shared
            .panics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn advance(&self, to: Stage) {
        self.shared.stage.send_if_modified(|stage| {
            let is_further = *stage < to;
            *stage = (*stage).max(to);
            is_further
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn draining_waits_and_stopping_does_not() {
        let tasks = Tasks::new();
        let inner = tasks.clone();
        tasks.spawn("polite", async move { inner.draining().await });
        tasks.spawn("deaf", std::future::pending());
        assert_eq!(tasks.running(), 2);
        tasks.drain();
        while tasks.running() > 1 {
            tokio::task::yield_now().await;
        }
        tasks.stop().await;
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test]
    async fn a_watch_sees_the_change_however_often_it_looked_before() {
        let tasks = Tasks::new();
        let (inner, looked) = (tasks.clone(), Arc::new(AtomicUsize::new(0)));
        let looks = Arc::clone(&looked);
        tasks.spawn("watcher", async move {
            let mut watch = inner.drain_watch();
            loop {
                looks.fetch_add(1, Ordering::SeqCst);
                tokio::select! {
                    biased;
                    () = &mut watch => return,
                    () = tokio::task::yield_now() => {}
                }
                if looks.load(Ordering::SeqCst) == 3 {
                    // From here on only the watch itself can wake this task.
                    return (&mut watch).await;
                }
            }
        });
        while looked.load(Ordering::SeqCst) < 3 {
            tokio::task::yield_now().await;
        }
        tasks.drain();
        tasks.gone().await;
    }

    /// Whether a task was woken.
    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_looks_while_the_change_happens_is_ready_when_it_is_woken() {
        for round in 0..1000 {
            let tasks = Tasks::new();
            let mut watch = tasks.drain_watch();
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            std::thread::scope(|scope| {
                scope.spawn(|| tasks.drain());
                // Other things wake a task, too; but when this has, it must be ready.
                loop {
                    let was_woken = woken.0.load(Ordering::SeqCst);
                    if Pin::new(&mut watch).poll(&mut Context::from_waker(&waker)).is_ready() {
                        break;
                    }
                    assert!(!was_woken, "round {round}: woken, and not ready");
                }
            });
        }
    }

    #[tokio::test]
    async fn who_drains_may_leave_patience_and_a_watch_can_be_asked_again() {
        let tasks = Tasks::new();
        let mut watch = tasks.drain_watch();
        assert_eq!(tasks.patience(), Duration::ZERO);
        tasks.drain_patiently(Duration::from_secs(3));
        for _ in 0..3 {
            (&mut watch).await;
        }
        assert_eq!(tasks.patience(), Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_drain_lets_wait_and_a_hurry_does_not() {
        let tasks = Tasks::new();
        let inner = tasks.clone();
        tasks.spawn("waits for somebody", async move { inner.hurrying().await });
        tasks.drain();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(tasks.running(), 1);
        tasks.hurry();
        // Going back is not possible.
        tasks.drain();
        assert!(tasks.is_draining() && tasks.is_hurrying());
        tasks.gone().await;
    }

    #[tokio::test]
    async fn a_panic_is_counted_under_its_name() {
        let tasks = Tasks::new();
        tasks.spawn("clumsy", async { panic!("on purpose") });
        tasks.gone().await;
        assert_eq!(tasks.panics().get("clumsy"), Some(&1));
    }
}
