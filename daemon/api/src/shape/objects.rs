// SPDX-License-Identifier: Apache-2.0
//! The tables of the kinds; control-plane spec 1.
//!
//! Depends on: its parent's constructors, pod.

use super::pod::{LOCAL_OBJECT_REFERENCE, POD_SPEC};
use super::{
    Record, Shape, any, flag, int32, int64, list, part, pointer, port, record, text, text_map, texts, time, url,
};
use crate::kind::Kind;

/// The table of a kind.
#[must_use]
pub fn of(kind: Kind) -> &'static Record {
    match kind {
        Kind::Service => &SERVICE,
        Kind::Configuration => &CONFIGURATION,
        Kind::Revision => &REVISION,
        Kind::Route => &ROUTE,
        Kind::DomainMapping => &DOMAIN_MAPPING,
        Kind::PodAutoscaler => &POD_AUTOSCALER,
        Kind::Metric => &METRIC,
        Kind::ServerlessService => &SERVERLESS_SERVICE,
        Kind::Ingress => &INGRESS,
        Kind::Certificate => &CERTIFICATE,
        Kind::ClusterDomainClaim => &CLUSTER_DOMAIN_CLAIM,
        Kind::Image => &IMAGE,
    }
}

/// What every object begins with.
static HEAD: Record = record(
    "TypeMeta",
    &[text("kind"), text("apiVersion"), part("metadata", &OBJECT_META)],
);

const HEADS: &[&Record] = &[&HEAD];

static OBJECT_META: Record = record(
    "ObjectMeta",
    &[
        text("name"),
        text("generateName"),
        text("namespace"),
        text("selfLink"),
        text("uid"),
        text("resourceVersion"),
        int64("generation"),
        time("creationTimestamp"),
        time("deletionTimestamp").when_set(),
        int64("deletionGracePeriodSeconds").when_set(),
        text_map("labels"),
        text_map("annotations"),
        list("ownerReferences", &Shape::Record(&OWNER_REFERENCE)),
        texts("finalizers"),
        list("managedFields", &Shape::Any),
    ],
);

static OWNER_REFERENCE: Record = record(
    "OwnerReference",
    &[
        text("apiVersion").always(),
        text("kind").always(),
        text("name").always(),
        text("uid").always(),
        flag("controller").when_set(),
        flag("blockOwnerDeletion").when_set(),
    ],
);

/// What every status begins with.
static OBSERVED: Record = record(
    "Status",
    &[
        int64("observedGeneration"),
        list("conditions", &Shape::Record(&CONDITION)),
        text_map("annotations"),
    ],
);

static CONDITION: Record = record(
    "Condition",
    &[
        text("type").always(),
        text("status").always(),
        text("severity"),
        time("lastTransitionTime"),
        text("reason"),
        text("message"),
    ],
);

static ADDRESSABLE: Record = record(
    "Addressable",
    &[
        text("name").when_set(),
        url("url").when_set(),
        text("CACerts").when_set(),
        text("audience").when_set(),
    ],
);

static TEMPLATE: Record = record(
    "RevisionTemplateSpec",
    &[part("metadata", &OBJECT_META), part("spec", &REVISION_SPEC)],
);

static REVISION_SPEC: Record = Record {
    name: "RevisionSpec",
    fields: &[
        int64("containerConcurrency").when_set(),
        int64("timeoutSeconds").when_set(),
        int64("responseStartTimeoutSeconds").when_set(),
        int64("idleTimeoutSeconds").when_set(),
    ],
    inlined: &[&POD_SPEC],
};

static TRAFFIC_TARGET: Record = record(
    "TrafficTarget",
    &[
        text("tag"),
        text("revisionName"),
        text("configurationName"),
        flag("latestRevision").when_set(),
        int64("percent").when_set(),
        url("url").when_set(),
    ],
);

static CONFIGURATION_SPEC: Record = record("ConfigurationSpec", &[part("template", &TEMPLATE)]);

static ROUTE_SPEC: Record = record("RouteSpec", &[list("traffic", &Shape::Record(&TRAFFIC_TARGET))]);

static SERVICE_SPEC: Record = Record {
    name: "ServiceSpec",
    fields: &[],
    inlined: &[&CONFIGURATION_SPEC, &ROUTE_SPEC],
};

static CONFIGURATION_STATUS_FIELDS: Record = record(
    "ConfigurationStatusFields",
    &[text("latestReadyRevisionName"), text("latestCreatedRevisionName")],
);

