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

/// The second version of OpenAPI, which kubectl before 1.27 asks for: it describes no kind, so such a kubectl checks
/// nothing itself, as with kinds that it does not know, and what is wrong is said by the server.
pub(super) fn second(path: &str, accept: Option<&str>) -> Option<Second> {
    (path == "/openapi/v2").then(|| match accept.is_some_and(|accept| accept.contains(SECOND_PROTOBUF)) {
        true => Second::Protobuf(SECOND),
        false => Second::Json(json!({
            "swagger": "2.0", "info": {"title": "sluice standalone", "version": "v1"}, "paths": {},
        })),
    })
}

/// A document of the second version.
pub(super) enum Second {
    Json(Value),
    Protobuf(&'static [u8]),
}

/// What kubectl calls it in protobuf.
const SECOND_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// What it is answered as: an `@` may not stand in a media type.
pub(super) const SECOND_ANSWERED: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// The same as in JSON: `swagger` (1), `info` (2) with `title` (1) and `version` (2), `paths` (8).
const SECOND: &[u8] = b"\x0a\x032.0\x12\x17\x0a\x11sluice standalone\x12\x02v1\x42\x00";

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
    let mut schema = resource.written_schema.clone().unwrap_or_else(|| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_second_version_say_the_same() {
        let Some(Second::Json(document)) = second("/openapi/v2", Some("application/json")) else {
            panic!("JSON was asked for");
        };
        let wanted = format!("{SECOND_PROTOBUF}, application/json");
        let Some(Second::Protobuf(bytes)) = second("/openapi/v2", Some(&wanted)) else {
            panic!("protobuf was asked for");
        };
        let texts = [
            &document["swagger"],
            &document["info"]["title"],
            &document["info"]["version"],
        ];
        for text in texts.map(|text| text.as_str().unwrap()) {
            let length = u8::try_from(text.len()).unwrap();
            let field = [&[length], text.as_bytes()].concat();
            assert!(
                bytes.windows(field.len()).any(|part| part == field),
                "{text} is missing"
            );
        }
        let info = usize::from(bytes[6]);
        assert_eq!(bytes[7 + info..], [0x42, 0], "the length of `info` is wrong");
        assert!(second("/openapi/v3", None).is_none());
    }
}
