// SPDX-License-Identifier: Apache-2.0
//! A namespace with controllers at work: what a scenario does and sees there.
//!
//! Mechanism: plain JSON over the controllers' own client; [`Place::eventually`] asks again until it is so.
//! Invariants: the system's namespace has no ConfigMaps when a scenario begins; no time is asserted, only waited for.
//! Depends on: server, world, control.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use control::boot::{self, Options};
use control::clock::Clock;
use control::context::Context;
use control::route::Gateway;
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::server::Server;
use crate::world::{self, World};

/// How long anything may take; generous, since two cores are shared by many.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many objects of a kind are shown after a mistake.
const MOST_TOLD: usize = 20;
const POLL: Duration = Duration::from_millis(10);

/// The groups of kinds, by what scenarios call them.
const KINDS: &[(&str, &str)] = &[
    ("ksvc", "apis/serving.knative.dev/v1/namespaces/{}/services"),
    (
        "configuration",
        "apis/serving.knative.dev/v1/namespaces/{}/configurations",
    ),
    ("revision", "apis/serving.knative.dev/v1/namespaces/{}/revisions"),
    ("route", "apis/serving.knative.dev/v1/namespaces/{}/routes"),
    (
        "domainmapping",
        "apis/serving.knative.dev/v1beta1/namespaces/{}/domainmappings",
    ),
    (
        "pa",
        "apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/{}/podautoscalers",
    ),
    (
        "ingress",
        "apis/networking.internal.knative.dev/v1alpha1/namespaces/{}/ingresses",
    ),
    (
        "sks",
        "apis/networking.internal.knative.dev/v1alpha1/namespaces/{}/serverlessservices",
    ),
    (
        "certificate",
        "apis/networking.internal.knative.dev/v1alpha1/namespaces/{}/certificates",
    ),
    (
        "claim",
        "apis/networking.internal.knative.dev/v1alpha1/clusterdomainclaims",
    ),
    (
        "image",
        "apis/caching.internal.knative.dev/v1alpha1/namespaces/{}/images",
    ),
    (
        "metric",
        "apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/{}/metrics",
    ),
    ("hpa", "apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers"),
    ("pod", "api/v1/namespaces/{}/pods"),
    ("deployment", "apis/apps/v1/namespaces/{}/deployments"),
    ("service", "api/v1/namespaces/{}/services"),
    ("slice", "apis/discovery.k8s.io/v1/namespaces/{}/endpointslices"),
    ("event", "api/v1/namespaces/{}/events"),
    ("configmap", "api/v1/namespaces/knative-serving/configmaps"),
];

/// A namespace and the controllers; clones are the same.
#[derive(Clone)]
pub(crate) struct Place {
    client: Client,
    namespace: String,
    collects: bool,
    running: Arc<Mutex<Option<Context>>>,
    world: World,
    gateways: Arc<watch::Sender<Vec<std::net::SocketAddr>>>,
}

