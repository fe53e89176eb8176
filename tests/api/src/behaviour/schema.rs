// SPDX-License-Identifier: Apache-2.0
//! What the schemas refuse, fill in, drop and keep: control-plane spec 1.3.
//!
//! Problem: the embedded API has no part of the API server that judges schemas, and has the webhooks always.
//! Depends on: place, rig, admission.

use anyhow::{Result, ensure};
use api::kind::Kind;
use serde_json::{Value, json};

use super::place::{CONFIGURATIONS, IMAGES, Place, REVISIONS, SERVICES, Scenario, image, refused, same};
use crate::admission::refused_services;
use crate::rig::object;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a_template_without_containers_is_refused",
        check: a_template_without_containers_is_refused,
    },
    Scenario {
        name: "what_must_be_unique_is_refused_twice",
        check: what_must_be_unique_is_refused_twice,
    },
    Scenario {
        name: "a_value_of_another_type_is_refused",
        check: a_value_of_another_type_is_refused,
    },
    Scenario {
        name: "a_claim_needs_a_namespace",
        check: a_claim_needs_a_namespace,
    },
    Scenario {
        name: "a_null_is_as_good_as_nothing",
        check: a_null_is_as_good_as_nothing,
    },
    Scenario {
        name: "what_the_schema_defaults_is_there",
        check: what_the_schema_defaults_is_there,
    },
    Scenario {
        name: "what_knative_never_allows_is_dropped",
        check: what_knative_never_allows_is_dropped,
    },
    Scenario {
        name: "a_template_keeps_all_metadata",
        check: a_template_keeps_all_metadata,
    },
];

/// What the webhooks, which the embedded API has always, would read and refuse.
pub(super) const REAL_ONLY: &[Scenario] = &[Scenario {
    name: "what_a_feature_allows_is_kept",
    check: what_a_feature_allows_is_kept,
}];

/// The cases of `admission` say it of the real one, whose webhooks are theirs.
pub(super) const EMBEDDED_ONLY: &[Scenario] = &[Scenario {
    name: "each_part_of_the_chain_refuses_in_its_turn",
    check: each_part_of_the_chain_refuses_in_its_turn,
}];

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

fn each_part_of_the_chain_refuses_in_its_turn(place: &Place) -> Result<()> {
    for (service, told) in refused_services() {
        let answer = place.ask("POST", SERVICES, "", &service)?;
        let message = answer.body["message"].as_str().unwrap_or_default();
        ensure!(answer.code >= 400 && message.contains(told), "{answer:?}");
    }
    Ok(())
}

fn a_template_without_containers_is_refused(place: &Place) -> Result<()> {
    for (kind, made) in [
        (SERVICES, Kind::Service),
        (CONFIGURATIONS, Kind::Configuration),
        (REVISIONS, Kind::Revision),
    ] {
        let (spec, field) = match made {
            Kind::Revision => (json!({}), "spec.containers"),
            _ => (json!({"template": {"spec": {}}}), "spec.template.spec.containers"),
        };
        let answer = place.ask("POST", kind, "", &object(made, "none", &spec))?;
        let message = format!(
            "{}.serving.knative.dev \"none\" is invalid: {field}: Required value",
            made.name()
        );
        refused(&answer, 422, "Invalid", &message)?;
        let causes = json!([{"reason": "FieldValueRequired", "message": "Required value", "field": field}]);
        same("causes", &answer.body["details"]["causes"], causes)?;
    }
    Ok(())
}

fn what_must_be_unique_is_refused_twice(place: &Place) -> Result<()> {
    let twice = |item: Value| json!([item.clone(), item]);
    let pods = [
        (
            pod_with(&json!({"env": twice(json!({"name": "A"}))})),
            "containers[0].env[1]: Duplicate value: {\"name\":\"A\"}",
        ),
        (
            pod_with(&json!({"volumeMounts": twice(json!({"name": "v", "mountPath": "/v"}))})),
            "containers[0].volumeMounts[1]: Duplicate value: {\"mountPath\":\"/v\"}",
        ),
        (
            json!({"containers": [{}], "volumes": twice(json!({"name": "v"}))}),
            "volumes[1]: Duplicate value: {\"name\":\"v\"}",
        ),
        (
            json!({"containers": [{}], "imagePullSecrets": twice(json!({"name": "s"}))}),
            "imagePullSecrets[1]: Duplicate value: {\"name\":\"s\"}",
        ),
    ];
    for (pod, told) in pods {
        let answer = place.ask("POST", SERVICES, "", &service("twice", &pod))?;
        let message = format!("Service.serving.knative.dev \"twice\" is invalid: spec.template.spec.{told}");
        refused(&answer, 422, "Invalid", &message)?;
        let reason = &answer.body["details"]["causes"][0]["reason"];
        same("reason", reason, "FieldValueDuplicate")?;
    }
    // What is stored can be changed, but not into this.
    place.create(SERVICES, &service("once", &pod_with(&json!({"env": [{"name": "A"}]}))))?;
    let change = json!({"spec": {"template": {"spec": pod_with(&json!({"env": twice(json!({"name": "A"}))}))}}});
    let answer = place.patch("merge-patch+json", SERVICES, "/once", &change)?;
    same("code of the patch", &answer.code.into(), 422)
}

