// SPDX-License-Identifier: Apache-2.0
//! An object of every kind with every field that its types have.
//!
//! Depends on: nothing.

use api::kind::Kind;
use serde_json::{Value, json};

use crate::rig::object;

/// The object, named `full`, without a status.
pub(crate) fn sample(kind: Kind) -> Value {
    let name = match kind {
        Kind::DomainMapping => "full.example.com",
        Kind::ClusterDomainClaim => "claimed.example.com",
        _ => "full",
    };
    object(kind, name, &spec(kind))
}

fn spec(kind: Kind) -> Value {
    match kind {
        Kind::Service => json!({"template": template(), "traffic": [traffic()]}),
        Kind::Configuration => json!({"template": template()}),
        Kind::Revision => revision(),
        Kind::Route => json!({"traffic": [traffic()]}),
        Kind::DomainMapping => json!({
            "ref": {
                "kind": "Service", "namespace": "n", "name": "s", "apiVersion": "serving.knative.dev/v1",
                "group": "g", "address": "a",
            },
            "tls": {"secretName": "t"},
        }),
        Kind::PodAutoscaler => json!({
            "containerConcurrency": 3, "scaleTargetRef": target(), "reachability": "Reachable", "protocolType": "h2c",
        }),
        Kind::Metric => {
            json!({"stableWindow": 60_000_000_000_i64, "panicWindow": 6_000_000_000_i64, "scrapeTarget": "s"})
        }
        Kind::Ingress => ingress(),
        Kind::ServerlessService => json!({
            "mode": "Proxy", "objectRef": target(), "protocolType": "http1", "numActivators": 2,
        }),
        Kind::Certificate => json!({"dnsNames": ["a.example.com"], "domain": "example.com", "secretName": "s"}),
        Kind::ClusterDomainClaim => json!({"namespace": "n"}),
        Kind::Image => json!({"image": "i", "serviceAccountName": "s", "imagePullSecrets": [{"name": "p"}]}),
    }
}

/// The status, with every field.
pub(crate) fn status(kind: Kind) -> Value {
    let mut status = json!({
        "observedGeneration": 1,
        "conditions": [{
            "type": "Ready", "status": "False", "severity": "Info", "reason": "R", "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
        "annotations": {"a": "b"},
    });
    if let (Some(status), Value::Object(own)) = (status.as_object_mut(), own_status(kind)) {
        status.extend(own);
    }
    status
}

fn own_status(kind: Kind) -> Value {
    let made = json!({"latestReadyRevisionName": "r", "latestCreatedRevisionName": "c"});
    let reached = json!({"url": "http://u", "address": address(), "traffic": [traffic_status()]});
    match kind {
        Kind::Service => {
            let mut both = made;
            if let (Some(both), Value::Object(reached)) = (both.as_object_mut(), reached) {
                both.extend(reached);
            }
            both
        }
        Kind::Configuration => made,
        Kind::Route => reached,
        Kind::Revision => json!({
            "logUrl": "http://l",
            "containerStatuses": [{"name": "c", "imageDigest": "d"}],
            "initContainerStatuses": [{"name": "i", "imageDigest": "d"}],
            "actualReplicas": 0,
            "desiredReplicas": 1,
        }),
        Kind::DomainMapping => json!({"url": "http://u", "address": address()}),
        Kind::PodAutoscaler => json!({
            "serviceName": "", "metricsServiceName": "m", "desiredScale": 0, "actualScale": -1,
        }),
        Kind::Ingress => json!({
            "publicLoadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"domain": "d"}]},
            "privateLoadBalancer": {"ingress": [{"domainInternal": "i"}, {"meshOnly": true}]},
        }),
        Kind::ServerlessService => json!({"serviceName": "s", "privateServiceName": "p"}),
        Kind::Certificate => json!({
            "notAfter": "2026-01-01T00:00:00Z",
            "http01Challenges": [{"url": "http://u", "serviceName": "s", "serviceNamespace": "n", "servicePort": "p"}],
        }),
        Kind::Metric | Kind::Image | Kind::ClusterDomainClaim => json!({}),
    }
}

fn template() -> Value {
    json!({"metadata": {"name": "full-1", "labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": revision()})
}

fn traffic() -> Value {
    json!({"tag": "t", "revisionName": "r", "configurationName": "c", "latestRevision": false, "percent": 0, "url": "http://u"})
}

fn traffic_status() -> Value {
    json!({"tag": "t", "revisionName": "r", "latestRevision": true, "percent": 100, "url": "http://u"})
}

fn address() -> Value {
    json!({"name": "n", "url": "http://u", "CACerts": "pem", "audience": "a"})
}

fn target() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"})
}

fn ingress() -> Value {
    json!({
        "httpOption": "Redirected",
        "tls": [{"hosts": ["h"], "secretName": "s", "secretNamespace": "n"}],
        "rules": [{"hosts": ["h"], "visibility": "ClusterLocal", "http": {"paths": [{
            "path": "/p", "rewriteHost": "r", "headers": {"H": {"exact": ""}}, "appendHeaders": {"A": ""},
            "splits": [
                {"serviceNamespace": "n", "serviceName": "s", "servicePort": 80, "percent": 40, "appendHeaders": {"B": "b"}},
                {"serviceNamespace": "n", "serviceName": "s", "servicePort": "http", "percent": 60},
            ],
        }]}}],
    })
}

fn revision() -> Value {
    let mut spec = json!({
        "containerConcurrency": 0,
        "timeoutSeconds": 300,
        "responseStartTimeoutSeconds": 10,
        "idleTimeoutSeconds": 20,
        "containers": [container()],
        "volumes": volumes(),
        "serviceAccountName": "s",
        "imagePullSecrets": [{"name": "p"}],
        "enableServiceLinks": false,
        "automountServiceAccountToken": false,
    });
    let gated = json!({
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "preference": {"matchExpressions": [{"key": "k", "operator": "Exists"}]}},
        ]}},
        "dnsConfig": {"nameservers": ["192.0.2.1"]},
        "dnsPolicy": "None",
        "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["h"]}],
        "hostIPC": true,
        "hostNetwork": true,
        "hostPID": true,
        "initContainers": [{"name": "i", "image": "i"}],
        "nodeSelector": {"a": "b"},
        "priorityClassName": "p",
        "runtimeClassName": "r",
        "schedulerName": "s",
        "securityContext": {"runAsUser": 0, "fsGroup": 1},
        "shareProcessNamespace": true,
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "t", "whenUnsatisfiable": "DoNotSchedule"}],
    });
    if let (Some(spec), Value::Object(gated)) = (spec.as_object_mut(), gated) {
        spec.extend(gated);
    }
    spec
}