impl Place {
    /// A new namespace with controllers at work, in a world where everything becomes ready at once.
    pub(crate) async fn new(server: &Server, scenario: &str) -> Result<Self> {
        let namespace: String = scenario.replace('_', "-").chars().take(50).collect();
        let gateway = "10.1.2.3:8080".parse()?;
        let place = Self {
            client: server.client()?,
            namespace: namespace.trim_end_matches('-').to_owned(),
            collects: server.collects(),
            running: Arc::default(),
            world: World::default(),
            gateways: Arc::new(watch::Sender::new(vec![gateway])),
        };
        for name in ["knative-serving", &place.namespace] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            // The system's may be there.
            let _ = place.ask(Method::POST, "api/v1/namespaces", &namespace).await;
        }
        for map in place.list("configmap").await? {
            place.delete("configmap", text(&map, "/metadata/name")).await?;
        }
        place.start().await?;
        Ok(place)
    }

    /// Starts controllers, as a new process would.
    pub(crate) async fn start(&self) -> Result<()> {
        let options = Options {
            gateway: Gateway {
                class: Some(api::names::product::INGRESS_CLASS.to_owned()),
                addresses: self.gateways.subscribe(),
            },
            ..Options::default()
        };
        let tasks = life::Tasks::new();
        let observed = boot::observe(self.client.clone(), &options, Clock::of_machine(), tasks);
        let context = tokio::time::timeout(PATIENCE, observed)
            .await
            .context("the caches are not filled")?;
        world::run(&context, &self.world);
        boot::serving(&context, &options);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(context);
        Ok(())
    }

    /// Ends the controllers where they stand, as a crash would.
    pub(crate) async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(context) = running {
            context.tasks.stop().await;
            assert!(context.tasks.panics().is_empty(), "{:?}", context.tasks.panics());
        }
    }

    /// Ends the scenario.
    pub(crate) async fn end(&self) {
        self.stop().await;
        if !self.collects {
            // Without a collector what is left is only in the way of the next scenario.
            for (kind, _) in KINDS.iter().filter(|(_, path)| path.contains("{}")) {
                self.clear(kind).await;
            }
        }
    }

    /// Deletes all objects of a kind, whatever would hold them.
    async fn clear(&self, kind: &str) {
        let path = self.path(kind);
        for object in self.list(kind).await.unwrap_or_default() {
            if !object["metadata"]["finalizers"].is_null() {
                let path = format!("{path}/{}", text(&object, "/metadata/name"));
                let free = json!({"metadata": {"finalizers": null}});
                let _ = self.ask(Method::PATCH, &path, &free).await;
            }
        }
        let _ = self.ask(Method::DELETE, &path, &Value::Null).await;
    }

    /// What there is, for whoever looks for a mistake: kind, name, and what is said of it.
    pub(crate) async fn tell(&self) -> String {
        let mut lines = String::new();
        for (kind, _) in KINDS {
            for object in self.list(kind).await.unwrap_or_default().into_iter().take(MOST_TOLD) {
                let name = text(&object, "/metadata/name");
                let said = match *kind {
                    "event" => format!("{} {}", object["reason"], object["message"]),
                    _ => format!("{} {}", object["spec"]["traffic"], object["status"]),
                };
                lines.push_str(&format!("\n{kind} {name} {said}"));
            }
        }
        lines
    }

    /// What becomes ready by itself.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// The controllers at work; none while they are stopped.
    pub(crate) fn context(&self) -> Option<Context> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where gateways are, as it changes.
    pub(crate) fn gateways(&self) -> watch::Receiver<Vec<std::net::SocketAddr>> {
        self.gateways.subscribe()
    }

    /// The name of the namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Sets one of the operator's maps.
    pub(crate) async fn configure(&self, name: &str, data: &Value) -> Result<()> {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
        if self.find("configmap", name).await?.is_some() {
            self.delete("configmap", name).await?;
        }
        self.create("configmap", &map).await.map(drop)
    }

    /// Where the gateways are.
    pub(crate) fn move_gateways(&self, to: &[&str]) {
        let parsed = to.iter().filter_map(|text| text.parse().ok()).collect();
        self.gateways.send_replace(parsed);
    }

    /// Creates an object.
    pub(crate) async fn create(&self, kind: &str, object: &Value) -> Result<Value> {
        self.ask(Method::POST, &self.path(kind), object).await
    }

    /// An object, if it is there.
    pub(crate) async fn find(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        let path = format!("{}/{name}", self.path(kind));
        match self.ask(Method::GET, &path, &Value::Null).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An object.
    pub(crate) async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        let found = self.find(kind, name).await?;
        found.with_context(|| format!("there is no {kind} {name}"))
    }

    /// All objects of a kind.
    pub(crate) async fn list(&self, kind: &str) -> Result<Vec<Value>> {
        let list = self.ask(Method::GET, &self.path(kind), &Value::Null).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// The events of another namespace.
    pub(crate) async fn list_in(&self, namespace: &str) -> Result<Vec<Value>> {
        let path = format!("api/v1/namespaces/{namespace}/events");
        let list = self.ask(Method::GET, &path, &Value::Null).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Merges a change into an object.
    pub(crate) async fn patch(&self, kind: &str, name: &str, change: &Value) -> Result<Value> {
        let path = format!("{}/{name}", self.path(kind));
        self.ask(Method::PATCH, &path, change).await
    }

    /// Merges a change into the status of an object.
    pub(crate) async fn patch_status(&self, kind: &str, name: &str, status: &Value) -> Result<Value> {
        let path = format!("{}/{name}/status", self.path(kind));
        self.ask(Method::PATCH, &path, &json!({"status": status})).await
    }

    /// Deletes an object.
    pub(crate) async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        let path = format!("{}/{name}", self.path(kind));
        self.ask(Method::DELETE, &path, &Value::Null).await.map(drop)
    }

    /// Waits until an object is there and as it should be; says how it was instead.
    pub(crate) async fn eventually(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let look = || async {
            let found = self.find(kind, name).await?;
            let instead = found.as_ref().map(Value::to_string);
            Ok(found.filter(|object| is_so(object)).ok_or(instead))
        };
        until(&format!("{kind} {name}: {what}"), look).await
    }

    /// Waits until an object is gone.
    pub(crate) async fn gone(&self, kind: &str, name: &str) -> Result<()> {
        let look = || async {
            let found = self.find(kind, name).await?;
            Ok(match found {
                None => Ok(()),
                Some(object) => Err(object),
            })
        };
        until(&format!("{kind} {name} is gone"), look).await
    }

    /// Waits until a condition of an object has this status and reason.
    pub(crate) async fn condition(
        &self,
        kind: &str,
        name: &str,
        condition: &str,
        wanted: (&str, &str),
    ) -> Result<Value> {
        let what = format!("{condition} is {wanted:?}");
        self.eventually(kind, name, &what, |object| {
            is_observed(object) && state(object, condition) == wanted
        })
        .await
    }

    /// Waits until an object is ready.
    pub(crate) async fn ready(&self, kind: &str, name: &str) -> Result<Value> {
        self.condition(kind, name, "Ready", ("True", "")).await
    }

    fn path(&self, kind: &str) -> String {
        let path = KINDS.iter().find(|(known, _)| *known == kind).map(|(_, path)| *path);
        path.unwrap_or_default().replace("{}", &self.namespace)
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let media = match method {
            Method::PATCH => "application/merge-patch+json",
            _ => "application/json",
        };
        let body = match body {
            Value::Null => Vec::new(),
            body => serde_json::to_vec(body)?,
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("/{path}"))
            .header("Content-Type", media)
            .body(body)?;
        Ok(self.client.request(request).await?)
    }
}

