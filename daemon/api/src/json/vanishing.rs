// SPDX-License-Identifier: Apache-2.0
//! Which empty values of Kubernetes' own types are not written.
//!
//! Mechanism: an empty list or map vanishes everywhere (Knative writes a few of them as `null`, which says the same); an empty text, a zero or a `false` only where Kubernetes
//! has a plain value that it omits, which is a matter of the field and of what it stands in.
//! Invariants: keys of maps that users fill are no fields and stay.
//! Depends on: nothing.

use serde_json::{Map, Value};

/// Fields whose keys are data.
const DATA: [&str; 11] = [
    "annotations",
    "appendHeaders",
    "headers",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "overhead",
    "requests",
    "volumeAttributes",
    "data",
];
/// Lists that are written even when empty.
const LASTING_LISTS: [&str; 6] = [
    "containers",
    "dnsNames",
    "nodeSelectorTerms",
    "paths",
    "sources",
    "splits",
];
/// Probes: their numbers vanish, while `timeoutSeconds` of a Revision does not.
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
/// What refers to something by a `name` that vanishes.
const NAMED_REFERENCES: [&str; 10] = [
    "configMap",
    "configMapKeyRef",
    "configMapRef",
    "imagePullSecrets",
    "metadata",
    "nodePublishSecretRef",
    "ports",
    "secret",
    "secretKeyRef",
    "secretRef",
];
/// What names an object by kind, name and the like, all of which vanish.
const OBJECT_REFERENCES: [&str; 2] = ["objectRef", "scaleTargetRef"];
/// Scalars that vanish wherever they stand in a pod.
const SCALARS: [&str; 34] = [
    "audience",
    "containerName",
    "dnsPolicy",
    "effect",
    "generateName",
    "host",
    "hostIP",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "hostname",
    "image",
    "imagePullPolicy",
    "medium",
    "nodeName",
    "prefix",
    "priorityClassName",
    "protocol",
    "resourceVersion",
    "schedulerName",
    "scheme",
    "secretName",
    "serviceAccount",
    "serviceAccountName",
    "stdin",
    "stdinOnce",
    "subPath",
    "subPathExpr",
    "subdomain",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "workingDir",
];

/// Removes what Knative would not write.
pub(super) fn drop_empty(object: &mut Value) {
    // The kinds' own specs leave out what is empty by themselves; the fields of the top are no pod's.
    if let Value::Object(fields) = object {
        for (key, value) in fields.iter_mut() {
            clean(key, value);
        }
    }
}

/// Puts empty lists back that are written even when empty and stand in `original`.
pub(super) fn restore_lists(original: &Value, written: &mut Value) {
    match (original, written) {
        (Value::Array(originals), Value::Array(items)) => {
            for (original, item) in originals.iter().zip(items) {
                restore_lists(original, item);
            }
        }
        (Value::Object(originals), Value::Object(fields)) => {
            for (key, original) in originals {
                let is_empty_list = original.as_array().is_some_and(Vec::is_empty);
                if is_empty_list && LASTING_LISTS.contains(&key.as_str()) {
                    fields.entry(key).or_insert_with(|| original.clone());
                } else if let Some(field) = fields.get_mut(key) {
                    restore_lists(original, field);
                }
            }
        }
        _ => {}
    }
}

fn clean(parent: &str, value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| clean(parent, item)),
        Value::Object(_) if DATA.contains(&parent) => {}
        Value::Object(fields) => clean_fields(parent, fields),
        _ => {}
    }
}

fn clean_fields(parent: &str, fields: &mut Map<String, Value>) {
    if parent == "resourceFieldRef" {
        fields.entry("divisor").or_insert_with(|| Value::String("0".to_owned()));
    }
    for (key, value) in fields.iter_mut() {
        clean(key, value);
    }
    fields.retain(|key, value| !vanishes(parent, key, value));
}

fn vanishes(parent: &str, key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty() && DATA.contains(&key),
        Value::Bool(true) => false,
        Value::Bool(false) => is_plain(parent, key),
        Value::Number(number) => number.as_i64() == Some(0) && is_plain(parent, key),
        Value::String(text) => text.is_empty() && is_plain(parent, key),
    }
}

/// Whether the field is a plain value, omitted when empty.
fn is_plain(parent: &str, key: &str) -> bool {
    match key {
        "failureThreshold" | "initialDelaySeconds" | "periodSeconds" | "successThreshold" | "timeoutSeconds" => {
            PROBES.contains(&parent)
        }
        "name" => NAMED_REFERENCES.contains(&parent) || OBJECT_REFERENCES.contains(&parent),
        "value" => matches!(parent, "env" | "tolerations"),
        "key" | "operator" => parent == "tolerations",
        "path" => parent == "httpGet",
        "readOnly" => parent != "csi",
        "restartPolicy" => parent == "spec",
        // A certificate's and a domain's secret are required and stay.
        "secretName" => matches!(parent, "secret" | "azureFile"),
        "namespace" | "uid" => parent == "metadata" || OBJECT_REFERENCES.contains(&parent),
        "kind" | "apiVersion" | "fieldPath" => {
            OBJECT_REFERENCES.contains(&parent) || (key, parent) == ("apiVersion", "fieldRef")
        }
        // An Image's own image is required and stays.
        "image" => matches!(parent, "containers" | "initContainers"),
        _ => SCALARS.contains(&key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cleaned(mut value: Value) -> Value {
        drop_empty(&mut value);
        value
    }

    #[test]
    fn plain_values_vanish_and_pointers_stay() {
        let object = json!({"spec": {
            "hostNetwork": false,
            "enableServiceLinks": false,
            "timeoutSeconds": 0,
            "containers": [{
                "name": "", "image": "", "args": [],
                "env": [{"name": "", "value": ""}],
                "ports": [{"name": "", "containerPort": 0}],
                "readinessProbe": {"timeoutSeconds": 0, "tcpSocket": {"port": 0}},
                "securityContext": {"runAsUser": 0},
            }],
        }});
        let expected = json!({"spec": {
            "enableServiceLinks": false,
            "timeoutSeconds": 0,
            "containers": [{
                "name": "",
                "env": [{"name": ""}],
                "ports": [{"containerPort": 0}],
                "readinessProbe": {"tcpSocket": {"port": 0}},
                "securityContext": {"runAsUser": 0},
            }],
        }});
        assert_eq!(cleaned(object), expected);
    }

    #[test]
    fn a_reference_without_a_name_has_none() {
        let object = json!({"spec": {"volumes": [{"csi": {"readOnly": false, "nodePublishSecretRef": {"name": ""}}}]}});
        assert_eq!(
            cleaned(object)["spec"]["volumes"][0]["csi"],
            json!({"readOnly": false, "nodePublishSecretRef": {}})
        );
    }

    #[test]
    fn keys_that_users_chose_stay() {
        let object = json!({"metadata": {"annotations": {"host": "", "name": ""}, "labels": {}}});
        assert_eq!(
            cleaned(object),
            json!({"metadata": {"annotations": {"host": "", "name": ""}}})
        );
    }

    #[test]
    fn an_empty_list_of_containers_comes_back() {
        let mut written = json!({"spec": {}});
        restore_lists(&json!({"spec": {"containers": [], "volumes": []}}), &mut written);
        assert_eq!(written, json!({"spec": {"containers": []}}));
    }

    #[test]
    fn a_divisor_is_always_written() {
        let object = json!({"spec": {"env": [{"valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]}});
        assert_eq!(
            cleaned(object)["spec"]["env"][0]["valueFrom"]["resourceFieldRef"]["divisor"],
            "0"
        );
    }
}
