// SPDX-License-Identifier: Apache-2.0
//! The names of all figures, once: data-plane spec 1.17 and 4.10.
//!
//! Mechanism: Knative's OpenTelemetry names as its Prometheus exporter writes them: points become underscores, a unit
//! becomes a suffix, a unit in braces none, a counter ends in `_total`.
//! Invariants: labels of a revision stand in one order everywhere: [`REVISION`].
//! Depends on: family.

use super::family::Family;

/// The labels of a revision, and those behind them.
macro_rules! of_revision {
    ($($more:literal)?) => {
        &["k8s_namespace_name", "kn_service_name", "kn_configuration_name", "kn_revision_name", $($more)?]
    };
}

/// The labels of a revision: namespace, Service, Configuration, Revision.
pub const REVISION: &[&str] = of_revision!();

/// Upper bounds of latencies, in seconds.
pub const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Upper bounds of latencies that the kernel sorted by powers of two: 2^17 ns (131 µs) to 2^34 ns (17 s), in seconds.
pub const KERNEL_SECONDS: &[f64] = &doubling();

const fn doubling() -> [f64; 18] {
    let mut bounds = [0.0; 18];
    let mut index = 0;
    while index < bounds.len() {
        bounds[index] = (1_u64 << (17 + index)) as f64 / 1e9;
        index += 1;
    }
    bounds
}

