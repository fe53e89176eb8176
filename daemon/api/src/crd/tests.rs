// SPDX-License-Identifier: Apache-2.0
//! The definitions stand in deploy/crds, and their schemas know every field of our types.

use std::path::Path;

use super::*;

#[test]
fn the_files_in_deploy_are_what_the_code_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/crds");
    for kind in Kind::ALL {
        let file = folder.join(file_name(kind));
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == text(kind),
            "{} differs: run `cargo xtask crds`",
            file.display()
        );
    }
}

/// Every part of a schema has a type or says that it has none: what the API server calls structural.
fn check_structural(path: &str, schema: &Value) {
    let has_type = schema.get("type").is_some() || schema.get("x-kubernetes-int-or-string").is_some();
    assert!(has_type, "{path} has no type");
    if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
        for (name, field) in fields {
            check_structural(&format!("{path}.{name}"), field);
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get(inner) {
            check_structural(&format!("{path}[]"), schema);
        }
    }
    let properties = schema.get("properties");
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        assert!(
            properties.is_some_and(|fields| fields.get(name).is_some()),
            "{path} requires {name}, which it does not have"
        );
    }
}

#[test]
fn every_schema_is_structural_and_has_what_it_requires() {
    for kind in Kind::ALL {
        check_structural(kind.name(), &schema(kind));
    }
}

#[test]
fn only_the_claim_has_neither_status_nor_columns() {
    for kind in Kind::ALL {
        let version = version(kind);
        let is_bare = version.get("subresources").is_none() && version.get("additionalPrinterColumns").is_none();
        assert_eq!(is_bare, kind == Kind::ClusterDomainClaim, "{}", kind.name());
    }
}
