// SPDX-License-Identifier: Apache-2.0
//! The loop of every controller: what changed is looked at, one object at a time and never one object twice at once.
//!
//! Mechanism: changes put keys into a queue; workers take them, find the object in the cache and let the controller
//! reconcile it; who fails comes again, later each time. Control-plane spec 4.1.
//! Invariants: an object that is being deleted is only finalized; a look ends after 30 s.
//! Depends on: context, queue, cache, caches, kept, failure, life.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::cache::Change;
use crate::caches::Cached;
use crate::context::Context;
use crate::failure::Failure;
use crate::kept::{Kept, maker};
use crate::key::Key;
use crate::queue::Queue;
use crate::settings::Settings;

/// The longest look.
const DEADLINE: Duration = Duration::from_secs(30);
/// Everything is looked at again so often, whether it changed or not.
const RESYNC: Duration = Duration::from_secs(10 * 3600);

/// When an object must be looked at again without a change; none: not at all.
pub type Again = Option<Duration>;

/// A controller of one kind.
pub trait Controller: Send + Sync + 'static {
    /// The kind.
    type Object: Cached;

    /// Who speaks in events, and the name of the tasks.
    const NAME: &'static str;

    /// The finalizer that objects get before they are reconciled; none: they just go.
    const FINALIZER: Option<&'static str> = None;

    /// How many objects are looked at at once.
    const WORKERS: usize = 4;

    /// Makes things as the object wants them, and tells in its status how they are.
    fn reconcile(&self, object: Arc<Self::Object>) -> impl Future<Output = Result<Again, Failure>> + Send;

    /// Cleans up after an object that is being deleted; for those with a finalizer.
    fn finalize(&self, _object: Arc<Self::Object>) -> impl Future<Output = Result<(), Failure>> + Send {
        async { Ok(()) }
    }

    /// Forgets an object that is gone.
    fn forget(&self, _key: &Key) {}
}

/// Adds the object itself to the queue at each change of it.
pub fn watch_self<K: Cached>(context: &Context, queue: &Arc<Queue>) {
    let queue = Arc::clone(queue);
    K::cache(&context.caches).listen(move |change| {
        if let Some(object) = change.either() {
            queue.add(Key::of(object.meta()));
        }
    });
}

/// Adds the object of kind `O` that made something to the queue at each change of what it made.
pub fn watch_made<O: Cached, K: Cached>(context: &Context, queue: &Arc<Queue>) {
    watch(context, queue, |made: &K| maker::<O, K>(made).into_iter().collect());
}

/// Adds keys to the queue at each change of an object: those for it as it was and as it is.
pub fn watch<K: Cached>(context: &Context, queue: &Arc<Queue>, keys: impl Fn(&K) -> Vec<Key> + Send + Sync + 'static) {
    let queue = Arc::clone(queue);
    K::cache(&context.caches).listen(move |change: &Change<K>| {
        for key in change.both().flat_map(&keys) {
            queue.add(key);
        }
    });
}

/// Adds every object of the kind to the queue when what `of` takes from the settings changes.
pub fn watch_settings<K: Cached, T: PartialEq + Send + 'static>(
    context: &Context,
    queue: &Arc<Queue>,
    name: &'static str,
    of: impl Fn(&Settings) -> T + Send + 'static,
) {
    let mut settings = context.settings.clone();
    let (queue, cache) = (Arc::clone(queue), K::cache(&context.caches).clone());
    let mut last = of(&settings.borrow_and_update());
    context.tasks.spawn(name, async move {
        while settings.changed().await.is_ok() {
            let next = of(&settings.borrow_and_update());
            if next != last {
                last = next;
                cache.keys().into_iter().for_each(|key| queue.add(key));
            }
        }
    });
}

/// Starts the workers of a controller with a look at everything; what it watches must have been said before.
pub fn start<C: Controller>(context: &Context, queue: &Arc<Queue>, controller: C) {
    let worker = Arc::new(Worker {
        context: context.speaking_as(C::NAME),
        queue: Arc::clone(queue),
        controller,
    });
    context.queues.add(C::NAME, queue);
    C::Object::cache(&context.caches)
        .keys()
        .into_iter()
        .for_each(|key| queue.add(key));
    for _ in 0..C::WORKERS {
        let worker = Arc::clone(&worker);
        context.tasks.spawn(C::NAME, async move { worker.work().await });
    }
    context.tasks.spawn(C::NAME, async move { worker.resync().await });
}

