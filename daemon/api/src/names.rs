// SPDX-License-Identifier: Apache-2.0
//! Every name that stands in objects: groups, labels, annotations, classes; control-plane spec 2.5 and 10.
//!
//! Where Knative takes several spellings of a key, the constant is the list of them in the order in which it looks: the
//! first that is present wins ([`first`]).
//! Depends on: nothing.

use std::collections::BTreeMap;

/// Names of this product: design section 5 wants them once, in one file.
pub mod product {
    /// The prefix of our own annotations.
    pub const PREFIX: &str = "sluice.dev/";
    /// Whether requests may reach the pods without a proxy: `enabled` or `disabled`.
    pub const DIRECT: &str = "sluice.dev/direct";
    /// The class of the Ingresses that our own gateway serves.
    pub const INGRESS_CLASS: &str = "sluice.ingress.networking.knative.dev";
    /// The namespace of the system, unless the operator says otherwise.
    pub const SYSTEM_NAMESPACE: &str = "knative-serving";
    /// The domain of the cluster, unless the operator says otherwise.
    pub const CLUSTER_DOMAIN: &str = "cluster.local";
}

/// API groups and prefixes of keys.
pub mod group {
    /// Of Service, Configuration, Revision, Route, DomainMapping; also a prefix of keys.
    pub const SERVING: &str = "serving.knative.dev";
    /// Of PodAutoscaler and Metric.
    pub const AUTOSCALING_INTERNAL: &str = "autoscaling.internal.knative.dev";
    /// A prefix of keys.
    pub const AUTOSCALING: &str = "autoscaling.knative.dev";
    /// Of Ingress, ServerlessService, Certificate, ClusterDomainClaim; also a prefix of keys.
    pub const NETWORKING_INTERNAL: &str = "networking.internal.knative.dev";
    /// A prefix of keys.
    pub const NETWORKING: &str = "networking.knative.dev";
    /// Of Image.
    pub const CACHING_INTERNAL: &str = "caching.internal.knative.dev";
    /// A prefix of keys for the queue-proxy.
    pub const QUEUE_SIDECAR: &str = "queue.sidecar.serving.knative.dev";
    /// A prefix of keys that switch features.
    pub const FEATURES: &str = "features.knative.dev";
}

/// Keys under `serving.knative.dev`.
pub mod serving {
    /// Label: the Configuration of a Revision and of what it makes.
    pub const CONFIGURATION: &str = "serving.knative.dev/configuration";
    /// Label: the generation of the Configuration.
    pub const CONFIGURATION_GENERATION: &str = "serving.knative.dev/configurationGeneration";
    /// Label: the UID of the Configuration.
    pub const CONFIGURATION_UID: &str = "serving.knative.dev/configurationUID";
    /// Label: the Service.
    pub const SERVICE: &str = "serving.knative.dev/service";
    /// Label: the UID of the Service.
    pub const SERVICE_UID: &str = "serving.knative.dev/serviceUID";
    /// Label: the Revision.
    pub const REVISION: &str = "serving.knative.dev/revision";
    /// Label: the UID of the Revision.
    pub const REVISION_UID: &str = "serving.knative.dev/revisionUID";
    /// Label: the Route.
    pub const ROUTE: &str = "serving.knative.dev/route";
    /// Label: the namespace of the Route.
    pub const ROUTE_NAMESPACE: &str = "serving.knative.dev/routeNamespace";
    /// Label: the UID of the DomainMapping.
    pub const DOMAIN_MAPPING_UID: &str = "serving.knative.dev/domainMappingUID";
    /// Label: the namespace of the DomainMapping.
    pub const DOMAIN_MAPPING_NAMESPACE: &str = "serving.knative.dev/domainMappingNamespace";
    /// Label of a Revision: whether a Route points at it.
    pub const ROUTING_STATE: &str = "serving.knative.dev/routingState";
    /// Annotation: since when, in RFC 3339.
    pub const ROUTING_STATE_MODIFIED: &str = "serving.knative.dev/routingStateModified";
    /// Annotation: the Routes that point here, sorted, with commas between.
    pub const ROUTES: &str = "serving.knative.dev/routes";
    /// Label of a Deployment: the hash of what was wanted.
    pub const DEPLOYMENT_HASH: &str = "serving.knative.dev/deployment-hash";
    /// Annotation: who created the object.
    pub const CREATOR: &str = "serving.knative.dev/creator";
    /// Annotation: who changed the spec last.
    pub const LAST_MODIFIER: &str = "serving.knative.dev/lastModifier";
    /// Annotation: `true` keeps a Revision from being deleted.
    pub const NO_GC: &str = "serving.knative.dev/no-gc";
    /// Annotation of old versions: when a Route pinned the Revision.
    pub const LAST_PINNED: &str = "serving.knative.dev/lastPinned";
    /// Annotation: over how long the traffic moves.
    pub const ROLLOUT_DURATION: [&str; 2] = [
        "serving.knative.dev/rollout-duration",
        "serving.knative.dev/rolloutDuration",
    ];
    /// Annotation: how long a Deployment may take.
    pub const PROGRESS_DEADLINE: &str = "serving.knative.dev/progress-deadline";
    /// Values of the routing state.
    pub mod routing_state {
        /// A Route points at it.
        pub const ACTIVE: &str = "active";
        /// No Route points at it.
        pub const RESERVE: &str = "reserve";
        /// Not known yet.
        pub const PENDING: &str = "pending";
    }
}

