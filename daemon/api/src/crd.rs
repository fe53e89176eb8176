// SPDX-License-Identifier: Apache-2.0
//! The CustomResourceDefinition of every kind, as the API server wants it: control-plane spec 1.
//!
//! Mechanism: one schema a kind, built by hand from small parts, beside the names and columns of [`Kind`]; the text is
//! what `cargo xtask crds` writes into deploy/crds and what a test compares with it.
//! Invariants: schemas are structural, so unknown fields are pruned, except where `preserving` says otherwise; one
//! version, served and stored, no conversion; every kind with a status has the status subresource.
//! Depends on: kind, names.

mod autoscaling;
mod caching;
mod columns;
mod container;
mod networking;
mod pod;
mod probe;
mod schema;
mod serving;
mod status;
mod volume;
mod yaml;

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::names::{group, kubernetes};

/// The name of the file that holds a kind's definition.
#[must_use]
pub fn file_name(kind: Kind) -> String {
    format!("{}.yaml", kind.plural())
}

/// The definition as a file's text.
#[must_use]
pub fn text(kind: Kind) -> String {
    format!(
        "# SPDX-License-Identifier: Apache-2.0\n# Written by `cargo xtask crds`; the source is daemon/api/src/crd.\n{}",
        yaml::text(&definition(kind))
    )
}

/// The definition of a kind.
#[must_use]
pub fn definition(kind: Kind) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{}", kind.plural(), kind.group()), "labels": labels(kind)},
        "spec": {
            "group": kind.group(),
            "names": names(kind),
            "scope": if kind.is_namespaced() { "Namespaced" } else { "Cluster" },
            "versions": [version(kind)],
        },
    })
}

fn version(kind: Kind) -> Value {
    let mut version = json!({
        "name": kind.version(),
        "served": true,
        "storage": true,
        "schema": {"openAPIV3Schema": schema(kind)},
    });
    if let Some(fields) = version.as_object_mut() {
        let columns = columns::of(kind);
        if !columns.is_empty() {
            fields.insert("additionalPrinterColumns".to_owned(), columns.into());
        }
        if kind != Kind::ClusterDomainClaim {
            fields.insert("subresources".to_owned(), json!({"status": {}}));
        }
    }
    version
}

fn names(kind: Kind) -> Value {
    let singular = kind.name().to_lowercase();
    let mut names = json!({
        "kind": kind.name(),
        "listKind": format!("{}List", kind.name()),
        "plural": kind.plural(),
        "singular": singular,
        "categories": categories(kind),
    });
    if let (Some(fields), false) = (names.as_object_mut(), kind.short_names().is_empty()) {
        fields.insert("shortNames".to_owned(), kind.short_names().into());
    }
    names
}

fn categories(kind: Kind) -> &'static [&'static str] {
    match kind.group() {
        group::SERVING => &["all", "knative", "serving"],
        group::AUTOSCALING_INTERNAL => &["knative-internal", "autoscaling"],
        group::NETWORKING_INTERNAL => &["knative-internal", "networking"],
        _ => &["knative-internal", "caching"],
    }
}

fn labels(kind: Kind) -> Value {
    let mut labels = serde_json::Map::new();
    let mut add = |key: &str, value: &str| labels.insert(key.to_owned(), value.into());
    add(kubernetes::APP_NAME, "knative-serving");
    add("knative.dev/crd-install", "true");
    if kind.group() == group::NETWORKING_INTERNAL {
        add(kubernetes::APP_COMPONENT, "networking");
    }
    if matches!(kind, Kind::Service | Kind::Configuration) {
        add("duck.knative.dev/podspecable", "true");
    }
    if matches!(kind, Kind::Service | Kind::Route) {
        add("duck.knative.dev/addressable", "true");
    }
    labels.into()
}

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Service => serving::service(),
        Kind::Configuration => serving::configuration(),
        Kind::Revision => serving::revision(),
        Kind::Route => serving::route(),
        Kind::DomainMapping => serving::domain_mapping(),
        Kind::PodAutoscaler => autoscaling::pod_autoscaler(),
        Kind::Metric => autoscaling::metric(),
        Kind::Ingress => networking::ingress(),
        Kind::ServerlessService => networking::serverless_service(),
        Kind::Certificate => networking::certificate(),
        Kind::ClusterDomainClaim => networking::cluster_domain_claim(),
        Kind::Image => caching::image(),
    }
}

#[cfg(test)]
mod tests;