static ROUTE_STATUS_FIELDS: Record = record(
    "RouteStatusFields",
    &[
        url("url").when_set(),
        pointer("address", &ADDRESSABLE),
        list("traffic", &Shape::Record(&TRAFFIC_TARGET)),
    ],
);

static SERVICE_STATUS: Record = Record {
    name: "ServiceStatus",
    fields: &[],
    inlined: &[&OBSERVED, &CONFIGURATION_STATUS_FIELDS, &ROUTE_STATUS_FIELDS],
};

static CONFIGURATION_STATUS: Record = Record {
    name: "ConfigurationStatus",
    fields: &[],
    inlined: &[&OBSERVED, &CONFIGURATION_STATUS_FIELDS],
};

static ROUTE_STATUS: Record = Record {
    name: "RouteStatus",
    fields: &[],
    inlined: &[&OBSERVED, &ROUTE_STATUS_FIELDS],
};

static CONTAINER_STATUS: Record = record("ContainerStatus", &[text("name"), text("imageDigest")]);

static REVISION_STATUS: Record = Record {
    name: "RevisionStatus",
    fields: &[
        text("logUrl"),
        list("containerStatuses", &Shape::Record(&CONTAINER_STATUS)),
        list("initContainerStatuses", &Shape::Record(&CONTAINER_STATUS)),
        int32("actualReplicas").when_set(),
        int32("desiredReplicas").when_set(),
    ],
    inlined: &[&OBSERVED],
};

static SERVICE: Record = object(
    "Service",
    &[part("spec", &SERVICE_SPEC), part("status", &SERVICE_STATUS)],
);
static CONFIGURATION: Record = object(
    "Configuration",
    &[part("spec", &CONFIGURATION_SPEC), part("status", &CONFIGURATION_STATUS)],
);
static REVISION: Record = object(
    "Revision",
    &[part("spec", &REVISION_SPEC), part("status", &REVISION_STATUS)],
);
static ROUTE: Record = object("Route", &[part("spec", &ROUTE_SPEC), part("status", &ROUTE_STATUS)]);

const fn object(name: &'static str, fields: &'static [super::Field]) -> Record {
    Record {
        name,
        fields,
        inlined: HEADS,
    }
}

static DOMAIN_MAPPING: Record = object(
    "DomainMapping",
    &[
        part("spec", &DOMAIN_MAPPING_SPEC),
        part("status", &DOMAIN_MAPPING_STATUS),
    ],
);

static DOMAIN_MAPPING_SPEC: Record = record(
    "DomainMappingSpec",
    &[part("ref", &KREFERENCE), pointer("tls", &SECRET_TLS)],
);

static KREFERENCE: Record = record(
    "KReference",
    &[
        text("kind").always(),
        text("namespace"),
        text("name").always(),
        text("apiVersion"),
        text("group"),
        text("address").when_set(),
    ],
);

static SECRET_TLS: Record = record("SecretTLS", &[text("secretName").always()]);

static DOMAIN_MAPPING_STATUS: Record = Record {
    name: "DomainMappingStatus",
    fields: &[url("url").when_set(), pointer("address", &ADDRESSABLE)],
    inlined: &[&OBSERVED],
};

static OBJECT_REFERENCE: Record = record(
    "ObjectReference",
    &[
        text("kind"),
        text("namespace"),
        text("name"),
        text("uid"),
        text("apiVersion"),
        text("resourceVersion"),
        text("fieldPath"),
    ],
);

static POD_AUTOSCALER: Record = object(
    "PodAutoscaler",
    &[
        part("spec", &POD_AUTOSCALER_SPEC),
        part("status", &POD_AUTOSCALER_STATUS),
    ],
);

static POD_AUTOSCALER_SPEC: Record = record(
    "PodAutoscalerSpec",
    &[
        int64("containerConcurrency"),
        part("scaleTargetRef", &OBJECT_REFERENCE),
        text("reachability"),
        text("protocolType").always(),
    ],
);

static POD_AUTOSCALER_STATUS: Record = Record {
    name: "PodAutoscalerStatus",
    fields: &[
        text("serviceName").always(),
        text("metricsServiceName").always(),
        int32("desiredScale").when_set(),
        int32("actualScale").when_set(),
    ],
    inlined: &[&OBSERVED],
};

static METRIC: Record = object("Metric", &[part("spec", &METRIC_SPEC), part("status", &OBSERVED)]);

static METRIC_SPEC: Record = record(
    "MetricSpec",
    &[
        int64("stableWindow").always(),
        int64("panicWindow").always(),
        text("scrapeTarget").always(),
    ],
);

