// SPDX-License-Identifier: Apache-2.0
//! Which fields of each struct of a pod may be set: the table of control-plane spec 2.4.
//!
//! Mechanism: a list holds the fields that always may, and those that may while a feature is not `Disabled`; whatever
//! else is set is an error. What Kubernetes adds to a struct later is not allowed by that.
//! Depends on: field_error.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVarSource, PodSecurityContext, PodSpec, Probe, ResourceRequirements,
    SecurityContext, Volume, VolumeMount, VolumeProjection,
};
use logic::settings::{Features, Flag, SecurePodDefaults};
use serde::Serialize;
use serde_json::Value;

use crate::field_error::FieldErrors;

/// Which feature it is.
type Feature = fn(&Features) -> Flag;

/// The fields of one struct.
struct Allowed {
    always: &'static [&'static str],
    /// While the feature is not `Disabled`.
    gated: &'static [(&'static str, Feature)],
}

impl Allowed {
    const fn always(always: &'static [&'static str]) -> Self {
        Self { always, gated: &[] }
    }

    fn permits(&self, field: &str, features: &Features) -> bool {
        self.always.contains(&field)
            || self
                .gated
                .iter()
                .any(|(name, flag)| *name == field && flag(features).is_permitted())
    }

    /// The fields of `value` that are set and not allowed, nor by `also`.
    fn check(&self, value: &impl Serialize, features: &Features, also: &[&str]) -> FieldErrors {
        let fields = set_fields(value);
        FieldErrors::disallowed(
            fields
                .iter()
                .map(String::as_str)
                .filter(|field| !self.permits(field, features) && !also.contains(field)),
        )
    }
}

const POD: Allowed = Allowed {
    always: &[
        "serviceAccountName",
        "containers",
        "volumes",
        "imagePullSecrets",
        "enableServiceLinks",
    ],
    gated: &[
        ("affinity", |f| f.podspec_affinity),
        ("topologySpreadConstraints", |f| f.podspec_topologyspreadconstraints),
        ("hostAliases", |f| f.podspec_hostaliases),
        ("nodeSelector", |f| f.podspec_nodeselector),
        ("runtimeClassName", |f| f.podspec_runtimeclassname),
        ("tolerations", |f| f.podspec_tolerations),
        ("securityContext", |f| f.podspec_securitycontext),
        ("shareProcessNamespace", |f| f.podspec_shareprocessnamespace),
        ("hostIPC", |f| f.podspec_hostipc),
        ("hostPID", |f| f.podspec_hostpid),
        ("hostNetwork", |f| f.podspec_hostnetwork),
        ("priorityClassName", |f| f.podspec_priorityclassname),
        ("schedulerName", |f| f.podspec_schedulername),
        ("initContainers", |f| f.podspec_init_containers),
        ("dnsPolicy", |f| f.podspec_dnspolicy),
        ("dnsConfig", |f| f.podspec_dnsconfig),
    ],
};

const POD_SECURITY_CONTEXT: Allowed = Allowed {
    always: &[],
    gated: &[
        ("runAsUser", |f| f.podspec_securitycontext),
        ("runAsGroup", |f| f.podspec_securitycontext),
        ("runAsNonRoot", |f| f.podspec_securitycontext),
        ("fsGroup", |f| f.podspec_securitycontext),
        ("supplementalGroups", |f| f.podspec_securitycontext),
        ("seccompProfile", |f| f.podspec_securitycontext),
    ],
};

const CONTAINER: Allowed = Allowed::always(&[
    "name",
    "args",
    "command",
    "env",
    "workingDir",
    "envFrom",
    "image",
    "imagePullPolicy",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "ports",
    "resources",
    "securityContext",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "volumeMounts",
]);

const SECURITY_CONTEXT: Allowed = Allowed::always(&[
    "capabilities",
    "readOnlyRootFilesystem",
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "allowPrivilegeEscalation",
    "seccompProfile",
]);

const PORT: Allowed = Allowed::always(&["containerPort", "name", "protocol"]);

const ENV_VAR_SOURCE: Allowed = Allowed {
    always: &["configMapKeyRef", "secretKeyRef"],
    gated: &[
        ("fieldRef", |f| f.podspec_fieldref),
        ("resourceFieldRef", |f| f.podspec_fieldref),
    ],
};

const RESOURCES: Allowed = Allowed::always(&["limits", "requests"]);

