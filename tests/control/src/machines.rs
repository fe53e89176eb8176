// SPDX-License-Identifier: Apache-2.0
//! Machines: every Deployment has the pods that it wants, and they are ready at once.
//!
//! Mechanism: pods from the template, with an address; of too many those of the lowest deletion cost go, as in Kubernetes.
//! Depends on: control (its caches and queue).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use control::context::Context;
use control::controller;
use control::key::Key;
use control::queue::Queue;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// The Deployment of a pod.
const OF: &str = "machines.test/deployment";

/// Starts them.
pub(crate) fn run(context: &Context) {
    let queue = Arc::new(Queue::default());
    controller::watch_self::<Deployment>(context, &queue);
    controller::watch(context, &queue, |pod: &Pod| {
        let deployment = pod.metadata.labels.as_ref().and_then(|labels| labels.get(OF)).cloned();
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        deployment.into_iter().map(|name| Key::new(&namespace, name)).collect()
    });
    let (context, made) = (context.clone(), AtomicU32::new(0));
    context.tasks.clone().spawn("machines", async move {
        loop {
            let key = queue.next().await;
            let pods: Api<Pod> = Api::namespaced(context.client.clone(), &key.namespace);
            if let Some(deployment) = context.get::<Deployment>(&key)
                && fit(&pods, &context, &deployment, &made).await.is_err()
            {
                queue.add_failed(key.clone());
            }
            queue.done(&key);
        }
    });
}

async fn fit(pods: &Api<Pod>, context: &Context, deployment: &Deployment, made: &AtomicU32) -> Result<(), kube::Error> {
    let name = deployment.metadata.name.clone().unwrap_or_default();
    let Some(spec) = &deployment.spec else { return Ok(()) };
    let wanted = usize::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default();
    let is_mine = |pod: &Pod| pod.metadata.labels.as_ref().and_then(|labels| labels.get(OF)) == Some(&name);
    let mut running: Vec<Arc<Pod>> = context.caches.pods.all();
    running.retain(|pod| is_mine(pod) && pod.metadata.namespace == deployment.metadata.namespace);
    running.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    for pod in &running {
        let is_new = pod.status.as_ref().is_none_or(|status| status.pod_ip.is_none());
        if is_new {
            ready(pods, pod).await?;
        }
    }
    if running.len() < wanted {
        let number = made.fetch_add(1, Ordering::Relaxed);
        let Value::Object(mut pod) = serde_json::to_value(&spec.template).unwrap_or_default() else {
            return Ok(());
        };
        let mut labels: BTreeMap<String, String> = spec
            .template
            .metadata
            .as_ref()
            .and_then(|meta| meta.labels.clone())
            .unwrap_or_default();
        labels.insert(OF.to_owned(), name.clone());
        pod.insert(
            "metadata".to_owned(),
            json!({"name": format!("{name}-{number}"), "labels": labels}),
        );
        let pod: Pod = serde_json::from_value(Value::Object(pod)).map_err(kube::Error::SerdeError)?;
        let made = pods.create(&PostParams::default(), &pod).await?;
        context.caches.pods.take_in(made);
    }
    running.sort_by_key(|pod| cost(pod));
    for pod in running.iter().take(running.len().saturating_sub(wanted)) {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        pods.delete(name, &DeleteParams::default().grace_period(0)).await?;
    }
    Ok(())
}

fn cost(pod: &Pod) -> i64 {
    let said = pod.metadata.annotations.as_ref().and_then(|all| all.get(COST));
    said.and_then(|text| text.parse().ok()).unwrap_or_default()
}

async fn ready(pods: &Api<Pod>, pod: &Pod) -> Result<(), kube::Error> {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let last = name
        .rsplit('-')
        .next()
        .and_then(|number| number.parse::<u32>().ok())
        .unwrap_or_default();
    let status = json!({"status": {
        "phase": "Running", "podIP": format!("10.200.{}.{}", last / 250, last % 250 + 1),
        "podIPs": [{"ip": format!("10.200.{}.{}", last / 250, last % 250 + 1)}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }});
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .map(drop)
}
