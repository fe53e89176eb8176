// SPDX-License-Identifier: Apache-2.0
use serde_json::{Value, json};

use super::*;
use crate::context::{Occasion, Settings};
use logic::settings::{Data, Features};

fn filled_in(spec: Value, settings: &Settings, occasion: Occasion) -> Value {
    let mut spec: RevisionSpec = serde_json::from_value(spec).unwrap();
    let context = Context { settings, occasion };
    super::spec(&mut spec, &ObjectMeta::default(), &context);
    crate::json::written(&spec).unwrap()
}

fn created(spec: Value, settings: &Settings) -> Value {
    filled_in(spec, settings, Occasion::Create { user: "u" })
}

#[test]
fn a_longer_timeout_brings_a_limit_for_the_first_byte() {
    let of = |timeout: i64| {
        let spec = created(
            json!({"containers": [], "timeoutSeconds": timeout}),
            &Settings::default(),
        );
        (
            spec["timeoutSeconds"].clone(),
            spec["responseStartTimeoutSeconds"].clone(),
        )
    };
    assert_eq!(of(0), (json!(300), Value::Null));
    assert_eq!(of(300), (json!(300), Value::Null));
    assert_eq!(of(600), (json!(600), json!(300)));
}

#[test]
fn names_that_are_made_avoid_those_of_users() {
    let spec = json!({"containers": [{}, {"name": "user-container-0"}, {}], "initContainers": [{}, {"name": "x"}]});
    let spec = created(spec, &Settings::default());
    let names = |list: &str| -> Vec<Value> {
        let list = spec[list].as_array().unwrap();
        list.iter().map(|container| container["name"].clone()).collect()
    };
    assert_eq!(
        names("containers"),
        ["user-container-1", "user-container-0", "user-container-2"]
    );
    assert_eq!(names("initContainers"), ["init-container-0", "x"]);
}

#[test]
fn service_links_are_decided_only_for_what_is_new() {
    let spec = || json!({"containers": [{}]});
    let settings = Settings::default();
    assert_eq!(created(spec(), &settings)["enableServiceLinks"], false);
    assert_eq!(
        filled_in(spec(), &settings, Occasion::Reconcile)["enableServiceLinks"],
        Value::Null
    );
}

#[test]
fn only_the_serving_container_is_probed_by_default() {
    let spec = json!({"containers": [{"ports": [{"containerPort": 1}]}, {}, {"readinessProbe": {"periodSeconds": 2}}]});
    let spec = created(spec, &Settings::default());
    let probe = |index: usize| spec["containers"][index]["readinessProbe"].clone();
    assert_eq!(probe(0), json!({"tcpSocket": {"port": 0}, "successThreshold": 1}));
    assert_eq!(probe(1), Value::Null);
    let thresholds = json!({"periodSeconds": 2, "successThreshold": 1, "failureThreshold": 3, "timeoutSeconds": 1});
    assert_eq!(probe(2), thresholds);
}

#[test]
fn every_grpc_probe_names_its_service() {
    let probe = json!({"grpc": {"port": 1}});
    let container = json!({"livenessProbe": probe, "readinessProbe": probe, "startupProbe": probe});
    let spec = created(json!({"containers": [container]}), &Settings::default());
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        assert_eq!(
            spec["containers"][0][field]["grpc"],
            json!({"port": 1, "service": ""}),
            "{field}"
        );
    }
}

#[test]
fn a_secure_cluster_leaves_low_ports_possible() {
    let data: Data = [("secure-pod-defaults".to_owned(), "Enabled".to_owned())]
        .into_iter()
        .collect();
    let settings = Settings {
        features: Features::parse(&data).unwrap(),
        ..Settings::default()
    };
    let of = |port: i32| {
        let spec = created(json!({"containers": [{"ports": [{"containerPort": port}]}]}), &settings);
        spec["containers"][0]["securityContext"].clone()
    };
    let mut expected = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    assert_eq!(of(8080), expected);
    expected["capabilities"]["add"] = json!(["NET_BIND_SERVICE"]);
    assert_eq!(of(80), expected);
}