const VOLUME_MOUNT: Allowed = Allowed {
    always: &["name", "readOnly", "mountPath", "subPath"],
    gated: &[("mountPropagation", |f| f.podspec_volumes_mount_propagation)],
};

const VOLUME: Allowed = Allowed {
    always: &["name", "secret", "configMap", "projected"],
    gated: &[
        ("emptyDir", |f| f.podspec_volumes_emptydir),
        ("persistentVolumeClaim", |f| f.podspec_persistent_volume_claim),
        ("hostPath", |f| f.podspec_volumes_hostpath),
        ("csi", |f| f.podspec_volumes_csi),
        ("ephemeral", |f| f.podspec_volumes_ephemeral),
        ("image", |f| f.podspec_volumes_image),
    ],
};

const PROJECTION: Allowed = Allowed::always(&["secret", "configMap", "serviceAccountToken", "downwardAPI"]);

const PROBE_HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];

/// Whether the cluster makes pods secure that do not say how.
pub(super) fn is_secure_by_default(features: &Features) -> bool {
    features.secure_pod_defaults != SecurePodDefaults::Disabled
}

pub(super) fn pod(pod: &PodSpec, features: &Features) -> FieldErrors {
    let mut also = Vec::new();
    if pod.automount_service_account_token == Some(false) {
        also.push("automountServiceAccountToken");
    }
    if is_secure_by_default(features) {
        also.push("securityContext");
    }
    POD.check(pod, features, &also)
}

pub(super) fn pod_security_context(context: &PodSecurityContext, features: &Features) -> FieldErrors {
    let is_usual_profile = context
        .seccomp_profile
        .as_ref()
        .is_some_and(|profile| matches!(profile.type_.as_str(), "RuntimeDefault" | "Unconfined"));
    let also: &[&str] = match is_secure_by_default(features) && is_usual_profile {
        true => &["seccompProfile"],
        false => &[],
    };
    POD_SECURITY_CONTEXT.check(context, features, also)
}

pub(super) fn container(container: &Container, features: &Features) -> FieldErrors {
    CONTAINER.check(container, features, &[])
}

pub(super) fn security_context(context: &SecurityContext, features: &Features) -> FieldErrors {
    let also: &[&str] = match context.privileged {
        Some(false) => &["privileged"],
        _ => &[],
    };
    SECURITY_CONTEXT.check(context, features, also)
}

pub(super) fn capabilities(capabilities: &Capabilities, features: &Features) -> FieldErrors {
    let added: Vec<_> = capabilities.add.iter().flatten().map(String::as_str).collect();
    let is_low_port = is_secure_by_default(features) && added == ["NET_BIND_SERVICE"];
    let also: &[&str] = match features.containerspec_addcapabilities.is_enabled() || is_low_port {
        true => &["add"],
        false => &[],
    };
    Allowed::always(&["drop"]).check(capabilities, features, also)
}

pub(super) fn port(port: &ContainerPort, features: &Features) -> FieldErrors {
    PORT.check(port, features, &[])
}

pub(super) fn env_var_source(source: &EnvVarSource, features: &Features) -> FieldErrors {
    ENV_VAR_SOURCE.check(source, features, &[])
}

pub(super) fn resources(resources: &ResourceRequirements, features: &Features) -> FieldErrors {
    RESOURCES.check(resources, features, &[])
}

pub(super) fn volume_mount(mount: &VolumeMount, features: &Features) -> FieldErrors {
    VOLUME_MOUNT.check(mount, features, &[])
}

pub(super) fn volume(volume: &Volume, features: &Features) -> FieldErrors {
    VOLUME.check(volume, features, &[])
}

pub(super) fn projection(projection: &VolumeProjection, features: &Features) -> FieldErrors {
    PROJECTION.check(projection, features, &[])
}

/// A probe where none may be: its handler is reported as the probe itself.
pub(super) fn no_probe(probe: &Probe) -> FieldErrors {
    let fields = set_fields(probe);
    FieldErrors::disallowed(
        fields
            .iter()
            .map(|field| match PROBE_HANDLERS.contains(&field.as_str()) {
                true => "",
                false => field.as_str(),
            }),
    )
}

/// The fields that have a value.
fn set_fields(value: &impl Serialize) -> Vec<String> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()))
            .map(|(name, _)| name)
            .collect(),
        _ => Vec::new(),
    }
}