fn a_value_of_another_type_is_refused(place: &Place) -> Result<()> {
    for (spec, told) in [
        (
            json!({"image": 5}),
            "spec.image: Invalid value: \"integer\": spec.image in body must be of type string: \"integer\"",
        ),
        (
            json!("i"),
            "spec: Invalid value: \"string\": spec in body must be of type object: \"string\"",
        ),
        (
            json!({"image": "i", "imagePullSecrets": {}}),
            "spec.imagePullSecrets: Invalid value: \"object\": spec.imagePullSecrets in body must be of type array: \"object\"",
        ),
    ] {
        let mut wrong = image("a");
        wrong["spec"] = spec;
        let answer = place.ask("POST", IMAGES, "", &wrong)?;
        let message = format!("Image.caching.internal.knative.dev \"a\" is invalid: {told}");
        refused(&answer, 422, "Invalid", &message)?;
    }
    place.create(IMAGES, &image("a"))?;
    let status = json!({"status": {"observedGeneration": true}});
    let answer = place.patch("merge-patch+json", IMAGES, "/a/status", &status)?;
    let message = "Image.caching.internal.knative.dev \"a\" is invalid: status.observedGeneration: Invalid value: \"boolean\": observedGeneration in body must be of type integer: \"boolean\"";
    refused(&answer, 422, "Invalid", message)
}

fn a_claim_needs_a_namespace(place: &Place) -> Result<()> {
    let claim = object(Kind::ClusterDomainClaim, "claimed.example.org", &json!({}));
    let claims = "/apis/networking.internal.knative.dev/v1alpha1/clusterdomainclaims";
    let answer = place.ask_at("POST", claims, &claim)?;
    let message = "ClusterDomainClaim.networking.internal.knative.dev \"claimed.example.org\" is invalid: spec.namespace: Required value";
    refused(&answer, 422, "Invalid", message)
}

fn a_null_is_as_good_as_nothing(place: &Place) -> Result<()> {
    let mut sent = image("a");
    sent["spec"]["serviceAccountName"] = Value::Null;
    same("spec", &place.create(IMAGES, &sent)?["spec"], json!({"image": "i"}))?;
    sent["spec"]["image"] = Value::Null;
    sent["metadata"]["name"] = "b".into();
    let answer = place.ask("POST", IMAGES, "", &sent)?;
    let message = "Image.caching.internal.knative.dev \"b\" is invalid: spec.image: Required value";
    refused(&answer, 422, "Invalid", message)
}

fn what_the_schema_defaults_is_there(place: &Place) -> Result<()> {
    let pod = pod_with(&json!({
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"grpc": {"port": 8080}},
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k", "name": null}}}],
    }));
    let stored = place.create(SERVICES, &service("defaults", &pod))?;
    let container = &stored["spec"]["template"]["spec"]["containers"][0];
    same("protocol", &container["ports"][0]["protocol"], "TCP")?;
    same("service", &container["readinessProbe"]["grpc"]["service"], "")?;
    let reference = &container["env"][0]["valueFrom"]["secretKeyRef"];
    same("secretKeyRef", reference, json!({"key": "k", "name": ""}))
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
    let stored = place.create(SERVICES, &service("dropped", &pod))?;
    let pod = &stored["spec"]["template"]["spec"];
    for dropped in [
        "/containers/0/lifecycle",
        "/containers/0/stdin",
        "/containers/0/tty",
        "/containers/0/ports/0/hostPort",
        "/containers/0/livenessProbe/terminationGracePeriodSeconds",
        "/containers/0/securityContext/seLinuxOptions",
        "/restartPolicy",
        "/terminationGracePeriodSeconds",
        "/nodeName",
        "/hostname",
    ] {
        ensure!(pod.pointer(dropped).is_none(), "{dropped} is in {pod}");
    }
    let container = &pod["containers"][0];
    same("port", &container["ports"][0]["containerPort"], 8080)?;
    same("probe", &container["livenessProbe"]["tcpSocket"], json!({"port": 1}))
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
    let stored = place.create(SERVICES, &service("kept", &pod))?;
    same("pod", &stored["spec"]["template"]["spec"], pod)
}

fn a_template_keeps_all_metadata(place: &Place) -> Result<()> {
    let mut service = service("metadata", &pod_with(&json!({})));
    let metadata = json!({"name": "metadata-1", "annotations": {"a": "b"}, "generateName": "g-"});
    service["spec"]["template"]["metadata"] = metadata.clone();
    let stored = place.create(SERVICES, &service)?;
    same("metadata", &stored["spec"]["template"]["metadata"], metadata)
}