struct Worker<C> {
    context: Context,
    queue: Arc<Queue>,
    controller: C,
}

impl<C: Controller> Worker<C> {
    async fn work(&self) {
        loop {
            let key = self.queue.next().await;
            self.look(&key).await;
            self.queue.done(&key);
        }
    }

    async fn resync(&self) {
        loop {
            tokio::time::sleep(RESYNC).await;
            let keys = C::Object::cache(&self.context.caches).keys();
            keys.into_iter().for_each(|key| self.queue.add(key));
        }
    }

    async fn look(&self, key: &Key) {
        let Some(object) = self.context.get::<C::Object>(key) else {
            self.controller.forget(key);
            self.queue.forget(key);
            return;
        };
        let handled = tokio::time::timeout(DEADLINE, self.handle(Arc::clone(&object))).await;
        match handled.unwrap_or(Err(Failure::Deadline)) {
            Ok(again) => {
                self.queue.forget(key);
                if let Some(delay) = again {
                    self.queue.add_after(key.clone(), delay);
                }
            }
            Err(failure) => {
                // Somebody else was faster: the next look sees what they did.
                if !failure.is_conflict() {
                    log::debug!("{} {key}: {failure}", C::NAME);
                    self.context
                        .events
                        .warn(object.as_ref(), "InternalError", &failure.to_string());
                }
                self.queue.add_failed(key.clone());
            }
        }
    }

    async fn handle(&self, object: Arc<C::Object>) -> Result<Again, Failure> {
        let Some(finalizer) = C::FINALIZER else {
            return match object.meta().deletion_timestamp {
                Some(_) => Ok(None),
                None => self.controller.reconcile(object).await,
            };
        };
        let has_it = has_finalizer(object.as_ref(), finalizer);
        match (object.meta().deletion_timestamp.is_some(), has_it) {
            (false, true) => self.controller.reconcile(object).await,
            (false, false) => {
                let object = self.set_finalizers(&object, with(object.as_ref(), finalizer)).await?;
                self.controller.reconcile(object).await
            }
            (true, true) => {
                self.controller.finalize(Arc::clone(&object)).await?;
                self.set_finalizers(&object, without(object.as_ref(), finalizer))
                    .await?;
                Ok(None)
            }
            (true, false) => Ok(None),
        }
    }

    /// The version goes along, so that of two who write at once one starts again.
    async fn set_finalizers(&self, object: &C::Object, finalizers: Vec<String>) -> Result<Arc<C::Object>, Failure> {
        let meta = object.meta();
        let change = json!({"metadata": {"finalizers": finalizers, "resourceVersion": meta.resource_version}});
        let written = self.context.merge(&Key::of(meta), &change).await;
        let name = meta.name.as_deref().unwrap_or_default();
        match &written {
            Ok(_) => {
                let message = format!("Updated {name:?} finalizers");
                self.context.events.tell(object, "FinalizerUpdate", &message);
            }
            Err(failure) if !failure.is_conflict() => {
                let message = format!("Failed to update finalizers for {name:?}: {failure}");
                self.context.events.warn(object, "FinalizerUpdateFailed", &message);
            }
            Err(_) => {}
        }
        written
    }
}

fn finalizers<K: Kept>(object: &K) -> &[String] {
    object.meta().finalizers.as_deref().unwrap_or_default()
}

fn has_finalizer<K: Kept>(object: &K, finalizer: &str) -> bool {
    finalizers(object).iter().any(|known| known == finalizer)
}

fn with<K: Kept>(object: &K, finalizer: &str) -> Vec<String> {
    [finalizers(object), &[finalizer.to_owned()]].concat()
}

fn without<K: Kept>(object: &K, finalizer: &str) -> Vec<String> {
    let mut kept = finalizers(object).to_vec();
    kept.retain(|known| known != finalizer);
    kept
}