/// Keys under `autoscaling.knative.dev`, and their values.
pub mod autoscaling {
    /// Who scales.
    pub const CLASS: &str = "autoscaling.knative.dev/class";
    /// What is measured.
    pub const METRIC: &str = "autoscaling.knative.dev/metric";
    /// How much of it a pod shall have.
    pub const TARGET: &str = "autoscaling.knative.dev/target";
    /// Over how long it is averaged.
    pub const WINDOW: &str = "autoscaling.knative.dev/window";
    /// At least so many pods when not zero.
    pub const ACTIVATION_SCALE: &str = "autoscaling.knative.dev/activation-scale";
    /// At least so many pods.
    pub const MIN_SCALE: [&str; 2] = ["autoscaling.knative.dev/min-scale", "autoscaling.knative.dev/minScale"];
    /// At most so many pods.
    pub const MAX_SCALE: [&str; 2] = ["autoscaling.knative.dev/max-scale", "autoscaling.knative.dev/maxScale"];
    /// So many pods at first.
    pub const INITIAL_SCALE: [&str; 2] = [
        "autoscaling.knative.dev/initial-scale",
        "autoscaling.knative.dev/initialScale",
    ];
    /// How long a lower number must be wanted.
    pub const SCALE_DOWN_DELAY: [&str; 2] = [
        "autoscaling.knative.dev/scale-down-delay",
        "autoscaling.knative.dev/scaleDownDelay",
    ];
    /// How samples are averaged.
    pub const METRIC_AGGREGATION_ALGORITHM: [&str; 2] = [
        "autoscaling.knative.dev/metric-aggregation-algorithm",
        "autoscaling.knative.dev/metricAggregationAlgorithm",
    ];
    /// The panic window as a share of the stable one.
    pub const PANIC_WINDOW_PERCENTAGE: [&str; 2] = [
        "autoscaling.knative.dev/panic-window-percentage",
        "autoscaling.knative.dev/panicWindowPercentage",
    ];
    /// From which share of the target on it is panic.
    pub const PANIC_THRESHOLD_PERCENTAGE: [&str; 2] = [
        "autoscaling.knative.dev/panic-threshold-percentage",
        "autoscaling.knative.dev/panicThresholdPercentage",
    ];
    /// How long the last pod stays.
    pub const SCALE_TO_ZERO_POD_RETENTION_PERIOD: [&str; 2] = [
        "autoscaling.knative.dev/scale-to-zero-pod-retention-period",
        "autoscaling.knative.dev/scaleToZeroPodRetentionPeriod",
    ];
    /// The reserve for bursts.
    pub const TARGET_BURST_CAPACITY: [&str; 2] = [
        "autoscaling.knative.dev/target-burst-capacity",
        "autoscaling.knative.dev/targetBurstCapacity",
    ];
    /// How full a pod shall be.
    pub const TARGET_UTILIZATION_PERCENTAGE: [&str; 2] = [
        "autoscaling.knative.dev/target-utilization-percentage",
        "autoscaling.knative.dev/targetUtilizationPercentage",
    ];
    /// Classes end so when they are Knative's.
    pub const CLASS_DOMAIN: &str = ".knative.dev";
    /// The class of Knative's own autoscaler.
    pub const KPA: &str = "kpa.autoscaling.knative.dev";
    /// The class of Kubernetes' autoscaler.
    pub const HPA: &str = "hpa.autoscaling.knative.dev";
    /// Metric: requests in flight.
    pub const CONCURRENCY: &str = "concurrency";
    /// Metric: requests a second.
    pub const RPS: &str = "rps";
    /// Metric: CPU.
    pub const CPU: &str = "cpu";
    /// Metric: memory.
    pub const MEMORY: &str = "memory";
}

