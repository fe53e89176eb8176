// SPDX-License-Identifier: Apache-2.0
//! What `kubectl get` shows of each kind: control-plane spec 1.1.
//!
//! Depends on: kind, names.

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::names::serving;

/// The columns behind the name.
pub(super) fn of(kind: Kind) -> Vec<Value> {
    let mut columns = match kind {
        Kind::Service => vec![url(), latest_created(), latest_ready()],
        Kind::Configuration => vec![latest_created(), latest_ready()],
        Kind::Revision => vec![
            text("Config Name", &label(serving::CONFIGURATION)),
            text("Generation", &label(serving::CONFIGURATION_GENERATION)),
        ],
        Kind::Route | Kind::DomainMapping => vec![url()],
        Kind::PodAutoscaler => vec![
            integer("DesiredScale", ".status.desiredScale"),
            integer("ActualScale", ".status.actualScale"),
        ],
        Kind::ServerlessService => vec![
            text("Mode", ".spec.mode"),
            integer("Activators", ".spec.numActivators"),
            text("ServiceName", ".status.serviceName"),
            text("PrivateServiceName", ".status.privateServiceName"),
        ],
        Kind::Metric | Kind::Ingress | Kind::Certificate => Vec::new(),
        Kind::ClusterDomainClaim => return Vec::new(),
        Kind::Image => return vec![text("Image", ".spec.image")],
    };
    columns.push(text("Ready", ".status.conditions[?(@.type==\"Ready\")].status"));
    columns.push(text("Reason", ".status.conditions[?(@.type==\"Ready\")].reason"));
    if kind == Kind::Revision {
        columns.push(integer("Actual Replicas", ".status.actualReplicas"));
        columns.push(integer("Desired Replicas", ".status.desiredReplicas"));
    }
    columns
}

fn url() -> Value {
    text("URL", ".status.url")
}

fn latest_created() -> Value {
    text("LatestCreated", ".status.latestCreatedRevisionName")
}

fn latest_ready() -> Value {
    text("LatestReady", ".status.latestReadyRevisionName")
}

/// A path to a label whose key has dots.
fn label(key: &str) -> String {
    format!(".metadata.labels['{}']", key.replace('.', "\\."))
}

fn text(name: &str, path: &str) -> Value {
    json!({"name": name, "type": "string", "jsonPath": path})
}

fn integer(name: &str, path: &str) -> Value {
    json!({"name": name, "type": "integer", "jsonPath": path})
}
