// SPDX-License-Identifier: Apache-2.0
//! A namespace of one scenario, and calls in it.
//!
//! Depends on: server.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::server::{Answer, Server};
use super::stream::Lines;

/// How long the server may take for what it does by and by.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// A namespace of one scenario.
pub(super) struct Place<'a> {
    server: &'a Server,
    kubectl: Option<&'a std::path::Path>,
    namespace: String,
}

/// A kind of object in URLs: its group and version, and its plural.
#[derive(Clone, Copy)]
pub(super) struct Kind(pub(super) &'static str, pub(super) &'static str);

pub(super) const MAPS: Kind = Kind("api/v1", "configmaps");
pub(super) const PODS: Kind = Kind("api/v1", "pods");
pub(super) const DEPLOYMENTS: Kind = Kind("apis/apps/v1", "deployments");
pub(super) const IMAGES: Kind = Kind("apis/caching.internal.knative.dev/v1alpha1", "images");
pub(super) const SERVICES: Kind = Kind("apis/serving.knative.dev/v1", "services");
pub(super) const CONFIGURATIONS: Kind = Kind("apis/serving.knative.dev/v1", "configurations");
pub(super) const REVISIONS: Kind = Kind("apis/serving.knative.dev/v1", "revisions");
pub(super) const ROUTES: Kind = Kind("apis/serving.knative.dev/v1", "routes");
pub(super) const INGRESSES: Kind = Kind("apis/networking.internal.knative.dev/v1alpha1", "ingresses");
pub(super) const SCALERS: Kind = Kind("apis/autoscaling.internal.knative.dev/v1alpha1", "podautoscalers");

impl<'a> Place<'a> {
    pub(super) fn new(server: &'a Server, kubectl: Option<&'a std::path::Path>, scenario: &str) -> Result<Self> {
        let name: String = scenario.replace('_', "-").chars().take(55).collect();
        let namespace = format!("b-{}", name.trim_end_matches('-'));
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let made = server.ask("POST", "/api/v1/namespaces", "application/json", &body.to_string())?;
        ensure!(made.code == 201, "{}", made.body);
        Ok(Self {
            server,
            kubectl,
            namespace,
        })
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What kubectl says in the namespace.
    pub(super) fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let kubectl = self.kubectl.context("SLUICE_KUBECTL names no kubectl")?;
        let arguments = [&["--namespace", self.namespace.as_str()], arguments].concat();
        self.server.kubectl(kubectl, &arguments, input)
    }

    fn path(&self, kind: Kind, rest: &str) -> String {
        format!("/{}/namespaces/{}/{}{rest}", kind.0, self.namespace, kind.1)
    }

    pub(super) fn ask(&self, method: &str, kind: Kind, rest: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.server
            .ask(method, &self.path(kind, rest), "application/json", &body)
    }

    /// Asks at a path that is of no namespace.
    pub(super) fn ask_at(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        self.server.ask(method, path, "application/json", &body.to_string())
    }

    pub(super) fn patch(&self, form: &str, kind: Kind, rest: &str, body: &Value) -> Result<Answer> {
        let media = format!("application/{form}");
        self.server
            .ask("PATCH", &self.path(kind, rest), &media, &body.to_string())
    }

    /// Creates an object that nothing is wrong with.
    pub(super) fn create(&self, kind: Kind, object: &Value) -> Result<Value> {
        let made = self.ask("POST", kind, "", object)?;
        ensure!(made.code == 201, "{}", made.body);
        Ok(made.body)
    }

    pub(super) fn get(&self, kind: Kind, name: &str) -> Result<Answer> {
        self.ask("GET", kind, &format!("/{name}"), &Value::Null)
    }

    /// Waits until an object is gone.
    pub(super) fn gone(&self, kind: Kind, name: &str) -> Result<()> {
        let limit = Instant::now() + PATIENCE;
        while self.get(kind, name)?.code != 404 {
            ensure!(Instant::now() < limit, "{name} stays");
            thread::sleep(POLL);
        }
        Ok(())
    }

    pub(super) fn watch(&self, kind: Kind, query: &str) -> Result<Watch> {
        let path = self.path(kind, &format!("?watch=true&timeoutSeconds=10{query}"));
        let lines = self.server.begin("GET", &path, "application/json", "")?;
        Ok(Watch { lines })
    }
}

/// A watch.
pub(super) struct Watch {
    lines: Lines,
}

impl Watch {
    /// The next event: its type and object.
    pub(super) fn next(&mut self) -> Result<(String, Value)> {
        let line = self.lines.next()?.context("the watch has ended")?;
        let event: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        Ok((kind, event["object"].clone()))
    }

    pub(super) fn code(&self) -> u16 {
        self.lines.code
    }
}

/// A ConfigMap.
pub(super) fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

/// One of Knative's Images, which no webhook looks at.
pub(super) fn image(name: &str) -> Value {
    json!({
        "apiVersion": "caching.internal.knative.dev/v1alpha1", "kind": "Image", "metadata": {"name": name},
        "spec": {"image": "i"},
    })
}

/// Both, or an error that shows them.
pub(super) fn same(what: &str, found: &Value, expected: impl Into<Value>) -> Result<()> {
    let expected = expected.into();
    ensure!(*found == expected, "{what}:\n   found {found}\nexpected {expected}");
    Ok(())
}

/// A refusal with its code, reason and message.
pub(super) fn refused(answer: &Answer, code: u16, reason: &str, message: &str) -> Result<()> {
    let found = &answer.body;
    let is_it = answer.code == code && found["reason"] == reason && found["message"] == message;
    ensure!(
        is_it,
        "expected {code} {reason} {message:?}\n   found {} {found}",
        answer.code
    );
    same("code in the body", &found["code"], code)?;
    same("kind", &found["kind"], "Status")
}

/// A scenario: what it claims and how that is checked.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) check: fn(&Place) -> Result<()>,
}
