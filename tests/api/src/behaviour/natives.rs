// SPDX-License-Identifier: Apache-2.0
//! Kubernetes' own kinds: what is filled in, and what is refused.
//!
//! Depends on: place.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{DEPLOYMENTS, Kind, PODS, Place, Scenario, refused, same};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a_deployment_is_filled_in",
        check: a_deployment_is_filled_in,
    },
    Scenario {
        name: "a_pod_is_filled_in",
        check: a_pod_is_filled_in,
    },
    Scenario {
        name: "a_service_gets_an_address_and_keeps_it",
        check: a_service_gets_an_address_and_keeps_it,
    },
    Scenario {
        name: "services_without_an_address_have_none",
        check: services_without_an_address_have_none,
    },
    Scenario {
        name: "workloads_that_cannot_find_their_pods_are_refused",
        check: workloads_that_cannot_find_their_pods_are_refused,
    },
    Scenario {
        name: "a_secret_keeps_texts_as_data",
        check: a_secret_keeps_texts_as_data,
    },
];

pub(super) const SERVICES: Kind = Kind("api/v1", "services");

fn container() -> Value {
    json!({
        "name": "c", "image": "host:5000/i:1", "ports": [{"containerPort": 80}],
        "env": [{"name": "A"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 0},
        "livenessProbe": {"grpc": {"port": 80}},
        "resources": {"limits": {"cpu": "1"}},
    })
}

fn volumes() -> Value {
    json!([
        {"name": "a"}, {"name": "b", "secret": {"secretName": "s"}}, {"name": "c", "configMap": {"name": "m"}},
        {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "p"}}]}},
    ])
}

/// The container as every template has it.
fn filled() -> Value {
    json!({
        "name": "c", "image": "host:5000/i:1", "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": "A"}, {"name": "N", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
        "readinessProbe": {
            "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
        },
        "livenessProbe": {
            "grpc": {"port": 80, "service": ""},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
        },
        "resources": {"limits": {"cpu": "1"}}, "imagePullPolicy": "IfNotPresent",
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    })
}

fn filled_volumes() -> Value {
    json!([
        {"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": "s", "defaultMode": 420}},
        {"name": "c", "configMap": {"name": "m", "defaultMode": 420}},
        {"name": "d", "projected": {
            "defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "p", "expirationSeconds": 3600}}],
        }},
    ])
}

fn a_deployment_is_filled_in(place: &Place) -> Result<()> {
    let template = json!({
        "metadata": {"labels": {"app": "d"}}, "spec": {"containers": [container()], "volumes": volumes()},
    });
    let sent = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template},
    });
    let made = place.create(DEPLOYMENTS, &sent)?;
    let expected = json!({
        "replicas": 1, "selector": {"matchLabels": {"app": "d"}}, "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "template": {"metadata": {"labels": {"app": "d"}}, "spec": {
            "containers": [filled()], "volumes": filled_volumes(), "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "securityContext": {},
            "schedulerName": "default-scheduler",
        }},
    });
    let mut spec = made["spec"].clone();
    // A server may or may not write that a template was never created.
    if let Some(metadata) = spec["template"]["metadata"].as_object_mut() {
        metadata.remove("creationTimestamp");
    }
    same("spec", &spec, expected)?;
    same("generation", &made["metadata"]["generation"], 1)?;
    let again = place.ask("PUT", DEPLOYMENTS, "/d", &sent)?.body;
    same("generation after the same again", &again["metadata"]["generation"], 1)
}

fn a_pod_is_filled_in(place: &Place) -> Result<()> {
    let sent = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1"}}}]},
    });
    let made = place.create(PODS, &sent)?;
    let container = &made["spec"]["containers"][0];
    same("pull policy", &container["imagePullPolicy"], "Always")?;
    same("requests", &container["resources"]["requests"], json!({"cpu": "1"}))?;
    same("links", &made["spec"]["enableServiceLinks"], true)?;
    same("priority", &made["spec"]["priority"], 0)?;
    same("preemption", &made["spec"]["preemptionPolicy"], "PreemptLowerPriority")?;
    same("phase", &made["status"]["phase"], "Pending")?;
    same("quality", &made["status"]["qosClass"], "Burstable")
}

