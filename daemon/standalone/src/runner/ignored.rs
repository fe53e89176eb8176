// SPDX-License-Identifier: Apache-2.0
//! What a pod's spec asks for and this runner does not do.
//!
//! Problem: whoever asks for a limit or for isolation and gets neither must hear of it.
//! Invariants: what only a scheduler, a registry or another operating system would look at is no promise, and not told of
//! (docs/pods.md); nor are limits that this machine lacks the cgroups for: the container's start tells of them.
//! Depends on: nothing.

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};

/// The paths of the fields, as `kubectl explain` has them.
pub(super) fn fields(spec: &PodSpec) -> Vec<String> {
    let mut found = of_pod(spec);
    let containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    found.extend(containers.flat_map(|container| {
        let of_one = of_container(container);
        of_one
            .into_iter()
            .map(|field| format!("containers[{}].{field}", container.name))
    }));
    found.extend(spec.volumes.iter().flatten().flat_map(of_volume));
    found
}

/// Those of the names whose fields are there.
fn named(fields: &[(&str, bool)]) -> Vec<String> {
    let there = fields.iter().filter(|(_, is_there)| *is_there);
    there.map(|(name, _)| (*name).to_owned()).collect()
}

fn of_pod(spec: &PodSpec) -> Vec<String> {
    let is_set = |flag: Option<bool>| flag == Some(true);
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let mut found = named(&[
        ("activeDeadlineSeconds", spec.active_deadline_seconds.is_some()),
        ("dnsConfig", spec.dns_config.is_some()),
        ("dnsPolicy", policy != "ClusterFirst"),
        ("hostIPC", is_set(spec.host_ipc)),
        ("hostNetwork", is_set(spec.host_network)),
        ("hostPID", is_set(spec.host_pid)),
        ("hostUsers", spec.host_users == Some(false)),
        ("runtimeClassName", spec.runtime_class_name.is_some()),
        ("setHostnameAsFQDN", is_set(spec.set_hostname_as_fqdn)),
        ("shareProcessNamespace", is_set(spec.share_process_namespace)),
    ]);
    if let Some(context) = &spec.security_context {
        found.extend(named(&[
            ("securityContext.appArmorProfile", context.app_armor_profile.is_some()),
            ("securityContext.seLinuxOptions", context.se_linux_options.is_some()),
            ("securityContext.seccompProfile", context.seccomp_profile.is_some()),
            (
                "securityContext.sysctls",
                context.sysctls.as_ref().is_some_and(|all| !all.is_empty()),
            ),
        ]));
    }
    found
}

fn of_container(container: &Container) -> Vec<String> {
    let lifecycle = container.lifecycle.as_ref();
    let mut found = named(&[
        (
            "lifecycle.postStart",
            lifecycle.is_some_and(|lifecycle| lifecycle.post_start.is_some()),
        ),
        (
            "lifecycle.stopSignal",
            lifecycle.is_some_and(|lifecycle| lifecycle.stop_signal.is_some()),
        ),
        ("restartPolicy", container.restart_policy.is_some()),
        ("stdin", container.stdin == Some(true)),
        ("tty", container.tty == Some(true)),
        (
            "volumeDevices",
            container.volume_devices.as_ref().is_some_and(|all| !all.is_empty()),
        ),
    ]);
    if let Some(context) = &container.security_context {
        let usual = |mount: &String| mount == "Default";
        found.extend(named(&[
            ("securityContext.appArmorProfile", context.app_armor_profile.is_some()),
            (
                "securityContext.procMount",
                !context.proc_mount.as_ref().is_none_or(usual),
            ),
            ("securityContext.seLinuxOptions", context.se_linux_options.is_some()),
            ("securityContext.seccompProfile", context.seccomp_profile.is_some()),
        ]));
    }
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|resources| resources.limits.as_ref());
    let others = limits.into_iter().flat_map(|limits| limits.keys());
    let others = others.filter(|name| !["cpu", "memory"].contains(&name.as_str()));
    found.extend(others.map(|name| format!("resources.limits[{name}]")));
    found
}

fn of_volume(volume: &Volume) -> Vec<String> {
    let Some(empty) = &volume.empty_dir else {
        return Vec::new();
    };
    let medium = empty.medium.as_deref().unwrap_or_default();
    let of_it = named(&[
        ("medium", !medium.is_empty()),
        ("sizeLimit", empty.size_limit.is_some()),
    ]);
    let named = of_it.into_iter();
    named
        .map(|field| format!("volumes[{}].emptyDir.{field}", volume.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(spec: Value) -> Vec<String> {
        fields(&serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn what_is_done_or_promises_nothing_is_not_told_of() {
        let usual = json!({
            "dnsPolicy": "ClusterFirst", "hostNetwork": false, "enableServiceLinks": false, "serviceAccountName": "default",
            "nodeSelector": {"a": "b"}, "securityContext": {"runAsUser": 1}, "restartPolicy": "Always",
            "containers": [{
                "name": "c", "terminationMessagePath": "/x",
                "resources": {"limits": {"cpu": "1", "memory": "1Mi"}, "requests": {"cpu": "1", "ephemeral-storage": "1Mi"}},
                "securityContext": {"readOnlyRootFilesystem": true, "procMount": "Default"},
                "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
            }],
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "m", "configMap": {"name": "m"}}],
        });
        assert_eq!(of(usual), [] as [&str; 0]);
    }

    #[test]
    fn what_is_not_done_is_named_by_its_path() {
        let asks = json!({
            "activeDeadlineSeconds": 5, "shareProcessNamespace": true, "dnsConfig": {"nameservers": ["1.1.1.1"]},
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [{"name": "i", "restartPolicy": "Always"}],
            "containers": [{
                "name": "c", "tty": true,
                "resources": {"limits": {"cpu": "1", "ephemeral-storage": "1Mi"}},
            }],
            "volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
        });
        let named = [
            "activeDeadlineSeconds",
            "dnsConfig",
            "shareProcessNamespace",
            "securityContext.seccompProfile",
            "containers[i].restartPolicy",
            "containers[c].tty",
            "containers[c].resources.limits[ephemeral-storage]",
            "volumes[v].emptyDir.medium",
            "volumes[v].emptyDir.sizeLimit",
        ];
        assert_eq!(of(asks), named);
    }
}
