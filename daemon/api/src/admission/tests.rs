// SPDX-License-Identifier: Apache-2.0
use super::*;
use proptest::prelude::*;
use serde_json::json;

fn create(kind: Kind, object: &Value) -> Outcome {
    let request = Request {
        kind,
        operation: Operation::Create,
        sub_resource: "",
        user: "alice",
        object,
        old_object: &Value::Null,
    };
    review(&request, &Settings::default())
}

fn service(container: &Value) -> Value {
    json!({
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "hello", "namespace": "default"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    })
}

fn error(outcome: &Outcome) -> String {
    outcome.refusal.as_ref().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn an_ingress_rule_without_http_is_refused_where_knative_panics() {
    let object = json!({"metadata": {"name": "a", "namespace": "b"}, "spec": {"rules": [{"hosts": ["x"]}]}});
    let outcome = create(Kind::Ingress, &object);
    assert_eq!(
        error(&outcome),
        "validation failed: missing field(s): spec.rules[0].http"
    );
}

#[test]
fn a_wrong_type_is_refused_before_defaulting() {
    let outcome = create(Kind::Service, &service(&json!({"image": 5})));
    assert_eq!(
        error(&outcome),
        "mutation failed: cannot decode incoming new object: json: cannot unmarshal number into Go struct field \
         Container.spec.template.spec.containers.image of type string"
    );
    assert_eq!(outcome.defaulted, None);
}

#[test]
fn keys_are_found_whatever_their_case() {
    let outcome = create(Kind::Service, &service(&json!({"IMAGE": "example.com/app"})));
    assert!(outcome.is_allowed(), "{}", error(&outcome));
    let defaulted = outcome.defaulted.unwrap();
    assert_eq!(
        defaulted["spec"]["template"]["spec"]["containers"][0]["image"],
        "example.com/app"
    );
}

#[test]
fn the_patch_makes_the_defaulted_object() {
    let mut object = service(&json!({"image": "example.com/app", "unknown": 1, "command": []}));
    let outcome = create(Kind::Service, &object);
    for operation in &outcome.patch {
        let path = operation["path"].as_str().unwrap();
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let key = key.replace("~1", "/").replace("~0", "~");
        match operation["op"].as_str().unwrap() {
            "remove" => drop(parent.remove(&key).unwrap()),
            _ => drop(parent.insert(key, operation["value"].clone())),
        }
    }
    assert_eq!(Some(object), outcome.defaulted);
}

/// JSON made of the words of Knative's objects, so that it gets past the first struct.
fn json_of_words() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-2_i64..200).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9.:/@ _-]{0,12}".prop_map(Value::from),
        Just(json!("queue-proxy")),
        Just(json!("1.5Gi")),
    ];
    let word = prop::sample::select(vec![
        "metadata",
        "spec",
        "template",
        "containers",
        "initContainers",
        "traffic",
        "percent",
        "name",
        "image",
        "ports",
        "containerPort",
        "volumes",
        "volumeMounts",
        "mountPath",
        "env",
        "readinessProbe",
        "livenessProbe",
        "httpGet",
        "grpc",
        "port",
        "securityContext",
        "resources",
        "limits",
        "cpu",
        "rules",
        "http",
        "paths",
        "splits",
        "tls",
        "annotations",
        "labels",
        "autoscaling.knative.dev/window",
        "autoscaling.knative.dev/min-scale",
        "ref",
        "status",
        "creationTimestamp",
        "generateName",
        "ownerReferences",
        "projected",
        "sources",
        "configMap",
        "items",
        "emptyDir",
    ]);
    leaf.prop_recursive(8, 64, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(word.clone(), inner, 0..5).prop_map(|map| map
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Value>()),
        ]
    })
}

fn container() -> impl Strategy<Value = Value> {
    let field = prop_oneof![
        (0_u8..3).prop_map(|kind| (
            "readinessProbe",
            match kind {
                0 => json!({"grpc": {"port": 1}}),
                1 => json!({"periodSeconds": 5}),
                _ => json!({}),
            }
        )),
        (-1_i64..70000).prop_map(|port| ("ports", json!([{"containerPort": port}]))),
        "[0-9]{1,4}(m|Ki|Gi|e3|)".prop_map(|cpu| ("resources", json!({"limits": {"cpu": cpu}, "requests": {}}))),
        Just((
            "env",
            json!([{"name": "A", "value": ""}, {"name": "B", "valueFrom": {}}])
        )),
        Just(("securityContext", json!({"capabilities": {}, "runAsNonRoot": false}))),
        Just(("command", json!([]))),
    ];
    prop::collection::vec(field, 0..4).prop_map(|fields| {
        let mut container = json!({"image": "example.com/app"});
        for (key, value) in fields {
            container[key] = value;
        }
        container
    })
}

proptest! {
    #[test]
    fn no_json_panics(kind in prop::sample::select(Kind::ALL.to_vec()), object in json_of_words(), old in json_of_words()) {
        for operation in [Operation::Create, Operation::Update, Operation::Delete] {
            let request = Request { kind, operation, sub_resource: "", user: "", object: &object, old_object: &old };
            let outcome = review(&request, &Settings::default());
            prop_assert!(outcome.is_allowed() || !error(&outcome).is_empty());
        }
    }

    #[test]
    fn defaulting_twice_is_defaulting_once(containers in prop::collection::vec(container(), 1..3)) {
        let mut object = service(&Value::Null);
        object["spec"]["template"]["spec"]["containers"] = containers.into();
        let once = create(Kind::Service, &object);
        let defaulted = once.defaulted.unwrap();
        let twice = create(Kind::Service, &defaulted);
        prop_assert_eq!(twice.defaulted.as_ref(), Some(&defaulted));
        prop_assert!(twice.patch.is_empty());
        prop_assert_eq!(once.refusal, twice.refusal);
        prop_assert_eq!(once.warnings, twice.warnings);
    }
}
