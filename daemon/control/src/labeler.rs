// SPDX-License-Identifier: Apache-2.0
//! Labeler: writes onto Revisions and Configurations which Routes point at them; control-plane spec 4.5.
//!
//! Problem: what a Route points at must stay reachable and must not be collected; what none points at may go.
//! Mechanism: each Route puts its name into the annotation of what it means, and takes it out again; a finalizer lets it do
//! so before it goes.
//! Invariants: a name is taken out only when the Route's status speaks of its present spec.
//! Depends on: controller, tracker, wanted, api (route, revision).

mod wanted;

use std::collections::BTreeSet;
use std::sync::Arc;

use api::configuration::Configuration;
use api::names::serving::{self, routing_state};
use api::revision::Revision;
use api::revision::routing_state::set_routing_state;
use api::route::Route;
use serde_json::{Value, json};

use crate::caches::Cached;
use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::failure::Failure;
use crate::kept::Kept;
use crate::key::Key;
use crate::queue::Queue;
use crate::tracker::Tracker;

/// Starts it.
pub fn start(context: &Context) {
    let queue = Arc::new(Queue::default());
    let tracker = Arc::new(Tracker::default());
    controller::watch_self::<Route>(context, &queue);
    watch_tracked::<Configuration>(context, &queue, &tracker);
    watch_tracked::<Revision>(context, &queue, &tracker);
    let labeler = Labeler {
        context: context.speaking_as(Labeler::NAME),
        tracker,
    };
    controller::start(context, &queue, labeler);
}

fn watch_tracked<K: Cached>(context: &Context, queue: &Arc<Queue>, tracker: &Arc<Tracker>) {
    let tracker = Arc::clone(tracker);
    controller::watch(context, queue, move |object: &K| {
        tracker.sources(K::kind(), Key::of(object.meta()))
    });
}

struct Labeler {
    context: Context,
    tracker: Arc<Tracker>,
}

impl Controller for Labeler {
    type Object = Route;

    const NAME: &'static str = "labeler-controller";
    const FINALIZER: Option<&'static str> = Some("routes.serving.knative.dev");

    async fn reconcile(&self, route: Arc<Route>) -> Result<Again, Failure> {
        let wanted = wanted::of(&self.context, &route);
        self.tracker.track(&Key::of(&route.metadata), wanted.references);
        if route.is_ready() || route.has_failed() {
            self.clear::<Revision>(&route, &wanted.revisions).await?;
            self.clear::<Configuration>(&route, &wanted.configurations).await?;
        }
        self.put::<Revision>(&route, &wanted.revisions).await?;
        self.put::<Configuration>(&route, &wanted.configurations).await?;
        Ok(None)
    }

    async fn finalize(&self, route: Arc<Route>) -> Result<(), Failure> {
        self.clear::<Revision>(&route, &BTreeSet::new()).await?;
        self.clear::<Configuration>(&route, &BTreeSet::new()).await
    }

    fn forget(&self, key: &Key) {
        self.tracker.forget(key);
    }
}

impl Labeler {
    /// Takes the Route out of whatever has it and shall not.
    async fn clear<K: Labelled>(&self, route: &Route, wanted: &BTreeSet<String>) -> Result<(), Failure> {
        let (namespace, name) = (route.namespace(), route.name());
        for object in K::cache(&self.context.caches).pointed_at_by(namespace, name) {
            if object.meta().name.as_ref().is_some_and(|name| wanted.contains(name)) {
                continue;
            }
            let mut routes = routes(object.as_ref());
            if routes.remove(name) {
                self.write(object.as_ref(), &routes).await?;
            }
        }
        Ok(())
    }

    /// Puts the Route into whatever shall have it.
    async fn put<K: Labelled>(&self, route: &Route, wanted: &BTreeSet<String>) -> Result<(), Failure> {
        for name in wanted {
            let Some(object) = self.context.get::<K>(&Key::new(route.namespace(), name)) else {
                continue;
            };
            let mut routes = routes(object.as_ref());
            if routes.insert(route.name()) || !K::is_settled(object.as_ref()) {
                self.write(object.as_ref(), &routes).await?;
            }
        }
        Ok(())
    }

    async fn write<K: Labelled>(&self, object: &K, routes: &BTreeSet<&str>) -> Result<(), Failure> {
        let change = K::change(object, routes, &self.context);
        let written = self.context.merge::<K>(&Key::of(object.meta()), &change).await;
        match written {
            Err(failure) if !failure.is_missing() => Err(failure),
            _ => Ok(()),
        }
    }
}

/// The Routes that an object has already.
fn routes<K: Kept>(object: &K) -> BTreeSet<&str> {
    let annotations = object.meta().annotations.as_ref();
    let text = annotations.and_then(|annotations| annotations.get(serving::ROUTES));
    let names = text.into_iter().flat_map(|text| text.split(','));
    names.filter(|name| !name.is_empty()).collect()
}

fn annotation(routes: &BTreeSet<&str>) -> Value {
    match routes.is_empty() {
        true => Value::Null,
        false => routes.iter().copied().collect::<Vec<_>>().join(",").into(),
    }
}

/// A kind that carries the Routes that point at it.
trait Labelled: Cached {
    /// The change that makes it carry these.
    fn change(&self, routes: &BTreeSet<&str>, context: &Context) -> Value;

    /// Whether it says all that follows from the Routes that it carries.
    fn is_settled(&self) -> bool {
        true
    }
}

impl Labelled for Configuration {
    fn change(&self, routes: &BTreeSet<&str>, _context: &Context) -> Value {
        json!({"metadata": {"annotations": {(serving::ROUTES): annotation(routes)}}})
    }
}

impl Labelled for Revision {
    fn change(&self, routes: &BTreeSet<&str>, context: &Context) -> Value {
        let state = match routes.is_empty() {
            true => routing_state::RESERVE,
            false => routing_state::ACTIVE,
        };
        let mut stated = self.clone();
        set_routing_state(&mut stated, state, &context.now());
        json!({"metadata": {
            "labels": {(serving::ROUTING_STATE): state},
            "annotations": {
                (serving::ROUTES): annotation(routes),
                (serving::ROUTING_STATE_MODIFIED): stated.annotation(serving::ROUTING_STATE_MODIFIED),
            },
        }})
    }

    fn is_settled(&self) -> bool {
        self.label(serving::ROUTING_STATE) == Some(routing_state::ACTIVE)
    }
}
