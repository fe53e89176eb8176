// SPDX-License-Identifier: Apache-2.0
//! What a schema drops, fills in and refuses.

use api::{crd, kind::Kind};
use serde_json::{Value, json};

use super::Schema;

fn schema() -> Schema {
    Schema::read(&json!({"type": "object", "properties": {
        "metadata": {"type": "object"},
        "spec": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"},
            "count": {"type": "integer", "format": "int32"},
            "at": {"type": "string", "format": "date-time"},
            "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "protocol": {"type": "string", "default": "TCP"},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "env": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {
                    "name": {"type": "string"}, "value": {"type": "string", "default": ""},
                }},
            },
        }},
    }}))
}

/// What is wrong with a spec, as `field: message`.
fn wrong(spec: Value, old: Option<Value>) -> Vec<String> {
    let old = old.map(|spec| json!({"spec": spec}));
    let causes = schema().judge(&json!({"spec": spec}), old.as_ref());
    causes
        .iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect()
}

#[test]
fn unknown_fields_go_and_defaults_come() {
    let mut object = json!({"metadata": {"any": null}, "more": 1, "spec": {
        "name": null, "odd": {"x": 1}, "open": {"x": 1}, "labels": {"a": "b", "c": null}, "env": [{"name": "A", "odd": 1}],
    }});
    assert_eq!(schema().fit(&mut object), ["more", "spec.env[0].odd", "spec.odd"]);
    let fitted = json!({"metadata": {"any": null}, "spec": {
        "protocol": "TCP", "open": {"x": 1}, "labels": {"a": "b"}, "env": [{"name": "A", "value": ""}],
    }});
    assert_eq!(object, fitted);
    assert!(schema().fit(&mut object).is_empty());
    assert_eq!(object, fitted);
}

#[test]
fn what_is_wrong_is_told_by_field() {
    for (spec, told) in [
        (json!({"name": "n", "count": 1.0, "port": "http"}), vec![]),
        (json!({}), vec!["spec.name: Required value"]),
        (
            json!({"name": 5}),
            vec!["spec.name: Invalid value: \"integer\": spec.name in body must be of type string: \"integer\""],
        ),
        (
            json!({"name": "n", "count": "5"}),
            vec!["spec.count: Invalid value: \"string\": spec.count in body must be of type integer: \"string\""],
        ),
        (
            json!({"name": "n", "port": []}),
            vec!["spec.port: Invalid value: \"array\": spec.port in body must be of type integer,string: \"array\""],
        ),
        (
            json!({"name": "n", "at": "soon"}),
            vec!["spec.at: Invalid value: \"soon\": spec.at in body must be of type date-time: \"soon\""],
        ),
        (
            json!({"name": "n", "labels": {"a": 1}}),
            vec![
                "spec.labels.a: Invalid value: \"integer\": spec.labels.a in body must be of type string: \"integer\"",
            ],
        ),
        (
            json!({"name": "n", "env": [{"name": "A"}, {"name": "A"}, {"name": "B"}, {"name": "A"}, {}]}),
            vec![
                "spec.env[4].name: Required value",
                "spec.env[1]: Duplicate value: {\"name\":\"A\"}",
            ],
        ),
    ] {
        assert_eq!(wrong(spec.clone(), None), told, "{spec}");
    }
}

#[test]
fn what_an_update_leaves_as_it_was_is_not_judged() {
    let old = json!({"env": [{"name": "A", "value": 1}, {"name": "B", "value": "x"}], "count": "5"});
    assert_eq!(wrong(old.clone(), Some(old.clone())), Vec::<String>::new());
    let mut next = old.clone();
    next["name"] = "n".into();
    next["env"] = json!([{"name": "B", "value": 2}, {"name": "A", "value": 1}]);
    let told = wrong(next, Some(old));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("spec.env[0].value: "), "{told:?}");
}

#[test]
fn quantities_are_told_from_other_texts() {
    let quantity = Schema::read(&json!({"x-kubernetes-int-or-string": true, "pattern": "p"}));
    let schema = Schema {
        properties: [("q".to_owned(), quantity)].into(),
        ..Schema::default()
    };
    for (text, is_one) in [
        ("1", true),
        ("-0.5", true),
        (".5Gi", true),
        ("5.", true),
        ("1e3", true),
        ("1E", true),
        ("+1e-.5", true),
        ("100m", true),
        ("", false),
        (".", false),
        ("1 Gi", false),
        ("1mi", false),
        ("1e", false),
        ("--1", false),
    ] {
        let causes = schema.judge(&json!({"q": text}), None);
        assert_eq!(causes.is_empty(), is_one, "{text:?}: {causes:?}");
    }
}

/// Every word that a schema may have, and every one within.
fn check_words(schema: &Value, place: &str) {
    const KNOWN: &[&str] = &[
        "additionalProperties",
        "anyOf",
        "default",
        "description",
        "format",
        "items",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
    ];
    for (word, said) in schema.as_object().unwrap() {
        assert!(KNOWN.contains(&word.as_str()), "{place}: {word} is not known to Schema");
        let taken = match word.as_str() {
            "format" => matches!(said.as_str(), Some("int32" | "int64" | "date-time")),
            "pattern" => said.as_str().unwrap().contains("[numkMGTPE]"),
            "anyOf" => schema["x-kubernetes-int-or-string"] == true,
            "x-kubernetes-list-type" => said == "atomic" || said == "map",
            _ => true,
        };
        assert!(taken, "{place}: {word} {said} is not known to Schema");
    }
    for (name, within) in schema["properties"].as_object().into_iter().flatten() {
        check_words(within, &format!("{place}.{name}"));
    }
    for within in ["items", "additionalProperties"] {
        if schema[within].is_object() {
            check_words(&schema[within], &format!("{place}.{within}"));
        }
    }
}

#[test]
fn every_word_of_the_definitions_is_known() {
    for kind in Kind::ALL {
        let definition = crd::definition(kind);
        check_words(
            &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            kind.name(),
        );
    }
}
