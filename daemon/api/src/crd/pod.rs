// SPDX-License-Identifier: Apache-2.0
//! The schema of a Revision's spec: the part of a PodSpec that Knative allows; control-plane spec 1.3 and 2.4.
//!
//! Invariants: what stands behind a feature flag is kept as it is, since the webhook decides; what is never allowed is
//! absent and so pruned.
//! Depends on: container, schema, volume.

use serde_json::Value;

use super::container::container;
use super::schema::{
    Field, atomic, behind, boolean, int64, keyed_list, list, object, object_with, preserving, text, text_map,
    with_default,
};
use super::volume::volume;

pub(super) fn revision_spec() -> Value {
    object_with(
        "A pod, and how requests reach it.",
        &["containers"],
        requests().into_iter().chain(pod()).chain(gated()),
    )
}

pub(super) fn image_pull_secrets() -> Value {
    let reference = atomic(object(
        "A Secret in the same namespace.",
        [("name", with_default(text("Its name."), ""))],
    ));
    keyed_list("Secrets with which images are pulled.", "name", reference)
}

fn requests() -> [Field; 4] {
    [
        (
            "containerConcurrency",
            int64("Requests that a pod may have at once; 0: no limit."),
        ),
        ("timeoutSeconds", int64("How long a whole request may take.")),
        (
            "responseStartTimeoutSeconds",
            int64("How long the first byte of the answer may take."),
        ),
        (
            "idleTimeoutSeconds",
            int64("How long a request may go without a byte from the application."),
        ),
    ]
}

fn pod() -> [Field; 6] {
    [
        (
            "containers",
            list("The containers; exactly one of them has a port.", container()),
        ),
        (
            "volumes",
            keyed_list("What the containers can mount.", "name", volume()),
        ),
        ("serviceAccountName", text("The ServiceAccount that the pod runs as.")),
        ("imagePullSecrets", image_pull_secrets()),
        (
            "enableServiceLinks",
            boolean("Whether the containers are told of Services by environment variables."),
        ),
        (
            "automountServiceAccountToken",
            boolean("Whether a token of the ServiceAccount is mounted; may only be false."),
        ),
    ]
}

/// What the webhook lets through when its feature is on.
fn gated() -> Vec<Field> {
    let flag = |name: &str| behind(&format!("kubernetes.podspec-{name}"));
    let kept = |name: &str| preserving(&flag(name));
    let list_of_kept = |name: &str| list(&flag(name), preserving(&flag(name)));
    vec![
        ("affinity", kept("affinity")),
        ("dnsConfig", kept("dnsconfig")),
        ("dnsPolicy", text(&flag("dnspolicy"))),
        ("hostAliases", list_of_kept("hostaliases")),
        ("hostIPC", boolean(&flag("hostipc"))),
        ("hostNetwork", boolean(&flag("hostnetwork"))),
        ("hostPID", boolean(&flag("hostpid"))),
        ("initContainers", list_of_kept("init-containers")),
        ("nodeSelector", atomic(text_map(&flag("nodeselector")))),
        ("priorityClassName", text(&flag("priorityclassname"))),
        ("runtimeClassName", text(&flag("runtimeclassname"))),
        ("schedulerName", text(&flag("schedulername"))),
        ("securityContext", kept("securitycontext")),
        ("shareProcessNamespace", boolean(&flag("shareprocessnamespace"))),
        ("tolerations", list_of_kept("tolerations")),
        ("topologySpreadConstraints", list_of_kept("topologyspreadconstraints")),
    ]
}
