// SPDX-License-Identifier: Apache-2.0
//! Pods and templates of pods.
//!
//! Depends on: probe, volume.

use serde_json::{Value, json};

use super::{each, inner, probe, set, volume};

/// A pod: what its template gets, and what only admission of pods adds.
pub(super) fn fill(pod: &mut Value) {
    let Some(spec) = pod.get_mut("spec").filter(|spec| spec.is_object()) else {
        return;
    };
    for list in ["containers", "initContainers"] {
        for container in each(spec, list) {
            request_limits(container);
        }
    }
    let account = spec["serviceAccountName"].as_str().unwrap_or("default").to_owned();
    if let Some(fields) = spec.as_object_mut() {
        set(fields, "enableServiceLinks", true);
        set(fields, "serviceAccountName", account.clone());
        set(fields, "serviceAccount", account);
        set(fields, "priority", 0);
        set(fields, "preemptionPolicy", "PreemptLowerPriority");
        let stays =
            |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
        let tolerated = json!([
            stays("node.kubernetes.io/not-ready"),
            stays("node.kubernetes.io/unreachable")
        ]);
        set(fields, "tolerations", tolerated);
    }
    template(pod);
}

/// A template of pods, or a pod: both have a `spec`.
pub(super) fn template(template: &mut Value) {
    let Some(spec) = template.get_mut("spec").filter(|spec| spec.is_object()) else {
        return;
    };
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list).for_each(container);
    }
    each(spec, "volumes").for_each(volume::fill);
    if let Some(fields) = spec.as_object_mut() {
        set(fields, "restartPolicy", "Always");
        set(fields, "dnsPolicy", "ClusterFirst");
        set(fields, "schedulerName", "default-scheduler");
        set(fields, "terminationGracePeriodSeconds", 30);
        set(fields, "securityContext", json!({}));
    }
}

fn container(container: &mut Value) {
    each(container, "ports").for_each(|port| {
        if let Some(port) = port.as_object_mut() {
            set(port, "protocol", "TCP");
        }
    });
    for variable in each(container, "env") {
        if let Some(field) = variable
            .get_mut("valueFrom")
            .and_then(|source| source.get_mut("fieldRef"))
            .and_then(Value::as_object_mut)
        {
            set(field, "apiVersion", "v1");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(name).filter(|probe| probe.is_object()) {
            probe::fill(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook) = container.get_mut("lifecycle").and_then(|all| all.get_mut(hook)) {
            probe::http(hook);
        }
    }
    let policy = pull_policy(container["image"].as_str().unwrap_or_default());
    if let Some(fields) = container.as_object_mut() {
        set(fields, "imagePullPolicy", policy);
        set(fields, "resources", json!({}));
        set(fields, "terminationMessagePath", "/dev/termination-log");
        set(fields, "terminationMessagePolicy", "File");
    }
}

/// `Always` for what may change under its name: the tag `latest`, or none and no digest.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or_default();
    let is_fixed = name.contains('@') || name.split_once(':').is_some_and(|(_, tag)| tag != "latest");
    if is_fixed { "IfNotPresent" } else { "Always" }
}

fn request_limits(container: &mut Value) {
    let limits = container["resources"]["limits"].as_object().cloned();
    let Some(limits) = limits.filter(|limits| !limits.is_empty()) else {
        return;
    };
    if let Some(resources) = container.get_mut("resources") {
        let requests = inner(resources, "requests");
        for (name, limit) in limits {
            set(requests, &name, limit);
        }
    }
}

/// The class by which a node chooses whom to evict.
pub(super) fn quality(pod: &Value) -> &'static str {
    let lists = ["containers", "initContainers"].map(|list| pod["spec"][list].as_array());
    let containers: Vec<&Value> = lists.into_iter().flatten().flatten().collect();
    let asks = |container: &&Value, part: &str| {
        ["cpu", "memory"]
            .iter()
            .filter(|name| !container["resources"][part][**name].is_null())
            .count()
    };
    let is_guaranteed = |container: &&Value| {
        let (limits, requests) = (&container["resources"]["limits"], &container["resources"]["requests"]);
        let same = |name: &str| requests[name].is_null() || requests[name] == limits[name];
        asks(container, "limits") == 2 && same("cpu") && same("memory")
    };
    if containers
        .iter()
        .all(|one| asks(one, "limits") + asks(one, "requests") == 0)
    {
        "BestEffort"
    } else if containers.iter().all(is_guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
