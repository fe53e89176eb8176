// SPDX-License-Identifier: Apache-2.0
//! Schemas of autoscaling.internal.knative.dev: control-plane spec 1.5.
//!
//! Depends on: schema, status.

use serde_json::Value;

use super::schema::{int32, int64, kind, object, object_with, text};
use super::status;

/// What an autoscaler or a Service points at.
pub(super) fn target(doc: &str) -> Value {
    object(
        doc,
        [
            ("apiVersion", text("Its group and version.")),
            ("kind", text("Its kind.")),
            ("name", text("Its name.")),
        ],
    )
}

pub(super) fn pod_autoscaler() -> Value {
    let spec = object_with(
        "What is scaled.",
        &["protocolType", "scaleTargetRef"],
        [
            (
                "containerConcurrency",
                int64("Requests that a pod may have at once; 0: no limit."),
            ),
            ("scaleTargetRef", target("What has the number of pods.")),
            (
                "reachability",
                text("Whether a Route points here: Reachable, Unreachable, or empty when not known."),
            ),
            ("protocolType", text("http1 or h2c.")),
        ],
    );
    let status = status::requiring(
        &["metricsServiceName", "serviceName"],
        [
            ("serviceName", text("The Service through which requests come.")),
            ("metricsServiceName", text("The Service of the pods themselves.")),
            ("desiredScale", int32("Pods that are wanted.")),
            ("actualScale", int32("Pods that are ready.")),
        ],
    );
    kind("The scaling of one Revision.", spec, Some(status))
}

pub(super) fn metric() -> Value {
    let spec = object_with(
        "What is measured.",
        &["panicWindow", "scrapeTarget", "stableWindow"],
        [
            ("stableWindow", int64("The long window, in nanoseconds.")),
            ("panicWindow", int64("The short window, in nanoseconds.")),
            ("scrapeTarget", text("The Service whose pods are measured.")),
        ],
    );
    kind("What is measured for a PodAutoscaler.", spec, Some(status::with([])))
}