static SERVERLESS_SERVICE: Record = object(
    "ServerlessService",
    &[
        part("spec", &SERVERLESS_SERVICE_SPEC),
        part("status", &SERVERLESS_SERVICE_STATUS),
    ],
);

static SERVERLESS_SERVICE_SPEC: Record = record(
    "ServerlessServiceSpec",
    &[
        text("mode"),
        part("objectRef", &OBJECT_REFERENCE),
        text("protocolType").always(),
        int32("numActivators"),
    ],
);

static SERVERLESS_SERVICE_STATUS: Record = Record {
    name: "ServerlessServiceStatus",
    fields: &[text("serviceName"), text("privateServiceName")],
    inlined: &[&OBSERVED],
};

static INGRESS: Record = object(
    "Ingress",
    &[part("spec", &INGRESS_SPEC), part("status", &INGRESS_STATUS)],
);

static INGRESS_SPEC: Record = record(
    "IngressSpec",
    &[
        text("httpOption"),
        list("tls", &Shape::Record(&INGRESS_TLS)),
        list("rules", &Shape::Record(&INGRESS_RULE)),
    ],
);

static INGRESS_TLS: Record = record(
    "IngressTLS",
    &[texts("hosts"), text("secretName"), text("secretNamespace")],
);

static INGRESS_RULE: Record = record(
    "IngressRule",
    &[texts("hosts"), text("visibility"), pointer("http", &HTTP_RULE)],
);

static HTTP_RULE: Record = record(
    "HTTPIngressRuleValue",
    &[list("paths", &Shape::Record(&HTTP_PATH)).always()],
);

static HTTP_PATH: Record = record(
    "HTTPIngressPath",
    &[
        text("path"),
        text("rewriteHost"),
        super::Field::new("headers", Shape::Map(&Shape::Record(&HEADER_MATCH))),
        list("splits", &Shape::Record(&SPLIT)).always(),
        text_map("appendHeaders"),
    ],
);

static HEADER_MATCH: Record = record("HeaderMatch", &[text("exact").always()]);

static SPLIT: Record = record(
    "IngressBackendSplit",
    &[
        text("serviceNamespace").always(),
        text("serviceName").always(),
        port("servicePort").always(),
        int64("percent"),
        text_map("appendHeaders"),
    ],
);

static INGRESS_STATUS: Record = Record {
    name: "IngressStatus",
    fields: &[
        pointer("publicLoadBalancer", &LOAD_BALANCER),
        pointer("privateLoadBalancer", &LOAD_BALANCER),
    ],
    inlined: &[&OBSERVED],
};

static LOAD_BALANCER: Record = record(
    "LoadBalancerStatus",
    &[list("ingress", &Shape::Record(&LOAD_BALANCER_INGRESS))],
);

static LOAD_BALANCER_INGRESS: Record = record(
    "LoadBalancerIngressStatus",
    &[text("ip"), text("domain"), text("domainInternal"), flag("meshOnly")],
);

static CERTIFICATE: Record = object(
    "Certificate",
    &[part("spec", &CERTIFICATE_SPEC), part("status", &CERTIFICATE_STATUS)],
);

static CERTIFICATE_SPEC: Record = record(
    "CertificateSpec",
    &[texts("dnsNames").always(), text("domain"), text("secretName").always()],
);

static CERTIFICATE_STATUS: Record = Record {
    name: "CertificateStatus",
    fields: &[
        time("notAfter").when_set(),
        list("http01Challenges", &Shape::Record(&CHALLENGE)),
    ],
    inlined: &[&OBSERVED],
};

static CHALLENGE: Record = record(
    "HTTP01Challenge",
    &[
        url("url").when_set(),
        text("serviceName"),
        text("serviceNamespace"),
        port("servicePort"),
    ],
);

static CLUSTER_DOMAIN_CLAIM: Record = object("ClusterDomainClaim", &[part("spec", &CLAIM_SPEC)]);

static CLAIM_SPEC: Record = record("ClusterDomainClaimSpec", &[text("namespace").always()]);

static IMAGE: Record = object("Image", &[part("spec", &IMAGE_SPEC), any("status").when_set()]);

static IMAGE_SPEC: Record = record(
    "ImageSpec",
    &[
        text("image").always(),
        text("serviceAccountName"),
        list("imagePullSecrets", &Shape::Record(&LOCAL_OBJECT_REFERENCE)),
    ],
);
