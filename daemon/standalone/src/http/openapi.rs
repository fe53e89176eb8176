// SPDX-License-Identifier: Apache-2.0
//! OpenAPI documents: as much as kubectl needs to validate, and the schemas that our definitions have.
//!
//! Depends on: resource.

use serde_json::{Map, Value, json};

use crate::resource::{self, Resource};

/// The document at a path, if it is one of OpenAPI.
pub(super) fn document(path: &str) -> Option<Value> {
    if path == "/openapi/v3" {
        let groups: Map<String, Value> = resource::all()
            .iter()
            .map(|resource| {
                let place = place(resource);
                let url = format!("/openapi/v3/{place}");
                (place, json!({"serverRelativeURL": url}))
            })
            .collect();
        return Some(json!({"paths": groups}));
    }
    let wanted = path.strip_prefix("/openapi/v3/")?;
    let found: Vec<&Resource> = resource::all().iter().filter(|one| place(one) == wanted).collect();
    found.first()?;
    let paths: Map<String, Value> = found.iter().map(|resource| of_path(resource)).collect();
    let schemas: Map<String, Value> = found.iter().map(|resource| of_schema(resource)).collect();
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "sluice standalone", "version": "v1"},
        "paths": paths, "components": {"schemas": schemas},
    }))
}

fn place(resource: &Resource) -> String {
    let root = if resource.group.is_empty() { "api" } else { "apis" };
    format!("{root}/{}", resource.api_version())
}

fn named(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

/// What kubectl looks for: that a patch takes `fieldValidation`.
fn of_path(resource: &Resource) -> (String, Value) {
    let space = if resource.namespaced {
        "namespaces/{namespace}/"
    } else {
        ""
    };
    let path = format!("/{}/{space}{}/{{name}}", place(resource), resource.plural);
    let takes = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let patch = json!({
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": named(resource),
        "parameters": [takes("dryRun"), takes("fieldManager"), takes("fieldValidation"), takes("force")],
        "responses": {"200": {"description": "OK"}},
    });
    (path, json!({"patch": patch}))
}

fn of_schema(resource: &Resource) -> (String, Value) {
    let mut schema = resource.schema.clone().unwrap_or_else(|| {
        json!({
            "description": "This server keeps objects of this kind as they are.",
            "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        })
    });
    schema["x-kubernetes-group-version-kind"] = json!([named(resource)]);
    let group: Vec<&str> = resource.group.split('.').rev().collect();
    (
        format!("{}.{}.{}", group.join("."), resource.version, resource.kind),
        schema,
    )
}
