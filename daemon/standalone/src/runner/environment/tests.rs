// SPDX-License-Identifier: Apache-2.0
//! Environment and command, as a kubelet makes them.

use std::net::Ipv4Addr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::*;

fn pod(container: Value) -> Pod {
    let pod = json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "a"}},
        "spec": {"nodeName": "here", "containers": [container]},
    });
    serde_json::from_value(pod).unwrap()
}

fn look(source: Source, name: &str) -> Option<Arc<Value>> {
    let object = match (source, name) {
        (Source::ConfigMap, "settings") => json!({"data": {"colour": "blue"}}),
        (Source::Secret, "keys") => json!({"data": {"key": "c2VjcmV0"}}),
        _ => return None,
    };
    Some(Arc::new(object))
}

fn of(container: Value) -> Result<BTreeMap<String, String>, Missing> {
    let pod = pod(container);
    let facts = Facts {
        pod: &pod,
        ip: Ipv4Addr::new(10, 0, 0, 2),
        host: Ipv4Addr::new(10, 0, 0, 1),
    };
    let image = Config {
        env: vec!["LANG=C".to_owned(), "A=image".to_owned()],
        ..Config::default()
    };
    let container = &pod.spec.as_ref().unwrap().containers[0];
    environment(container, &facts, &image, &look)
}

#[test]
fn the_environment_has_image_maps_secrets_fields_and_references() {
    let env = of(json!({"name": "c",
        "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"}},
        "envFrom": [{"prefix": "S_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "no", "optional": true}}],
        "env": [
            {"name": "A", "value": "$(S_colour)-$$(S_colour)-$(NOBODY)"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "no", "optional": true}}},
            {"name": "EMPTY"},
        ]}))
    .unwrap();
    let value = |name: &str| env.get(name).map(String::as_str);
    assert_eq!(value("A"), Some("blue-$(S_colour)-$(NOBODY)"));
    assert_eq!(value("KEY"), Some("secret"));
    assert_eq!(value("IP"), Some("10.0.0.2"));
    assert_eq!(value("APP"), Some("a"));
    assert_eq!((value("CPU"), value("MEM")), (Some("2"), Some("64")));
    assert_eq!(
        (value("LANG"), value("NONE"), value("EMPTY")),
        (Some("C"), None, Some(""))
    );
    assert_eq!(value("HOSTNAME"), Some("p"));
}

#[test]
fn what_is_not_there_is_named_as_a_kubelet_names_it() {
    for (from, words) in [
        (
            json!({"configMapKeyRef": {"name": "no", "key": "k"}}),
            "configmap \"no\" not found",
        ),
        (
            json!({"secretKeyRef": {"name": "no", "key": "k"}}),
            "secret \"no\" not found",
        ),
        (
            json!({"configMapKeyRef": {"name": "settings", "key": "k"}}),
            "couldn't find key k in ConfigMap n/settings",
        ),
    ] {
        let error = of(json!({"name": "c", "env": [{"name": "A", "valueFrom": from}]})).unwrap_err();
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn the_pod_decides_over_the_image_what_is_run() {
    let image = Config {
        entrypoint: vec!["/entry".to_owned()],
        cmd: vec!["usual".to_owned()],
        ..Config::default()
    };
    let values = BTreeMap::from([("P".to_owned(), "80".to_owned())]);
    let of = |container: Value| {
        let pod = pod(container);
        command(&pod.spec.unwrap().containers[0], &image, &values).join(" ")
    };
    assert_eq!(of(json!({"name": "c"})), "/entry usual");
    assert_eq!(of(json!({"name": "c", "args": ["-p", "$(P)"]})), "/entry -p 80");
    assert_eq!(of(json!({"name": "c", "command": ["/own"]})), "/own");
    assert_eq!(of(json!({"name": "c", "command": ["/own"], "args": ["x"]})), "/own x");
}
