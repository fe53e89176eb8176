// SPDX-License-Identifier: Apache-2.0
//! Probes and hooks of containers.
//!
//! Depends on: nothing.

use serde_json::Value;

use super::set;

/// A probe: a number of 0 is absent, as in the API server.
pub(super) fn fill(probe: &mut Value) {
    http(probe);
    if let Some(grpc) = probe.get_mut("grpc").and_then(Value::as_object_mut) {
        set(grpc, "service", "");
    }
    let Some(fields) = probe.as_object_mut() else {
        return;
    };
    for (name, value) in [
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ] {
        if fields.get(name).is_some_and(|number| *number == 0) {
            fields.remove(name);
        }
        set(fields, name, value);
    }
}

/// What asks by HTTP.
pub(super) fn http(asker: &mut Value) {
    if let Some(http) = asker.get_mut("httpGet").and_then(Value::as_object_mut) {
        set(http, "path", "/");
        set(http, "scheme", "HTTP");
    }
}
