// SPDX-License-Identifier: Apache-2.0
//! What the schemas refuse, fill in, drop and keep: control-plane spec 1.3.
//!
//! Depends on: rig.

use anyhow::{Result, ensure};
use api::kind::Kind;
use serde_json::{Value, json};

use crate::Case;
use crate::rig::{Place, check_equal, object};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "a_template_without_containers_is_refused",
        check: a_template_without_containers_is_refused,
    },
    Case {
        name: "what_must_be_unique_is_refused_twice",
        check: what_must_be_unique_is_refused_twice,
    },
    Case {
        name: "what_the_schema_defaults_is_there",
        check: what_the_schema_defaults_is_there,
    },
    Case {
        name: "what_knative_never_allows_is_dropped",
        check: what_knative_never_allows_is_dropped,
    },
    Case {
        name: "what_a_feature_allows_is_kept",
        check: what_a_feature_allows_is_kept,
    },
    Case {
        name: "a_template_keeps_all_metadata",
        check: a_template_keeps_all_metadata,
    },
];

/// A Service whose pod is this.
fn service(name: &str, pod: &Value) -> Value {
    object(Kind::Service, name, &json!({"template": {"spec": pod}}))
}

/// A pod whose one container has these fields too.
fn pod_with(container: &Value) -> Value {
    let mut whole = json!({"image": "example.com/app"});
    merge(&mut whole, container);
    json!({"containers": [whole]})
}

fn merge(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.clone());
    }
}

fn a_template_without_containers_is_refused(place: &Place) -> Result<()> {
    for kind in [Kind::Service, Kind::Configuration] {
        let refusal = place.refusal(&object(kind, "none", &json!({"template": {"spec": {}}})))?;
        ensure!(
            refusal.contains("spec.template.spec.containers: Required value"),
            "{refusal}"
        );
    }
    let refusal = place.refusal(&object(Kind::Revision, "none", &json!({})))?;
    ensure!(refusal.contains("spec.containers: Required value"), "{refusal}");
    Ok(())
}

fn what_must_be_unique_is_refused_twice(place: &Place) -> Result<()> {
    let twice = |item: Value| json!([item.clone(), item]);
    let pods = [
        pod_with(&json!({"env": twice(json!({"name": "A"}))})),
        pod_with(&json!({"volumeMounts": twice(json!({"name": "v", "mountPath": "/v"}))})),
        json!({"containers": [{}], "volumes": twice(json!({"name": "v"}))}),
        json!({"containers": [{}], "imagePullSecrets": twice(json!({"name": "s"}))}),
    ];
    for pod in pods {
        let refusal = place.refusal(&service("twice", &pod))?;
        ensure!(refusal.contains("Duplicate value"), "{pod}: {refusal}");
    }
    Ok(())
}

fn what_the_schema_defaults_is_there(place: &Place) -> Result<()> {
    let pod = pod_with(&json!({
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"grpc": {"port": 8080}},
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k"}}}],
    }));
    let stored = place.create(&service("defaults", &pod))?;
    let container = &stored["spec"]["template"]["spec"]["containers"][0];
    check_equal("protocol", &container["ports"][0]["protocol"], &json!("TCP"))?;
    check_equal("service", &container["readinessProbe"]["grpc"]["service"], &json!(""))?;
    let reference = &container["env"][0]["valueFrom"]["secretKeyRef"];
    check_equal("secretKeyRef", reference, &json!({"key": "k", "name": ""}))
}

fn what_knative_never_allows_is_dropped(place: &Place) -> Result<()> {
    let pod = json!({
        "containers": [{
            "image": "example.com/app",
            "lifecycle": {"preStop": {"exec": {"command": ["true"]}}},
            "stdin": true,
            "tty": true,
            "ports": [{"containerPort": 8080, "hostPort": 80, "protocol": "TCP"}],
            "livenessProbe": {"tcpSocket": {"port": 1}, "terminationGracePeriodSeconds": 1},
            "securityContext": {"seLinuxOptions": {"level": "x"}},
        }],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "nodeName": "n",
        "hostname": "h",
    });
    let stored = place.create_leniently(&service("dropped", &pod))?;
    let expected = pod_with(&json!({
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "livenessProbe": {"tcpSocket": {"port": 1}},
        "securityContext": {},
    }));
    check_equal("pod", &stored["spec"]["template"]["spec"], &expected)
}

fn what_a_feature_allows_is_kept(place: &Place) -> Result<()> {
    let anything = json!({"whatever": {"is": ["in", 1]}});
    let pod = json!({
        "containers": [{
            "image": "example.com/app",
            "env": [{"name": "A", "valueFrom": {"fieldRef": anything}}],
        }],
        "affinity": anything,
        "dnsConfig": anything,
        "securityContext": anything,
        "hostAliases": [anything],
        "initContainers": [anything],
        "tolerations": [anything],
        "topologySpreadConstraints": [anything],
        "volumes": [{
            "name": "v",
            "csi": anything,
            "emptyDir": anything,
            "ephemeral": anything,
            "hostPath": anything,
            "image": anything,
            "persistentVolumeClaim": anything,
        }],
    });
    let stored = place.create(&service("kept", &pod))?;
    check_equal("pod", &stored["spec"]["template"]["spec"], &pod)
}

fn a_template_keeps_all_metadata(place: &Place) -> Result<()> {
    let mut service = service("metadata", &pod_with(&json!({})));
    let metadata = json!({"name": "metadata-1", "annotations": {"a": "b"}, "generateName": "g-"});
    service["spec"]["template"]["metadata"] = metadata.clone();
    let stored = place.create(&service)?;
    check_equal("metadata", &stored["spec"]["template"]["metadata"], &metadata)
}
