// SPDX-License-Identifier: Apache-2.0
//! Kubernetes' own kinds, as far as Knative's controllers and people with kubectl use them.
//!
//! Depends on: nothing.

use super::{Column, Counting, Made, Resource, Source};

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
        written_schema: None,
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
            columns: vec![
                made("Status", Made::NodeState),
                age(),
                text("Version", ".status.nodeInfo.kubeletVersion"),
            ],
            ..row("", "v1", "nodes", "Node")
        },
        Resource {
            has_status: true,
            short_names: vec!["po"],
            categories: vec!["all".to_owned()],
            counting: Counting::Spec,
            returns_deleted: true,
            columns: vec![
                made("Ready", Made::ReadyContainers),
                made("Status", Made::PodState),
                count("Restarts", Made::Restarts),
                age(),
                wide(text("IP", ".status.podIP")),
                wide(text("Node", ".spec.nodeName")),
            ],
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
                made("External-IP", Made::ExternalAddress),
                made("Port(s)", Made::Ports),
                age(),
            ],
            ..row("", "v1", "services", "Service")
        },
        Resource {
            short_names: vec!["ep"],
            columns: vec![made("Endpoints", Made::Addresses), age()],
            ..row("", "v1", "endpoints", "Endpoints")
        },
        Resource {
            short_names: vec!["cm"],
            columns: vec![count("Data", Made::Entries), age()],
            ..row("", "v1", "configmaps", "ConfigMap")
        },
        Resource {
            columns: vec![text("Type", ".type"), count("Data", Made::Entries), age()],
            ..row("", "v1", "secrets", "Secret")
        },
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
                made("Object", Made::Regarding),
                text("Message", ".message"),
            ],
            ..row("", "v1", "events", "Event")
        },
    ]
}

fn grouped() -> Vec<Resource> {
    let scaled = |plural, kind, short, columns| Resource {
        has_status: true,
        has_scale: true,
        short_names: vec![short],
        categories: vec!["all".to_owned()],
        counting: Counting::Spec,
        columns,
        ..row("apps", "v1", plural, kind)
    };
    vec![
        scaled(
            "deployments",
            "Deployment",
            "deploy",
            vec![
                made("Ready", Made::ReadyReplicas),
                count("Up-to-date", Made::Count("updatedReplicas")),
                count("Available", Made::Count("availableReplicas")),
                age(),
            ],
        ),
        scaled(
            "replicasets",
            "ReplicaSet",
            "rs",
            vec![
                integer("Desired", ".spec.replicas"),
                count("Current", Made::Count("replicas")),
                count("Ready", Made::Count("readyReplicas")),
                age(),
            ],
        ),
        Resource {
            columns: vec![
                text("AddressType", ".addressType"),
                made("Endpoints", Made::SliceAddresses),
                age(),
            ],
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

fn made(name: &str, made: Made) -> Column {
    Column {
        source: Source::Made(made),
        ..text(name, "")
    }
}

fn count(name: &str, made: Made) -> Column {
    Column {
        source: Source::Made(made),
        ..integer(name, "")
    }
}

fn wide(column: Column) -> Column {
    Column { priority: 1, ..column }
}

fn column(name: &str, form: &str, path: &str) -> Column {
    Column {
        name: name.to_owned(),
        form: form.to_owned(),
        source: Source::Path(path.to_owned()),
        priority: 0,
    }
}
