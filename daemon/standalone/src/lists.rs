// SPDX-License-Identifier: Apache-2.0
//! What merges and how: which lists have items with keys, which values are replaced as a whole.
//!
//! Mechanism: Knative's kinds say so in their schemas; Kubernetes' own kinds in a table here. A place is the names of the
//! fields that lead there, without the items of lists.
//! Depends on: resource.

use serde_json::Value;

use crate::resource::Resource;

/// How a value merges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merging {
    /// An object field by field.
    Fields,
    /// As a whole.
    Atomic,
    /// A list whose items are its values.
    Set,
    /// A list whose items are told apart by these fields.
    Keyed(Vec<String>),
}

/// How the value at a place merges.
#[must_use]
pub fn merging(resource: &Resource, place: &[String], value: &Value) -> Merging {
    let names: Vec<&str> = place.iter().map(String::as_str).collect();
    let found = match (&resource.written_schema, names.first()) {
        (Some(schema), Some(first)) if *first != "metadata" => of_schema(schema, &names),
        _ => of_table(resource, &names),
    };
    match (value, found) {
        (Value::Object(_), Merging::Fields | Merging::Keyed(_) | Merging::Set) => Merging::Fields,
        (Value::Array(items), Merging::Keyed(keys)) if items.iter().all(Value::is_object) => Merging::Keyed(keys),
        (Value::Array(_), Merging::Set) => Merging::Set,
        _ => Merging::Atomic,
    }
}

fn of_schema(schema: &Value, place: &[&str]) -> Merging {
    let mut at = schema;
    for name in place {
        while !at["items"].is_null() {
            at = &at["items"];
        }
        let field = &at["properties"][name];
        at = if field.is_null() {
            &at["additionalProperties"]
        } else {
            field
        };
    }
    if at["x-kubernetes-map-type"] == "atomic" {
        return Merging::Atomic;
    }
    match at["x-kubernetes-list-type"].as_str() {
        Some("set") => Merging::Set,
        Some("map") => {
            let keys = at["x-kubernetes-list-map-keys"].as_array();
            let keys = keys.into_iter().flatten().filter_map(Value::as_str);
            Merging::Keyed(keys.map(str::to_owned).collect())
        }
        _ if at["type"] == "array" => Merging::Atomic,
        _ => Merging::Fields,
    }
}

/// Lists in a pod's spec and what tells their items apart.
const POD: &[(&[&str], &[&str])] = &[
    (&["containers"], &["name"]),
    (&["initContainers"], &["name"]),
    (&["ephemeralContainers"], &["name"]),
    (&["env"], &["name"]),
    (&["ports"], &["containerPort", "protocol"]),
    (&["volumeMounts"], &["mountPath"]),
    (&["volumeDevices"], &["devicePath"]),
    (&["resources", "claims"], &["name"]),
    (&["volumes"], &["name"]),
    (&["imagePullSecrets"], &["name"]),
    (&["hostAliases"], &["ip"]),
    (&["topologySpreadConstraints"], &["topologyKey", "whenUnsatisfiable"]),
    (&["resourceClaims"], &["name"]),
    (&["schedulingGates"], &["name"]),
];
/// Objects that are replaced as a whole, by the name of the field.
const WHOLE: &[&str] = &[
    "selector",
    "labelSelector",
    "nodeSelector",
    "configMapKeyRef",
    "secretKeyRef",
    "fieldRef",
    "resourceFieldRef",
    "targetRef",
];

fn of_table(resource: &Resource, place: &[&str]) -> Merging {
    let keyed = |keys: &[&str]| Merging::Keyed(keys.iter().map(|key| (*key).to_owned()).collect());
    match place {
        ["metadata", "ownerReferences"] => return keyed(&["uid"]),
        ["metadata", "finalizers"] | ["spec", "finalizers"] => return Merging::Set,
        ["status", "conditions"] => return keyed(&["type"]),
        ["status", "podIPs"] => return keyed(&["ip"]),
        _ => {}
    }
    let in_pod = match (resource.kind, place) {
        ("Deployment" | "ReplicaSet", ["spec", "template", "spec", rest @ ..]) | ("Pod", ["spec", rest @ ..]) => rest,
        ("Service", ["spec", "ports"]) => return keyed(&["port", "protocol"]),
        _ => &[],
    };
    let in_container = match in_pod {
        ["containers" | "initContainers" | "ephemeralContainers", rest @ ..] if !rest.is_empty() => rest,
        whole => whole,
    };
    if let Some((_, keys)) = POD.iter().find(|(path, _)| *path == in_container) {
        return keyed(keys);
    }
    if place.last().is_some_and(|last| WHOLE.contains(last)) {
        return Merging::Atomic;
    }
    Merging::Fields
}

/// What tells an item apart, with the values that a schema would fill in.
#[must_use]
pub fn key_of(keys: &[String], item: &Value) -> Vec<(String, Value)> {
    keys.iter()
        .map(|key| {
            let value = match &item[key.as_str()] {
                Value::Null if key == "protocol" => "TCP".into(),
                value => value.clone(),
            };
            (key.clone(), value)
        })
        .collect()
}