macro_rules! gauges {
    ($($name:ident = $text:literal: $help:literal;)*) => {
        $(#[doc = $help] pub const $name: Family = Family::gauge($text, $help, REVISION);)*
        /// The gauges of a revision.
        pub const OF_REVISION: &[Family] = &[$($name),*];
    };
}

gauges! {
    PODS_DESIRED = "kn_revision_pods_desired": "Pods that the autoscaler wants.";
    PODS_REQUESTED = "kn_revision_pods_requested": "Pods that were asked of Kubernetes.";
    PODS_READY = "kn_revision_pods_count": "Pods that are ready.";
    PODS_NOT_READY = "kn_revision_pods_not_ready_count": "Pods that are not ready.";
    PODS_PENDING = "kn_revision_pods_pending_count": "Pods that are pending.";
    PODS_TERMINATING = "kn_revision_pods_terminating_count": "Pods that are terminating.";
    EXCESS_CAPACITY = "kn_revision_capacity_excess": "Capacity beyond the burst that shall find room.";
    PANIC_MODE = "kn_revision_panic_mode": "Whether the autoscaler lives through a burst: 1 or 0.";
    CONCURRENCY_STABLE = "kn_revision_concurrency_stable": "Requests in flight, averaged over the stable window.";
    CONCURRENCY_PANIC = "kn_revision_concurrency_panic": "Requests in flight, averaged over the panic window.";
    CONCURRENCY_TARGET = "kn_revision_concurrency_target": "Requests in flight that one pod should have.";
    RPS_STABLE = "kn_revision_rps_stable_per_second": "Requests a second, averaged over the stable window.";
    RPS_PANIC = "kn_revision_rps_panic_per_second": "Requests a second, averaged over the panic window.";
    RPS_TARGET = "kn_revision_rps_target_per_second": "Requests a second that one pod should have.";
    REQUEST_CONCURRENCY = "kn_revision_request_concurrency": "Requests in flight in pods and gateways.";
    REQUEST_QUEUED = "kn_revision_request_queued": "Requests that wait for a pod.";
    REQUEST_ACTIVE = "kn_revision_request_active": "Requests that are with a pod.";
    QUEUE_DEPTH = "kn_serving_queue_depth": "Requests that wait or run where containerConcurrency limits them.";
}

/// The labels of a revision, and the class of an answer.
const BY_CLASS: &[&str] = of_revision!("http_response_status_class");

/// Requests that were answered, by status.
pub const REQUEST_COUNT: Family = Family::counter(
    "kn_revision_request_count_total",
    "Requests that were answered.",
    BY_CLASS,
);

/// Requests that began on pods, by whatever way: also those that no gateway carried.
pub const KERNEL_REQUESTS: Family = Family::counter(
    "sluice_kernel_request_count_total",
    "Requests that began on pods of this node, as the kernel counted them.",
    REVISION,
);

/// Final answers of pods, by class.
pub const KERNEL_RESPONSES: Family = Family::counter(
    "sluice_kernel_responses_total",
    "Final answers of pods of this node, as the kernel read them.",
    BY_CLASS,
);

/// How long pods took for their answers.
pub const KERNEL_DURATIONS: Family = Family::histogram(
    "sluice_kernel_request_duration_seconds",
    "First byte of a request to last byte of its answer, at the pod's socket; requests that broke off are left out.",
    REVISION,
    KERNEL_SECONDS,
);

/// The time that requests were in flight on pods.
pub const KERNEL_IN_FLIGHT_SECONDS: Family = Family::counter(
    "sluice_kernel_in_flight_seconds_total",
    "Seconds that requests were in flight on pods of this node, added up: its rate is the mean concurrency.",
    REVISION,
);

/// Requests that ended with their connection.
pub const KERNEL_ABORTED: Family = Family::counter(
    "sluice_kernel_aborted_total",
    "Requests on pods of this node that ended because their connection did.",
    REVISION,
);

/// Connections whose counts are not certain.
pub const KERNEL_UNCERTAIN: Family = Family::counter(
    "sluice_kernel_uncertain_total",
    "Connections to pods of this node whose counts may differ from the truth, each once.",
    REVISION,
);

/// Connections to pods.
pub const KERNEL_CONNECTIONS: Family = Family::counter(
    "sluice_kernel_connections_total",
    "Connections to pods of this node that were counted.",
    REVISION,
);

/// Connections to pods that are open.
pub const KERNEL_CONNECTIONS_OPEN: Family = Family::gauge(
    "sluice_kernel_connections_open",
    "Connections to pods of this node that are counted and open.",
    REVISION,
);

/// Connections that are no HTTP.
pub const KERNEL_OPAQUE: Family = Family::counter(
    "sluice_kernel_opaque_connections_total",
    "Connections to pods of this node that are not HTTP as it is read here: each is one request until it closes.",
    REVISION,
);

/// Bytes of clients and of pods.
pub const KERNEL_BYTES: Family = Family::counter(
    "sluice_kernel_bytes_total",
    "Payload bytes from clients (in) and to them (out), at the sockets of pods of this node.",
    of_revision!("direction"),
);

/// The way to a revision.
pub const DIRECT: Family = Family::gauge(
    "sluice_revision_direct",
    "Whether the kernel may send clients inside the cluster straight to the pods: 1, or 0 and the first reason against it.",
    of_revision!("reason"),
);

/// Whether the kernel counts requests.
pub const KERNEL_COUNTS: Family = Family::gauge(
    "sluice_node_kernel_counts",
    "Whether the kernel counts requests on this node: 1 or 0.",
    &[],
);

/// Requests on pods of a node.
pub const NODE_ACTIVE: Family = Family::gauge(
    "sluice_node_request_active",
    "Requests that are with pods of this node.",
    &[],
);

/// Requests that a node holds.
pub const NODE_QUEUED: Family = Family::gauge(
    "sluice_node_request_queued",
    "Requests that wait for a pod on this node.",
    &[],
);

/// Pods of a node.
pub const NODE_PODS: Family = Family::gauge("sluice_node_pods_count", "Pods whose requests the kernel counts.", &[]);

/// The labels of a revision, and the status of an answer.
const BY_STATUS: &[&str] = of_revision!("http_response_status_code");

/// How long requests took from the first time there was room on a pod, by status: what Knative measures beside the
/// application.
pub const INVOCATIONS: Family = Family::histogram(
    "kn_serving_invocation_duration_seconds",
    "How long requests took from the time there was room on a pod.",
    BY_STATUS,
    SECONDS,
);

/// How long requests took, by status: OpenTelemetry's name, as Knative's activator has it.
pub const REQUEST_DURATIONS: Family = Family::histogram(
    "http_server_request_duration_seconds",
    "How long requests took, waiting included.",
    BY_STATUS,
    SECONDS,
);

/// Requests that were sent to another pod, or again.
pub const RETRIES: Family = Family::counter(
    "sluice_revision_retries_total",
    "Requests that were sent to another pod, or again.",
    REVISION,
);

/// Requests that were refused for want of room on pods and in the queue.
pub const QUEUE_FULL: Family = Family::counter(
    "sluice_revision_queue_full_total",
    "Requests that were refused because too many waited.",
    REVISION,
);

/// Clients that ran into a bound.
pub const LIMITED: Family = Family::counter(
    "sluice_limited_total",
    "Clients and requests that were refused or ended, by the name of the limit.",
    &["limit"],
);

/// Spans that nobody fetched in time.
pub const SPANS_LOST: Family = Family::counter("sluice_spans_lost_total", "Spans that gave way to newer ones.", &[]);

/// Lines of the request log.
pub const LOG_LINES: Family = Family::counter(
    "sluice_log_lines_total",
    "Lines of the request log that were written, and that were dropped.",
    &["fate"],
);

/// The label of a controller's queue: Knative's `name`.
const QUEUE: &[&str] = &["name"];

/// Objects that wait for a look of a controller.
pub const QUEUE_WAITING: Family = Family::gauge("kn_workqueue_depth", "Objects that wait for a look.", QUEUE);

/// Looks that were asked for.
pub const QUEUE_ADDS: Family = Family::counter(
    "kn_workqueue_adds_total",
    "Looks at objects that were asked for; several before the look are one.",
    QUEUE,
);

/// Looks that were asked for later: after a failure, or because something is due.
pub const QUEUE_RETRIES: Family = Family::counter(
    "kn_workqueue_retries_total",
    "Looks that were put off: after failures, and until something is due.",
    QUEUE,
);

/// How long objects waited for a look.
pub const QUEUE_WAITED: Family = Family::histogram(
    "kn_workqueue_queue_duration_seconds",
    "How long objects waited for a look.",
    QUEUE,
    SECONDS,
);

/// How long looks took.
pub const QUEUE_TOOK: Family = Family::histogram(
    "kn_workqueue_process_duration_seconds",
    "How long looks took.",
    QUEUE,
    SECONDS,
);

/// The looks that go on, added up.
pub const QUEUE_UNFINISHED: Family = Family::gauge(
    "kn_workqueue_unfinished_work_seconds",
    "How long the looks that go on have taken, all together.",
    QUEUE,
);

/// The longest of the looks that go on.
pub const QUEUE_LONGEST: Family = Family::gauge(
    "kn_workqueue_longest_running_processor_seconds",
    "How long the longest of the looks that go on has taken.",
    QUEUE,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_that_prometheus_takes_and_stands_once() {
        let mut names: Vec<_> = OF_REVISION.iter().map(|family| family.name).collect();
        names.extend([REQUEST_COUNT, INVOCATIONS, REQUEST_DURATIONS, RETRIES, QUEUE_FULL].map(|family| family.name));
        names.extend([LIMITED, SPANS_LOST, LOG_LINES].map(|family| family.name));
        let of_node = [KERNEL_REQUESTS, KERNEL_COUNTS, NODE_ACTIVE, NODE_QUEUED, NODE_PODS];
        names.extend(of_node.map(|family| family.name));
        names.extend([QUEUE_WAITING, QUEUE_ADDS, QUEUE_RETRIES, QUEUE_WAITED, QUEUE_TOOK].map(|family| family.name));
        names.extend([QUEUE_UNFINISHED, QUEUE_LONGEST].map(|family| family.name));
        let is_name = |name: &&str| {
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || b"_8".contains(&byte))
        };
        assert!(names.iter().all(is_name), "{names:?}");
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