fn service(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})
}

fn a_service_gets_an_address_and_keeps_it(place: &Place) -> Result<()> {
    let sent = service("s", &json!({"ports": [{"port": 80}], "selector": {"a": "b"}}));
    let made = place.create(SERVICES, &sent)?;
    let address = made["spec"]["clusterIP"].clone();
    ensure!(address.as_str().is_some_and(|address| address.contains('.')), "{made}");
    let expected = json!({
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "selector": {"a": "b"}, "type": "ClusterIP",
        "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "clusterIP": address, "clusterIPs": [address],
    });
    same("spec", &made["spec"], expected)?;
    same("status", &made["status"], json!({"loadBalancer": {}}))?;
    let kept = place.ask("PUT", SERVICES, "/s", &sent)?;
    same(
        "address after a PUT without one",
        &kept.body["spec"]["clusterIP"],
        address.clone(),
    )?;
    let twice = service("t", &json!({"ports": [{"port": 80}], "clusterIP": address}));
    let answer = place.ask("POST", SERVICES, "", &twice)?;
    let message = format!(
        "Service \"t\" is invalid: spec.clusterIPs: Invalid value: [{address}]: failed to allocate IP {}: provided IP is already allocated",
        address.as_str().unwrap_or_default()
    );
    refused(&answer, 422, "Invalid", &message)?;
    place.ask("DELETE", SERVICES, "/s", &Value::Null)?;
    place.create(SERVICES, &twice).map(drop)
}

fn services_without_an_address_have_none(place: &Place) -> Result<()> {
    let headless = place.create(
        SERVICES,
        &service("h", &json!({"clusterIP": "None", "selector": {"a": "b"}})),
    )?;
    same("addresses", &headless["spec"]["clusterIPs"], json!(["None"]))?;
    let named = place.create(
        SERVICES,
        &service("e", &json!({"type": "ExternalName", "externalName": "example.com"})),
    )?;
    let expected = json!({"type": "ExternalName", "externalName": "example.com", "sessionAffinity": "None"});
    same("spec", &named["spec"], expected)?;
    let nameless = service("n", &json!({"ports": [{"port": 80}, {"port": 81, "name": "b"}]}));
    let answer = place.ask("POST", SERVICES, "", &nameless)?;
    let message = "Service \"n\" is invalid: spec.ports[0].name: Required value";
    refused(&answer, 422, "Invalid", message)
}

fn workloads_that_cannot_find_their_pods_are_refused(place: &Place) -> Result<()> {
    let with = |labels: Value| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": {
                "metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]},
            }},
        })
    };
    let answer = place.ask("POST", DEPLOYMENTS, "", &with(json!({"app": "e"})))?;
    let message = "Deployment.apps \"d\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"e\"}: `selector` does not match template `labels`";
    refused(&answer, 422, "Invalid", message)?;
    place.create(DEPLOYMENTS, &with(json!({"app": "d"})))?;
    let mut other = with(json!({"app": "d", "x": "y"}));
    other["spec"]["selector"] = json!({"matchLabels": {"x": "y"}});
    let answer = place.ask("PUT", DEPLOYMENTS, "/d", &other)?;
    let message = "Deployment.apps \"d\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"x\":\"y\"}}: field is immutable";
    refused(&answer, 422, "Invalid", message)
}

fn a_secret_keeps_texts_as_data(place: &Place) -> Result<()> {
    let sent = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "YQ=="}, "stringData": {"b": "b"},
    });
    let made = place.create(Kind("api/v1", "secrets"), &sent)?;
    same("data", &made["data"], json!({"a": "YQ==", "b": "Yg=="}))?;
    same("type", &made["type"], "Opaque")?;
    same("texts", &made["stringData"], Value::Null)
}