/// Asks again until there is an answer; what there was instead is told.
pub(crate) async fn until<T, E, F>(what: &str, look: impl Fn() -> F) -> Result<T>
where
    E: Debug,
    F: Future<Output = Result<std::result::Result<T, E>>>,
{
    until_within(PATIENCE, what, look).await
}

/// As [`until`], for as long as this.
pub(crate) async fn until_within<T, E, F>(patience: Duration, what: &str, look: impl Fn() -> F) -> Result<T>
where
    E: Debug,
    F: Future<Output = Result<std::result::Result<T, E>>>,
{
    let limit = Instant::now() + patience;
    loop {
        match look().await? {
            Ok(found) => return Ok(found),
            Err(instead) if Instant::now() > limit => bail!("{what}: it is not so: {instead:?}"),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<kube::Error>() {
        Some(kube::Error::Api(status)) => status.code == 404,
        _ => false,
    }
}

/// A text within an object; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The value of an annotation or label; empty where there is none.
pub(crate) fn entry<'a>(object: &'a Value, map: &str, key: &str) -> &'a str {
    object["metadata"][map][key].as_str().unwrap_or_default()
}

/// Status and reason of a condition; empty where there is none.
pub(crate) fn state<'a>(object: &'a Value, condition: &str) -> (&'a str, &'a str) {
    let found = find_condition(object, condition);
    found.map_or(("", ""), |found| (text(found, "/status"), text(found, "/reason")))
}

/// The message of a condition; empty where there is none.
pub(crate) fn message<'a>(object: &'a Value, condition: &str) -> &'a str {
    find_condition(object, condition).map_or("", |found| text(found, "/message"))
}

fn find_condition<'a>(object: &'a Value, condition: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|found| found["type"] == condition)
}

/// Whether the status is of the present spec.
pub(crate) fn is_observed(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}