/// Keys under `networking.knative.dev` and `networking.internal.knative.dev`.
pub mod networking {
    /// Which implementation programs an Ingress.
    pub const INGRESS_CLASS: [&str; 2] = [
        "networking.knative.dev/ingress.class",
        "networking.knative.dev/ingress-class",
    ];
    /// Which implementation makes a Certificate.
    pub const CERTIFICATE_CLASS: [&str; 2] = [
        "networking.knative.dev/certificate.class",
        "networking.knative.dev/certificate-class",
    ];
    /// Whether no certificates are made.
    pub const DISABLE_EXTERNAL_DOMAIN_TLS: [&str; 3] = [
        "networking.knative.dev/disable-external-domain-tls",
        "networking.knative.dev/disableAutoTLS",
        "networking.knative.dev/disable-auto-tls",
    ];
    /// What happens to plain HTTP.
    pub const HTTP_PROTOCOL: [&str; 2] = [
        "networking.knative.dev/httpOption",
        "networking.knative.dev/http-protocol",
    ];
    /// Label: who can reach it.
    pub const VISIBILITY: &str = "networking.knative.dev/visibility";
    /// The value of the visibility label: only from inside the cluster.
    pub const CLUSTER_LOCAL: &str = "cluster-local";
    /// Label of a Certificate: what it is for.
    pub const CERTIFICATE_TYPE: &str = "networking.knative.dev/certificate-type";
    /// Label of a Certificate: the domain under which it covers every name.
    pub const WILDCARD_DOMAIN: &str = "networking.knative.dev/wildcardDomain";
    /// Label of a ConfigMap whose certificates are trusted.
    pub const TRUST_BUNDLE: &str = "networking.knative.dev/trust-bundle";
    /// Label: the ServerlessService of a Service.
    pub const SERVERLESS_SERVICE: &str = "networking.internal.knative.dev/serverlessservice";
    /// Label: `Public` or `Private`.
    pub const SERVICE_TYPE: &str = "networking.internal.knative.dev/serviceType";
    /// Label: the Ingress of what was made for it.
    pub const INGRESS: &str = "networking.internal.knative.dev/ingress";
    /// Annotation of an Ingress: the state of its rollout, in JSON.
    pub const ROLLOUT: &str = "networking.internal.knative.dev/rollout";
    /// Annotation of an Ingress: the hosts of each tag, in JSON.
    pub const TAG_TO_HOST: &str = "networking.internal.knative.dev/tag-to-host";
    /// Label of a Secret: the Certificate that it belongs to.
    pub const CERTIFICATE_UID: &str = "networking.internal.knative.dev/certificate-uid";
}

/// Annotations for the queue-proxy, accepted and ignored here.
pub mod queue_sidecar {
    /// A share of the user container's resources; deprecated.
    pub const RESOURCE_PERCENTAGE: [&str; 2] = [
        "queue.sidecar.serving.knative.dev/resource-percentage",
        "queue.sidecar.serving.knative.dev/resourcePercentage",
    ];
    /// CPU request.
    pub const CPU_REQUEST: &str = "queue.sidecar.serving.knative.dev/cpu-resource-request";
    /// CPU limit.
    pub const CPU_LIMIT: &str = "queue.sidecar.serving.knative.dev/cpu-resource-limit";
    /// Memory request.
    pub const MEMORY_REQUEST: &str = "queue.sidecar.serving.knative.dev/memory-resource-request";
    /// Memory limit.
    pub const MEMORY_LIMIT: &str = "queue.sidecar.serving.knative.dev/memory-resource-limit";
    /// Ephemeral storage request.
    pub const EPHEMERAL_STORAGE_REQUEST: &str = "queue.sidecar.serving.knative.dev/ephemeral-storage-resource-request";
    /// Ephemeral storage limit.
    pub const EPHEMERAL_STORAGE_LIMIT: &str = "queue.sidecar.serving.knative.dev/ephemeral-storage-resource-limit";
}

