// SPDX-License-Identifier: Apache-2.0
//! Schemas of serving.knative.dev: control-plane spec 1.3 and 1.4.
//!
//! Depends on: pod, schema, status.

use serde_json::Value;

use super::pod;
use super::schema::{
    Field, boolean, int32, int64, kind, list, object, object_with, preserving, set, text, text_map, texts,
};
use super::status::{self, addressable};

pub(super) fn service() -> Value {
    let spec = object("What is wanted.", [("template", template()), ("traffic", traffic())]);
    let status = status::with(made_revisions().into_iter().chain(reached()));
    kind(
        "A workload and the way to it: makes a Configuration and a Route of its own name.",
        spec,
        Some(status),
    )
}

pub(super) fn configuration() -> Value {
    let spec = object("What is wanted.", [("template", template())]);
    kind(
        "The template of Revisions: every change of it makes one.",
        spec,
        Some(status::with(made_revisions())),
    )
}

pub(super) fn route() -> Value {
    let spec = object("How the traffic shall be shared.", [("traffic", traffic())]);
    kind(
        "Which Revisions serve which share of the traffic.",
        spec,
        Some(status::with(reached())),
    )
}

pub(super) fn revision() -> Value {
    let images = |doc: &str| {
        let image = object(
            "The image of a container.",
            [
                ("name", text("The container.")),
                ("imageDigest", text("The image, by digest.")),
            ],
        );
        list(doc, image)
    };
    let status = status::with([
        ("logUrl", text("Where the logs are.")),
        ("containerStatuses", images("The images that the containers run.")),
        (
            "initContainerStatuses",
            images("The images that the init containers run."),
        ),
        ("actualReplicas", int32("Pods that are ready.")),
        ("desiredReplicas", int32("Pods that are wanted.")),
    ]);
    kind(
        "One version of a workload: it never changes; a Configuration makes the next.",
        pod::revision_spec(),
        Some(status),
    )
}

pub(super) fn domain_mapping() -> Value {
    let reference = object_with(
        "What serves the domain: a Service or a Route, or a Kubernetes Service.",
        &["kind", "name"],
        [
            ("kind", text("Its kind.")),
            ("namespace", text("Its namespace: that of the DomainMapping.")),
            ("name", text("Its name.")),
            ("apiVersion", text("Its group and version.")),
            ("group", text("Not allowed here; give apiVersion.")),
            ("address", text("Which of its addresses.")),
        ],
    );
    let tls = object_with(
        "A certificate of your own.",
        &["secretName"],
        [("secretName", text("The Secret that holds it."))],
    );
    let spec = object_with("What is wanted.", &["ref"], [("ref", reference), ("tls", tls)]);
    let status = status::with([
        ("url", text("Where the domain can be reached.")),
        ("address", addressable("The same, as an address.")),
    ]);
    kind(
        "A domain of your own, which is the name of the object.",
        spec,
        Some(status),
    )
}

fn template() -> Value {
    let mut metadata = preserving("Labels, annotations and perhaps the name of the Revision.");
    let properties = object(
        "",
        [
            (
                "name",
                text("The name of the Revision; must begin with the name of the object and a dash."),
            ),
            ("namespace", text("Ignored.")),
            ("labels", text_map("Labels of the Revision.")),
            (
                "annotations",
                text_map("Annotations of the Revision, such as autoscaling.knative.dev/min-scale."),
            ),
            ("finalizers", texts("Ignored.")),
        ],
    );
    if let Some(properties) = properties.get("properties") {
        set(&mut metadata, "properties", properties.clone());
    }
    object(
        "What every Revision is made from.",
        [("metadata", metadata), ("spec", pod::revision_spec())],
    )
}

fn traffic() -> Value {
    list(
        "Who gets which share of the requests.",
        object(
            "One share.",
            [
                ("tag", text("A name under which this target alone can be reached.")),
                ("revisionName", text("A Revision.")),
                (
                    "configurationName",
                    text("A Configuration whose latest ready Revision is followed; not in a Service."),
                ),
                (
                    "latestRevision",
                    boolean("Whether the latest ready Revision is followed."),
                ),
                (
                    "percent",
                    int64("The share, from 0 to 100; all shares together make 100."),
                ),
                ("url", text("Where the tag can be reached; only in a status.")),
            ],
        ),
    )
}

fn made_revisions() -> [Field; 2] {
    [
        (
            "latestReadyRevisionName",
            text("The newest Revision that became ready."),
        ),
        ("latestCreatedRevisionName", text("The newest Revision.")),
    ]
}

fn reached() -> [Field; 3] {
    [
        ("url", text("Where it can be reached.")),
        (
            "address",
            addressable("Where it can be reached from inside the cluster."),
        ),
        ("traffic", traffic()),
    ]
}