fn container() -> Value {
    let key = json!({"key": "k", "name": "n", "optional": false});
    let source = json!({"name": "n", "optional": true});
    let mount = json!({"mountPath": "/m", "mountPropagation": "None", "name": "m", "readOnly": true, "subPath": "s"});
    json!({
        "name": "c",
        "image": "i",
        "imagePullPolicy": "Always",
        "command": ["c"],
        "args": ["a"],
        "workingDir": "/w",
        "env": [
            {"name": "A", "value": "a"},
            {"name": "B", "valueFrom": {"configMapKeyRef": key}},
            {"name": "C", "valueFrom": {"secretKeyRef": key}},
            {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "envFrom": [{"prefix": "P_", "configMapRef": source}, {"secretRef": source}],
        "ports": [{"containerPort": 8080, "name": "h2c", "protocol": "TCP"}],
        "livenessProbe": {"exec": {"command": ["c"]}, "failureThreshold": 1, "periodSeconds": 2},
        "readinessProbe": {
            "httpGet": {"host": "h", "path": "/", "port": "p", "scheme": "HTTPS", "httpHeaders": [{"name": "n", "value": ""}]},
            "initialDelaySeconds": 1, "successThreshold": 2, "timeoutSeconds": 3,
        },
        "startupProbe": {"grpc": {"port": 1, "service": ""}},
        "resources": {"limits": {"cpu": "1"}, "requests": {"memory": "1Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "privileged": false,
            "readOnlyRootFilesystem": false,
            "runAsGroup": 0,
            "runAsNonRoot": false,
            "runAsUser": 0,
            "seccompProfile": {"type": "Localhost", "localhostProfile": "p"},
        },
        "terminationMessagePath": "/t",
        "terminationMessagePolicy": "File",
        "volumeMounts": [mount],
    })
}

fn volumes() -> Value {
    let items = json!([{"key": "k", "mode": 0, "path": "p"}]);
    let named = json!({"name": "n", "items": items, "optional": false});
    let fields = json!([
        {"path": "p", "mode": 0, "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        {"path": "q", "resourceFieldRef": {"containerName": "c", "divisor": "1m", "resource": "limits.cpu"}},
    ]);
    json!([
        {"name": "a", "configMap": {"name": "n", "items": items, "optional": false, "defaultMode": 0}},
        {"name": "b", "secret": {"secretName": "n", "items": items, "optional": false, "defaultMode": 0}},
        {"name": "c", "projected": {"defaultMode": 0, "sources": [
            {"configMap": named},
            {"secret": named},
            {"downwardAPI": {"items": fields}},
            {"serviceAccountToken": {"audience": "a", "expirationSeconds": 0, "path": "p"}},
        ]}},
        {"name": "d", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "e", "hostPath": {"path": "/"}},
        {"name": "f", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "g", "csi": {"driver": "d", "readOnly": false}},
        {"name": "h", "ephemeral": {}},
        {"name": "i", "image": {"reference": "r"}},
    ])
}