/// Keys under `features.knative.dev`.
pub mod features {
    /// Whether the pod's annotations are mounted for the queue-proxy.
    pub const QUEUE_PROXY_POD_INFO: &str = "features.knative.dev/queueproxy-podinfo";
    /// Whether a request may still arrive while its answer is under way.
    pub const HTTP_FULL_DUPLEX: &str = "features.knative.dev/http-full-duplex";
}

/// Keys of Kubernetes and of its tools.
pub mod kubernetes {
    /// Annotation: what `kubectl apply` was given last.
    pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    /// Annotation: the container whose logs are shown.
    pub const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
    /// Label of a pod: the application.
    pub const APP: &str = "app";
    /// Label of an EndpointSlice: the Service.
    pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
    /// Label of an EndpointSlice: who keeps it.
    pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
    /// Label: the name of the application.
    pub const APP_NAME: &str = "app.kubernetes.io/name";
    /// Label: the part of the application.
    pub const APP_COMPONENT: &str = "app.kubernetes.io/component";
}

/// Header names of the data path, as they are written into objects.
pub mod header {
    /// The Revision that a request is for.
    pub const REVISION: &str = "Knative-Serving-Revision";
    /// The namespace of that Revision.
    pub const NAMESPACE: &str = "Knative-Serving-Namespace";
    /// The tag that a request is for.
    pub const TAG: &str = "Knative-Serving-Tag";
    /// Says that no tag matched.
    pub const DEFAULT_ROUTE: &str = "Knative-Serving-Default-Route";
    /// The host before it was rewritten.
    pub const ORIGINAL_HOST: &str = "K-Original-Host";
    /// The hash of the Ingress that a gateway shall have.
    pub const NETWORK_HASH: &str = "K-Network-Hash";
    /// Who probes.
    pub const NETWORK_PROBE: &str = "K-Network-Probe";
}

/// Protocols between gateway and pod.
pub mod protocol {
    /// HTTP/1.1.
    pub const HTTP1: &str = "http1";
    /// HTTP/2 without TLS.
    pub const H2C: &str = "h2c";
}

/// Port numbers and names: control-plane spec 10.
pub mod port {
    /// The user's port when none is given.
    pub const USER: i32 = 8080;
    /// The name of the user's port in the pod.
    pub const USER_NAME: &str = "user-port";
    /// Of a Service, for HTTP/1.1.
    pub const SERVICE_HTTP: i32 = 80;
    /// Of a Service, for HTTP/2.
    pub const SERVICE_HTTP2: i32 = 81;
    /// Of a Service, for TLS.
    pub const SERVICE_HTTPS: i32 = 443;
    /// Where queue-proxy takes HTTP/1.1.
    pub const QUEUE_HTTP: i32 = 8012;
    /// Where queue-proxy takes HTTP/2.
    pub const QUEUE_HTTP2: i32 = 8013;
    /// Where queue-proxy takes TLS.
    pub const QUEUE_HTTPS: i32 = 8112;
    /// Where queue-proxy is asked to drain.
    pub const QUEUE_ADMIN: i32 = 8022;
    /// Where queue-proxy tells the autoscaler.
    pub const AUTOSCALING_METRICS: i32 = 9090;
    /// Where queue-proxy tells the user.
    pub const USER_METRICS: i32 = 9091;
}

/// The first of several spellings that is present: its key and its value.
#[must_use]
pub fn first<'a>(keys: &[&'static str], within: &'a BTreeMap<String, String>) -> Option<(&'static str, &'a str)> {
    keys.iter()
        .find_map(|key| within.get(*key).map(|value| (*key, value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_spelling_that_is_present_wins() {
        let [kebab, camel] = autoscaling::MIN_SCALE;
        let mut within = BTreeMap::from([(camel.to_owned(), "1".to_owned())]);
        assert_eq!(first(&autoscaling::MIN_SCALE, &within), Some((camel, "1")));
        within.insert(kebab.to_owned(), "2".to_owned());
        assert_eq!(first(&autoscaling::MIN_SCALE, &within), Some((kebab, "2")));
    }
}
