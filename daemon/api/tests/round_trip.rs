// SPDX-License-Identifier: Apache-2.0
//! Schemas and types agree: whatever a schema admits, the types read, and they write every field of it again.
//!
//! Mechanism: objects are drawn from the schemas in `api::crd` themselves; values are such that nothing of them vanishes.

#![expect(
    clippy::expect_used,
    reason = "in tests `expect` is how a test fails, in what they call too"
)]

use std::collections::BTreeSet;

use api::certificate::Certificate;
use api::cluster_domain_claim::ClusterDomainClaim;
use api::configuration::Configuration;
use api::crd;
use api::domain_mapping::DomainMapping;
use api::image::Image;
use api::ingress::Ingress;
use api::json::written;
use api::kind::Kind;
use api::metric::Metric;
use api::pod_autoscaler::PodAutoscaler;
use api::revision::Revision;
use api::route::Route;
use api::serverless_service::ServerlessService;
use api::service::Service;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// Times, which a schema takes for any text.
const TIMES: [&str; 2] = ["lastTransitionTime", "notAfter"];

/// Values that a schema admits; none for what it keeps without knowing it.
fn drawn(name: &str, schema: &Value) -> Option<BoxedStrategy<Value>> {
    if schema["x-kubernetes-int-or-string"] == true {
        let is_port = schema["pattern"].is_null();
        return Some(if is_port {
            (1..65_535_i32).prop_map(Value::from).boxed()
        } else {
            (1..1000_i32).prop_map(|millis| format!("{millis}m").into()).boxed()
        });
    }
    match schema["type"].as_str()? {
        "string" if TIMES.contains(&name) => Some(Just(json!("2026-01-01T00:00:00Z")).boxed()),
        "string" if name == "status" => Some(Just(json!("True")).boxed()),
        "string" if name == "severity" => Some(Just(json!("Info")).boxed()),
        "string" => Some("[a-z]{1,5}".prop_map(Value::from).boxed()),
        "boolean" => Some(Just(json!(true)).boxed()),
        "integer" => Some((1..1000_i32).prop_map(Value::from).boxed()),
        "array" => {
            let items = drawn(name, &schema["items"])?;
            Some(prop::collection::vec(items, 1..3).prop_map(Value::from).boxed())
        }
        _ if schema["additionalProperties"].is_object() => {
            let values = drawn(name, &schema["additionalProperties"])?;
            let map = prop::collection::btree_map("[a-z]{1,5}", values, 1..3);
            Some(
                map.prop_map(|map| map.into_iter().collect::<Map<_, _>>().into())
                    .boxed(),
            )
        }
        _ => object(schema),
    }
}

fn object(schema: &Value) -> Option<BoxedStrategy<Value>> {
    let is_required = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|required| required.iter().any(|one| one == name))
    };
    let fields: Vec<_> = schema["properties"]
        .as_object()?
        .iter()
        .filter_map(|(name, schema)| {
            let owned = name.clone();
            let field = drawn(name, schema)?.prop_map(move |value| (owned.clone(), value));
            Some(if is_required(name) {
                field.prop_map(Some).boxed()
            } else {
                prop::option::weighted(0.7, field).boxed()
            })
        })
        .collect();
    let whole = fields.prop_map(|fields| fields.into_iter().flatten().collect::<Map<_, _>>().into());
    Some(whole.boxed())
}

/// Any object of a kind.
fn any_object(kind: Kind) -> BoxedStrategy<Value> {
    let definition = crd::definition(kind);
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let object = drawn("", schema).expect("every kind has a schema");
    object
        .prop_map(move |mut object| {
            object["apiVersion"] = kind.api_version().into();
            object["kind"] = kind.name().into();
            object["metadata"] = json!({"name": "n"});
            object
        })
        .boxed()
}

/// Without what is empty by itself.
fn without_empty(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, field)| (name, without_empty(field)))
            .filter(|(_, field)| !field.as_object().is_some_and(Map::is_empty))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(without_empty).collect(),
        leaf => leaf,
    }
}

/// What is written although nobody gave it.
fn is_filler(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.values().all(is_filler),
        leaf => [json!(""), json!("0"), json!(0), Value::Null].contains(leaf),
    }
}

/// The first difference, and where it is.
fn difference(path: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let names: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
            names.into_iter().find_map(|name| {
                let of = |fields: &Map<String, Value>| fields.get(name).cloned().unwrap_or_default();
                difference(&format!("{path}.{name}"), &of(expected), &of(found))
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => expected
            .iter()
            .zip(found)
            .find_map(|(expected, found)| difference(&format!("{path}[]"), expected, found)),
        (Value::Null, filler) if is_filler(filler) => None,
        _ => (expected != found).then(|| format!("{path}: expected {expected}, found {found}")),
    }
}

fn again<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    let object: T = serde_json::from_value(object.clone()).expect("the schema admits it");
    written(&object).expect("it is JSON")
}

fn check(kind: Kind, again: fn(&Value) -> Value) {
    proptest!(ProptestConfig::with_cases(32), |(object in any_object(kind))| {
        let once = again(&object);
        prop_assert_eq!(difference("", &without_empty(object), &without_empty(once.clone())), None);
        prop_assert_eq!(difference("", &once, &again(&once)), None);
    });
}

#[test]
fn the_types_read_what_the_schemas_admit_and_write_it_again() {
    for kind in Kind::ALL {
        check(
            kind,
            match kind {
                Kind::Service => again::<Service>,
                Kind::Configuration => again::<Configuration>,
                Kind::Revision => again::<Revision>,
                Kind::Route => again::<Route>,
                Kind::DomainMapping => again::<DomainMapping>,
                Kind::PodAutoscaler => again::<PodAutoscaler>,
                Kind::Metric => again::<Metric>,
                Kind::Ingress => again::<Ingress>,
                Kind::ServerlessService => again::<ServerlessService>,
                Kind::Certificate => again::<Certificate>,
                Kind::ClusterDomainClaim => again::<ClusterDomainClaim>,
                Kind::Image => again::<Image>,
            },
        );
    }
}
