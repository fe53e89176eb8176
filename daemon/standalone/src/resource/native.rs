// SPDX-License-Identifier: Apache-2.0
//! Kubernetes' own kinds, as far as Knative's controllers and people with kubectl use them.
//!
//! Depends on: nothing.

use super::{Column, Counting, Resource};

/// A row before its peculiarities.
fn row(group: &'static str, version: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource {
        group,
        version,
        plural,
        singular: kind.to_lowercase(),
        kind,
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        has_status: false,
        has_scale: false,
        counting: Counting::Never,
        unconditional: true,
        returns_deleted: false,
        knative: None,
        columns: vec![age()],
        schema: None,
    }
}

pub(super) fn rows() -> Vec<Resource> {
    let mut rows = core();
    rows.extend(grouped());
    rows
}

fn core() -> Vec<Resource> {
    vec![
        Resource {
            namespaced: false,
            has_status: true,
            short_names: vec!["ns"],
            columns: vec![text("Status", ".status.phase"), age()],
            ..row("", "v1", "namespaces", "Namespace")
        },
        Resource {
            namespaced: false,
            has_status: true,
            short_names: vec!["no"],
            ..row("", "v1", "nodes", "Node")
        },
        Resource {
            has_status: true,
            short_names: vec!["po"],
            categories: vec!["all".to_owned()],
            counting: Counting::Spec,
            returns_deleted: true,
            columns: vec![text("Status", ".status.phase"), text("IP", ".status.podIP"), age()],
            ..row("", "v1", "pods", "Pod")
        },
        Resource {
            has_status: true,
            short_names: vec!["svc"],
            categories: vec!["all".to_owned()],
            returns_deleted: true,
            columns: vec![
                text("Type", ".spec.type"),
                text("Cluster-IP", ".spec.clusterIP"),
                text("External-Name", ".spec.externalName"),
                age(),
            ],
            ..row("", "v1", "services", "Service")
        },
        Resource {
            short_names: vec!["ep"],
            ..row("", "v1", "endpoints", "Endpoints")
        },
        Resource {
            short_names: vec!["cm"],
            ..row("", "v1", "configmaps", "ConfigMap")
        },
        row("", "v1", "secrets", "Secret"),
        Resource {
            short_names: vec!["sa"],
            ..row("", "v1", "serviceaccounts", "ServiceAccount")
        },
        Resource {
            short_names: vec!["ev"],
            columns: vec![
                date("Last Seen", ".lastTimestamp"),
                text("Type", ".type"),
                text("Reason", ".reason"),
                text("Message", ".message"),
            ],
            ..row("", "v1", "events", "Event")
        },
    ]
}

fn grouped() -> Vec<Resource> {
    let scaled = |plural, kind, short| Resource {
        has_status: true,
        has_scale: true,
        short_names: vec![short],
        categories: vec!["all".to_owned()],
        counting: Counting::Spec,
        columns: vec![
            integer("Desired", ".spec.replicas"),
            integer("Ready", ".status.readyReplicas"),
            integer("Available", ".status.availableReplicas"),
            age(),
        ],
        ..row("apps", "v1", plural, kind)
    };
    vec![
        scaled("deployments", "Deployment", "deploy"),
        scaled("replicasets", "ReplicaSet", "rs"),
        Resource {
            counting: Counting::Spec,
            ..row("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
        },
        Resource {
            unconditional: false,
            columns: vec![text("Holder", ".spec.holderIdentity"), age()],
            ..row("coordination.k8s.io", "v1", "leases", "Lease")
        },
        Resource {
            has_status: true,
            short_names: vec!["hpa"],
            categories: vec!["all".to_owned()],
            ..row(
                "autoscaling",
                "v2",
                "horizontalpodautoscalers",
                "HorizontalPodAutoscaler",
            )
        },
    ]
}

/// When the object was made.
pub(super) fn age() -> Column {
    date("Age", ".metadata.creationTimestamp")
}

fn text(name: &str, path: &str) -> Column {
    column(name, "string", path)
}

fn integer(name: &str, path: &str) -> Column {
    column(name, "integer", path)
}

fn date(name: &str, path: &str) -> Column {
    column(name, "date", path)
}

fn column(name: &str, form: &str, path: &str) -> Column {
    Column {
        name: name.to_owned(),
        form: form.to_owned(),
        path: path.to_owned(),
    }
}
