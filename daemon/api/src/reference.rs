// SPDX-License-Identifier: Apache-2.0
//! A reference to an object in the same namespace, and the protocol its pods speak: control-plane spec 2.3.
//!
//! Depends on: field_error, syntax.

use k8s_openapi::api::core::v1::ObjectReference;

use crate::field_error::FieldErrors;
use logic::syntax;

/// What is wrong with a reference that may only say version, kind and name.
#[must_use]
pub fn validate(reference: &ObjectReference) -> FieldErrors {
    let others = [
        ("fieldPath", &reference.field_path),
        ("namespace", &reference.namespace),
        ("resourceVersion", &reference.resource_version),
        ("uid", &reference.uid),
    ];
    let set = others
        .into_iter()
        .filter(|(_, value)| value.as_deref().is_some_and(|text| !text.is_empty()));
    let mut errors = FieldErrors::disallowed(set.map(|(field, _)| field));
    errors.add(required(&reference.api_version, "apiVersion", syntax::qualified_name));
    errors.add(required(&reference.kind, "kind", syntax::c_identifier));
    errors.add(required(&reference.name, "name", syntax::dns1123_label));
    errors
}

fn required(value: &Option<String>, field: &str, problems: fn(&str) -> Vec<String>) -> FieldErrors {
    let value = value.as_deref().unwrap_or_default();
    match problems(value) {
        _ if value.is_empty() => FieldErrors::missing([field]),
        problems if problems.is_empty() => FieldErrors::none(),
        problems => FieldErrors::invalid_value(problems.join(", "), field),
    }
}

/// What is wrong with a protocol; the path is the protocol's.
#[must_use]
pub fn protocol(protocol: &str) -> FieldErrors {
    match protocol {
        "h2c" | "http1" => FieldErrors::none(),
        "" => FieldErrors::missing([""]),
        other => FieldErrors::invalid_value(other, ""),
    }
}
