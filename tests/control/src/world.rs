// SPDX-License-Identifier: Apache-2.0
//! The rest of the world: Deployments get pods, PodAutoscalers scale, gateways are programmed.
//!
//! Mechanism: whatever changes is made ready at once, as long as the scenario does not hold it back by name.
//! Invariants: only statuses are written, as the controllers of these kinds would.
//! Depends on: control (its caches and queue).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use api::ingress::Ingress;
use api::pod_autoscaler::PodAutoscaler;
use control::caches::Cached;
use control::context::Context;
use control::key::Key;
use control::queue::Queue;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

/// What shall not become ready; clones are the same world.
#[derive(Clone, Default)]
pub(crate) struct World {
    held: Arc<Mutex<BTreeSet<(&'static str, String)>>>,
    queues: Arc<Mutex<Vec<Arc<Queue>>>>,
    paused: Arc<Mutex<Vec<(usize, Key)>>>,
}

impl World {
    /// Nothing whose name begins so becomes ready any more; kinds: `Deployment`, `PodAutoscaler`, `Ingress`.
    pub(crate) fn hold(&self, kind: &'static str, name: &str) {
        self.held().insert((kind, name.to_owned()));
    }

    /// It may become ready again.
    pub(crate) fn release(&self, kind: &'static str, name: &str) {
        self.held().remove(&(kind, name.to_owned()));
        let paused: Vec<_> = {
            let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
            paused.drain(..).collect()
        };
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, key) in paused {
            if let Some(queue) = queues.get(index) {
                queue.add(key);
            }
        }
    }

    fn is_held(&self, kind: &str, name: &str) -> bool {
        self.held()
            .iter()
            .any(|(held, prefix)| *held == kind && name.starts_with(prefix.as_str()))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeSet<(&'static str, String)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes everything ready from now on.
pub(crate) fn run(context: &Context, world: &World) {
    world.queues.lock().unwrap_or_else(PoisonError::into_inner).clear();
    follow::<Deployment>(context, world, deployment);
    follow::<PodAutoscaler>(context, world, pod_autoscaler);
    follow::<Ingress>(context, world, ingress);
}

fn follow<K: Cached>(context: &Context, world: &World, ready: fn(&K) -> Value) {
    let queue = Arc::new(Queue::default());
    let index = {
        let mut queues = world.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push(Arc::clone(&queue));
        queues.len() - 1
    };
    control::controller::watch_self::<K>(context, &queue);
    K::cache(&context.caches)
        .keys()
        .into_iter()
        .for_each(|key| queue.add(key));
    let (context, world) = (context.clone(), world.clone());
    context.tasks.clone().spawn("world", async move {
        loop {
            let key = queue.next().await;
            queue.done(&key);
            if world.is_held(K::kind(), &key.name) {
                world
                    .paused
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((index, key));
            } else if let Some(object) = context.get::<K>(&key) {
                let status = ready(object.as_ref());
                let present = serde_json::to_value(object.as_ref()).unwrap_or_default();
                let is_so = status.as_object().is_some_and(|status| {
                    status
                        .iter()
                        .filter(|(field, _)| *field != "conditions")
                        .all(|(field, value)| present["status"][field] == *value)
                });
                if !is_so {
                    // It may be gone by now.
                    let _ = write::<K>(&context, &key, &status).await;
                }
            }
        }
    });
}

async fn write<K: Cached>(context: &Context, key: &Key, status: &Value) -> Result<(), kube::Error> {
    let resource = ApiResource {
        group: K::group().to_owned(),
        version: K::version().to_owned(),
        api_version: control::kept::api_version::<K>(),
        kind: K::kind().to_owned(),
        plural: K::plural().to_owned(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &key.namespace, &resource);
    let change = Patch::Merge(json!({"status": status}));
    api.patch_status(&key.name, &PatchParams::default(), &change)
        .await
        .map(drop)
}

/// All of them true.
fn conditions(kinds: &[&str]) -> Vec<Value> {
    let since = "2026-01-01T00:00:00Z";
    let one = |kind: &&str| json!({"type": *kind, "status": "True", "lastTransitionTime": since});
    kinds.iter().map(one).collect()
}

fn deployment(deployment: &Deployment) -> Value {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    json!({
        "observedGeneration": deployment.metadata.generation,
        "replicas": wanted, "updatedReplicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted,
        "conditions": [
            {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ],
    })
}

fn pod_autoscaler(scaling: &PodAutoscaler) -> Value {
    json!({
        "observedGeneration": scaling.generation(),
        "serviceName": scaling.name(), "metricsServiceName": format!("{}-private", scaling.name()),
        "desiredScale": 1, "actualScale": 1,
        "conditions": conditions(&["Active", "Ready", "SKSReady", "ScaleTargetInitialized"]),
    })
}

fn ingress(ingress: &Ingress) -> Value {
    let here = json!({"ingress": [{"meshOnly": true}]});
    json!({
        "observedGeneration": ingress.generation(),
        "publicLoadBalancer": here, "privateLoadBalancer": here,
        "conditions": conditions(&["LoadBalancerReady", "NetworkConfigured", "Ready"]),
    })
}
