// SPDX-License-Identifier: Apache-2.0
//! Whose logs are meant by a name.
//!
//! Mechanism: a pod of that name, else the pods that carry the service's label; a run is a container's between restarts.
//! Depends on: api (names), cli, failure, kube.

use std::collections::BTreeSet;

use api::names::{kubernetes, serving};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Api, Client};

use crate::cli;
use crate::failure::{Exit, Failure, chain};

/// Whose logs.
pub(super) enum Subject {
    Pod(Run),
    Service(Vec<Run>),
}

/// A container of a pod, from one start to its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) pod: String,
    pub(super) container: String,
    restarts: i32,
}

impl Run {
    /// What stands before its lines among those of other pods.
    pub(super) fn prefix(&self) -> String {
        format!("[{}] ", self.pod)
    }
}

/// The pod or service of the name.
pub(super) async fn find(client: &Client, arguments: &cli::Logs) -> Result<Subject, Failure> {
    let (name, namespace) = (&arguments.name, &arguments.namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    if let Some(pod) = pods.get_opt(name).await.map_err(|error| refused(&error))? {
        return Ok(Subject::Pod(newest(&pod, arguments)));
    }
    let runs = of_service(&pods, arguments).await?;
    if !runs.is_empty() {
        return Ok(Subject::Service(runs));
    }
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("serving.knative.dev", "v1", "Service"));
    let services: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let service = services.get_opt(name).await.map_err(|error| refused(&error))?;
    match service {
        Some(_) if arguments.follow => Ok(Subject::Service(runs)),
        Some(_) => Err(Failure::new(
            Exit::Gone,
            format!("service {name:?} has no pod that runs now"),
            "a request to it starts one, and -f waits for it",
        )),
        None => Err(Failure::new(
            Exit::Gone,
            format!("no pod and no service is called {name:?} in the namespace {namespace:?}"),
            "`kubectl get ksvc,pods -A` shows what there is; -n names another namespace",
        )),
    }
}

/// What has run of the service's pods, the oldest pod first.
pub(super) async fn of_service(pods: &Api<Pod>, arguments: &cli::Logs) -> Result<Vec<Run>, Failure> {
    let wanted = ListParams::default().labels(&format!("{}={}", serving::SERVICE, arguments.name));
    let mut found = pods.list(&wanted).await.map_err(|error| refused(&error))?.items;
    found.sort_by_cached_key(|pod| {
        let metadata = &pod.metadata;
        (metadata.creation_timestamp.clone(), metadata.name.clone())
    });
    known(&found, arguments)?;
    let begun = found.iter().filter(|pod| has_run(pod, arguments));
    Ok(begun.map(|pod| newest(pod, arguments)).collect())
}

/// Refuses a container that none of the pods has.
fn known(pods: &[Pod], arguments: &cli::Logs) -> Result<(), Failure> {
    let names: BTreeSet<&str> = pods.iter().flat_map(containers).collect();
    let Some(wanted) = arguments.container.as_deref() else {
        return Ok(());
    };
    if names.is_empty() || names.contains(wanted) {
        return Ok(());
    }
    let names: Vec<&str> = names.into_iter().collect();
    Err(Failure::new(
        Exit::Gone,
        format!("the pods of service {:?} have no container {wanted:?}", arguments.name),
        format!("theirs are {}", names.join(", ")),
    ))
}

/// Of a pod, those that only prepare it too.
fn containers(pod: &Pod) -> impl Iterator<Item = &str> {
    let spec = pod.spec.iter();
    let all = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    all.map(|container| container.name.as_str())
}

fn has_run(pod: &Pod, arguments: &cli::Logs) -> bool {
    status(pod, &container(pod, arguments)).is_some_and(|status| {
        let state = status.state.as_ref();
        let runs = state.is_some_and(|state| state.running.is_some() || state.terminated.is_some());
        runs || status.restart_count > 0
    })
}

fn newest(pod: &Pod, arguments: &cli::Logs) -> Run {
    let container = container(pod, arguments);
    let restarts = status(pod, &container).map(|status| status.restart_count);
    Run {
        pod: pod.metadata.name.clone().unwrap_or_default(),
        restarts: restarts.unwrap_or_default(),
        container,
    }
}

fn status<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let all = [&status.container_statuses, &status.init_container_statuses];
    let mut all = all.into_iter().flatten().flatten();
    all.find(|status| status.name == container)
}

/// The one that was asked for, else the one that the pod says is meant, else its first.
fn container(pod: &Pod, arguments: &cli::Logs) -> String {
    let said = || {
        pod.metadata
            .annotations
            .as_ref()?
            .get(kubernetes::DEFAULT_CONTAINER)
            .cloned()
    };
    let first = || Some(pod.spec.as_ref()?.containers.first()?.name.clone());
    arguments
        .container
        .clone()
        .or_else(said)
        .or_else(first)
        .unwrap_or_default()
}

/// What the API says against it.
pub(super) fn refused(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => Failure::new(Exit::Failed, status.message.clone(), ""),
        other => Failure::new(
            Exit::Failed,
            format!("the API does not answer: {}", chain(other)),
            "is `sluice standalone` running? --kubeconfig names the file that it said at its start",
        ),
    }
}
