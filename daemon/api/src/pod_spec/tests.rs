// SPDX-License-Identifier: Apache-2.0
use serde_json::{Value, json};

use super::*;
use crate::context::{Occasion, Settings};
use logic::settings::{Data, Features, Flag};

fn settings(features: &[(&str, &str)]) -> Settings {
    let data: Data = features
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Settings {
        features: Features::parse(&data).unwrap(),
        ..Settings::default()
    }
}

fn errors_with(pod: &Value, features: &[(&str, &str)]) -> String {
    let pod: PodSpec = serde_json::from_value(pod.clone()).unwrap();
    let context = Context {
        settings: &settings(features),
        occasion: Occasion::Create { user: "u" },
    };
    validate(&pod, &context).error().unwrap_or_default()
}

fn errors(pod: &Value) -> String {
    errors_with(pod, &[])
}

fn with(field: &str, value: Value) -> Value {
    let mut pod = json!({"containers": [{"name": "a", "image": "example.com/app"}]});
    pod[field] = value;
    pod
}

#[test]
fn a_gated_field_needs_its_feature_and_no_other() {
    let rows = [
        ("podspec-affinity", with("affinity", json!({}))),
        ("podspec-nodeselector", with("nodeSelector", json!({"a": "b"}))),
        ("podspec-tolerations", with("tolerations", json!([{}]))),
        ("podspec-hostaliases", with("hostAliases", json!([{"ip": "::1"}]))),
        ("podspec-runtimeclassname", with("runtimeClassName", json!("x"))),
        ("podspec-priorityclassname", with("priorityClassName", json!("x"))),
        ("podspec-schedulername", with("schedulerName", json!("x"))),
        ("podspec-dnspolicy", with("dnsPolicy", json!("None"))),
        ("podspec-dnsconfig", with("dnsConfig", json!({}))),
        ("podspec-hostipc", with("hostIPC", json!(true))),
        ("podspec-hostpid", with("hostPID", json!(true))),
        ("podspec-hostnetwork", with("hostNetwork", json!(true))),
        (
            "podspec-shareprocessnamespace",
            with("shareProcessNamespace", json!(true)),
        ),
        (
            "podspec-securitycontext",
            with("securityContext", json!({"runAsUser": 1})),
        ),
        (
            "podspec-topologyspreadconstraints",
            with("topologySpreadConstraints", json!([{}])),
        ),
    ];
    for (feature, pod) in &rows {
        let key = format!("kubernetes.{feature}");
        assert!(errors(pod).starts_with("must not set the field(s): "), "{feature}");
        for flag in [Flag::Allowed, Flag::Enabled] {
            assert_eq!(errors_with(pod, &[(&key, &flag.to_string())]), "", "{feature} {flag}");
        }
        let other = rows.iter().find(|(other, _)| other != feature).unwrap().0;
        assert_ne!(
            errors_with(pod, &[(&format!("kubernetes.{other}"), "enabled")]),
            "",
            "{feature}"
        );
    }
}

#[test]
fn what_kubernetes_adds_is_not_allowed_by_that() {
    for (field, value) in [
        ("hostnameOverride", json!("x")),
        ("resources", json!({"limits": {"cpu": "1"}})),
    ] {
        assert_eq!(
            errors(&with(field, value)),
            format!("must not set the field(s): {field}")
        );
    }
}

#[test]
fn a_token_may_be_switched_off_but_not_on() {
    assert_eq!(errors(&with("automountServiceAccountToken", json!(false))), "");
    let found = errors(&with("automountServiceAccountToken", json!(true)));
    assert_eq!(found, "must not set the field(s): automountServiceAccountToken");
}

#[test]
fn the_container_with_the_port_serves() {
    let pod = |port: i32| {
        json!({"containers": [
            {"name": "a", "image": "ab", "env": [{"name": "PORT"}]},
            {"name": "b", "image": "ab", "ports": [{"containerPort": port}]},
        ]})
    };
    assert_eq!(errors(&pod(1)), "");
    let mut taken = pod(1);
    taken["containers"][1]["env"] = json!([{"name": "PORT"}]);
    assert_eq!(
        errors(&taken),
        "\"PORT\" is a reserved environment variable: containers[1].env[0].name"
    );
    assert!(errors(&pod(8012)).contains("8012 is a reserved port"));
    assert_eq!(errors(&pod(8112)), "", "8112 is not reserved in Knative");
}

#[test]
fn a_wrong_volume_name_hides_its_missing_feature() {
    let pod = |name: &str| {
        let mut pod = with("volumes", json!([{"name": name, "hostPath": {"path": "/"}}]));
        pod["containers"][0]["volumeMounts"] = json!([{"name": name, "mountPath": "/m", "readOnly": true}]);
        pod
    };
    assert!(errors(&pod("v")).starts_with("HostPath volume support is disabled, but found HostPath volume v: \n"));
    assert_eq!(
        errors(&pod("V")),
        "invalid value: V: volumes[0].name\nmust not set the field(s): volumes[0].hostPath"
    );
}

#[test]
fn a_mount_belongs_to_a_volume_and_a_path_to_one_mount() {
    let mut pod = with("volumes", json!([{"name": "v", "emptyDir": {}}]));
    pod["containers"][0]["volumeMounts"] = json!([
        {"name": "v", "mountPath": "/m"},
        {"name": "v", "mountPath": "/m/."},
        {"name": "w", "mountPath": "relative", "readOnly": true},
    ]);
    assert_eq!(
        errors(&pod),
        "invalid value: \"/m/.\" must be unique: containers[0].volumeMounts[1].mountPath\n\
         invalid value: relative: containers[0].volumeMounts[2].mountPath\n\
         volumeMount has no matching volume: containers[0].volumeMounts[2].name"
    );
}

#[test]
fn a_secure_cluster_does_not_warn() {
    let pod: PodSpec = serde_json::from_value(with("containers", json!([{"name": "a", "image": "ab"}]))).unwrap();
    let warnings = |features| {
        let context = Context {
            settings: &settings(features),
            occasion: Occasion::Create { user: "u" },
        };
        validate(&pod, &context).warnings().len()
    };
    assert_eq!(warnings(&[]), 1);
    assert_eq!(warnings(&[("secure-pod-defaults", "AllowRootBounded")]), 0);
}

#[test]
fn an_init_container_has_no_name_of_the_others() {
    let init = [("kubernetes.podspec-init-containers", "enabled")];
    let named = |names: &[&str]| -> Value {
        let containers = names
            .iter()
            .map(|name| json!({"name": name, "image": "example.com/app"}));
        containers.collect()
    };
    let errors = |names: &[&str]| errors_with(&with("initContainers", named(names)), &init);
    assert_eq!(errors(&["b", "c"]), "");
    assert_eq!(errors(&["a"]), "duplicate container name \"a\": containers[0].name");
    // As Knative (`validateInitContainers` in pkg/apis/serving/k8s_validation.go): these are a matter of the pod's.
    assert_eq!(errors(&["b", "b"]), "");
}
