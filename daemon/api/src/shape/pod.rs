// SPDX-License-Identifier: Apache-2.0
//! The tables of a pod, as Kubernetes' `core/v1` has them.
//!
//! Structs that no Knative object may hold are not looked into.
//! Depends on: its parent's constructors.

use super::{
    Field, Record, Shape, amount, amounts, any, flag, int32, int64, list, part, pointer, port, record, text, text_map,
    texts,
};

/// A pod.
pub(super) static POD_SPEC: Record = record(
    "PodSpec",
    &[
        list("volumes", &Shape::Record(&VOLUME)),
        list("initContainers", &Shape::Record(&CONTAINER)),
        list("containers", &Shape::Record(&CONTAINER)).always(),
        list("ephemeralContainers", &Shape::Any),
        text("restartPolicy"),
        int64("terminationGracePeriodSeconds").when_set(),
        int64("activeDeadlineSeconds").when_set(),
        text("dnsPolicy"),
        text_map("nodeSelector"),
        text("serviceAccountName"),
        text("serviceAccount"),
        flag("automountServiceAccountToken").when_set(),
        text("nodeName"),
        flag("hostNetwork"),
        flag("hostPID"),
        flag("hostIPC"),
        flag("shareProcessNamespace").when_set(),
        pointer("securityContext", &POD_SECURITY_CONTEXT),
        list("imagePullSecrets", &Shape::Record(&LOCAL_OBJECT_REFERENCE)),
        text("hostname"),
        text("subdomain"),
        any("affinity").when_set(),
        text("schedulerName"),
        list("tolerations", &Shape::Record(&TOLERATION)),
        list("hostAliases", &Shape::Record(&HOST_ALIAS)),
        text("priorityClassName"),
        int32("priority").when_set(),
        pointer("dnsConfig", &POD_DNS_CONFIG),
        list("readinessGates", &Shape::Any),
        text("runtimeClassName").when_set(),
        flag("enableServiceLinks").when_set(),
        text("preemptionPolicy").when_set(),
        amounts("overhead"),
        list("topologySpreadConstraints", &Shape::Record(&TOPOLOGY_SPREAD_CONSTRAINT)),
        flag("setHostnameAsFQDN").when_set(),
        any("os").when_set(),
        flag("hostUsers").when_set(),
        list("schedulingGates", &Shape::Any),
        list("resourceClaims", &Shape::Any),
        pointer("resources", &RESOURCES),
        text("hostnameOverride").when_set(),
        any("workloadRef").when_set(),
    ],
);

static CONTAINER: Record = record(
    "Container",
    &[
        text("name").always(),
        text("image"),
        texts("command"),
        texts("args"),
        text("workingDir"),
        list("ports", &Shape::Record(&CONTAINER_PORT)),
        list("envFrom", &Shape::Record(&ENV_FROM_SOURCE)),
        list("env", &Shape::Record(&ENV_VAR)),
        part("resources", &RESOURCES),
        list("resizePolicy", &Shape::Any),
        text("restartPolicy").when_set(),
        list("restartPolicyRules", &Shape::Any),
        list("volumeMounts", &Shape::Record(&VOLUME_MOUNT)),
        list("volumeDevices", &Shape::Any),
        pointer("livenessProbe", &PROBE),
        pointer("readinessProbe", &PROBE),
        pointer("startupProbe", &PROBE),
        any("lifecycle").when_set(),
        text("terminationMessagePath"),
        text("terminationMessagePolicy"),
        text("imagePullPolicy"),
        pointer("securityContext", &SECURITY_CONTEXT),
        flag("stdin"),
        flag("stdinOnce"),
        flag("tty"),
    ],
);

static CONTAINER_PORT: Record = record(
    "ContainerPort",
    &[
        text("name"),
        int32("hostPort"),
        int32("containerPort").always(),
        text("protocol"),
        text("hostIP"),
    ],
);

static ENV_FROM_SOURCE: Record = record(
    "EnvFromSource",
    &[
        text("prefix"),
        pointer("configMapRef", &OPTIONAL_REFERENCE),
        pointer("secretRef", &OPTIONAL_REFERENCE),
    ],
);

static ENV_VAR: Record = record(
    "EnvVar",
    &[
        text("name").always(),
        text("value"),
        pointer("valueFrom", &ENV_VAR_SOURCE),
    ],
);

static ENV_VAR_SOURCE: Record = record(
    "EnvVarSource",
    &[
        pointer("fieldRef", &OBJECT_FIELD_SELECTOR),
        pointer("resourceFieldRef", &RESOURCE_FIELD_SELECTOR),
        pointer("configMapKeyRef", &KEY_SELECTOR),
        pointer("secretKeyRef", &KEY_SELECTOR),
        any("fileKeyRef").when_set(),
    ],
);

static OBJECT_FIELD_SELECTOR: Record = record("ObjectFieldSelector", &[text("apiVersion"), text("fieldPath").always()]);

static RESOURCE_FIELD_SELECTOR: Record = record(
    "ResourceFieldSelector",
    &[
        text("containerName"),
        text("resource").always(),
        amount("divisor").always(),
    ],
);

static KEY_SELECTOR: Record = record(
    "ConfigMapKeySelector",
    &[text("name"), text("key").always(), flag("optional").when_set()],
);

static OPTIONAL_REFERENCE: Record = record("ConfigMapEnvSource", &[text("name"), flag("optional").when_set()]);

pub(super) static LOCAL_OBJECT_REFERENCE: Record = record("LocalObjectReference", &[text("name")]);

static RESOURCES: Record = record(
    "ResourceRequirements",
    &[amounts("limits"), amounts("requests"), list("claims", &Shape::Any)],
);

static VOLUME_MOUNT: Record = record(
    "VolumeMount",
    &[
        text("name").always(),
        flag("readOnly"),
        text("recursiveReadOnly").when_set(),
        text("mountPath").always(),
        text("subPath"),
        text("mountPropagation").when_set(),
        text("subPathExpr"),
    ],
);

static PROBE: Record = record(
    "Probe",
    &[
        pointer("exec", &EXEC_ACTION),
        pointer("httpGet", &HTTP_GET_ACTION),
        pointer("tcpSocket", &TCP_SOCKET_ACTION),
        pointer("grpc", &GRPC_ACTION),
        int32("initialDelaySeconds"),
        int32("timeoutSeconds"),
        int32("periodSeconds"),
        int32("successThreshold"),
        int32("failureThreshold"),
        int64("terminationGracePeriodSeconds").when_set(),
    ],
);

static EXEC_ACTION: Record = record("ExecAction", &[texts("command")]);

static HTTP_GET_ACTION: Record = record(
    "HTTPGetAction",
    &[
        text("path"),
        port("port").always(),
        text("host"),
        text("scheme"),
        list("httpHeaders", &Shape::Record(&HTTP_HEADER)),
    ],
);

static HTTP_HEADER: Record = record("HTTPHeader", &[text("name").always(), text("value").always()]);

static TCP_SOCKET_ACTION: Record = record("TCPSocketAction", &[port("port").always(), text("host")]);

static GRPC_ACTION: Record = record("GRPCAction", &[int32("port").always(), text("service").when_set()]);

static SECURITY_CONTEXT: Record = record(
    "SecurityContext",
    &[
        pointer("capabilities", &CAPABILITIES),
        flag("privileged").when_set(),
        any("seLinuxOptions").when_set(),
        any("windowsOptions").when_set(),
        int64("runAsUser").when_set(),
        int64("runAsGroup").when_set(),
        flag("runAsNonRoot").when_set(),
        flag("readOnlyRootFilesystem").when_set(),
        flag("allowPrivilegeEscalation").when_set(),
        text("procMount").when_set(),
        pointer("seccompProfile", &SECCOMP_PROFILE),
        any("appArmorProfile").when_set(),
    ],
);

static CAPABILITIES: Record = record("Capabilities", &[texts("add"), texts("drop")]);

static SECCOMP_PROFILE: Record = record(
    "SeccompProfile",
    &[text("type").always(), text("localhostProfile").when_set()],
);

static POD_SECURITY_CONTEXT: Record = record(
    "PodSecurityContext",
    &[
        any("seLinuxOptions").when_set(),
        any("windowsOptions").when_set(),
        int64("runAsUser").when_set(),
        int64("runAsGroup").when_set(),
        flag("runAsNonRoot").when_set(),
        list("supplementalGroups", &Shape::Int64),
        text("supplementalGroupsPolicy").when_set(),
        int64("fsGroup").when_set(),
        list("sysctls", &Shape::Any),
        text("fsGroupChangePolicy").when_set(),
        pointer("seccompProfile", &SECCOMP_PROFILE),
        any("appArmorProfile").when_set(),
        text("seLinuxChangePolicy").when_set(),
    ],
);

static TOLERATION: Record = record(
    "Toleration",
    &[
        text("key"),
        text("operator"),
        text("value"),
        text("effect"),
        int64("tolerationSeconds").when_set(),
    ],
);

static HOST_ALIAS: Record = record("HostAlias", &[text("ip").always(), texts("hostnames")]);

static POD_DNS_CONFIG: Record = record(
    "PodDNSConfig",
    &[
        texts("nameservers"),
        texts("searches"),
        list("options", &Shape::Record(&POD_DNS_CONFIG_OPTION)),
    ],
);

static POD_DNS_CONFIG_OPTION: Record = record("PodDNSConfigOption", &[text("name"), text("value").when_set()]);

static TOPOLOGY_SPREAD_CONSTRAINT: Record = record(
    "TopologySpreadConstraint",
    &[
        int32("maxSkew").always(),
        text("topologyKey").always(),
        text("whenUnsatisfiable").always(),
        any("labelSelector").when_set(),
        int32("minDomains").when_set(),
        text("nodeAffinityPolicy").when_set(),
        text("nodeTaintsPolicy").when_set(),
        texts("matchLabelKeys"),
    ],
);

static VOLUME: Record = Record {
    name: "Volume",
    fields: &[text("name").always()],
    inlined: &[&VOLUME_SOURCE, &REFUSED_VOLUME_SOURCE],
};

static VOLUME_SOURCE: Record = record(
    "VolumeSource",
    &[
        pointer("hostPath", &HOST_PATH),
        pointer("emptyDir", &EMPTY_DIR),
        pointer("secret", &SECRET_VOLUME),
        pointer("configMap", &CONFIG_MAP_VOLUME),
        pointer("projected", &PROJECTED),
        pointer("persistentVolumeClaim", &CLAIM_VOLUME),
        pointer("csi", &CSI_VOLUME),
        any("ephemeral").when_set(),
        pointer("image", &IMAGE_VOLUME),
    ],
);

/// Kinds of volumes that Knative never takes.
static REFUSED_VOLUME_SOURCE: Record = record("VolumeSource", REFUSED_SOURCES);

const REFUSED_SOURCES: &[Field] = &[
    any("gcePersistentDisk").when_set(),
    any("awsElasticBlockStore").when_set(),
    any("gitRepo").when_set(),
    any("nfs").when_set(),
    any("iscsi").when_set(),
    any("glusterfs").when_set(),
    any("rbd").when_set(),
    any("flexVolume").when_set(),
    any("cinder").when_set(),
    any("cephfs").when_set(),
    any("flocker").when_set(),
    any("downwardAPI").when_set(),
    any("fc").when_set(),
    any("azureFile").when_set(),
    any("vsphereVolume").when_set(),
    any("quobyte").when_set(),
    any("azureDisk").when_set(),
    any("photonPersistentDisk").when_set(),
    any("portworxVolume").when_set(),
    any("scaleIO").when_set(),
    any("storageos").when_set(),
];

static HOST_PATH: Record = record(
    "HostPathVolumeSource",
    &[text("path").always(), text("type").when_set()],
);

static EMPTY_DIR: Record = record(
    "EmptyDirVolumeSource",
    &[text("medium"), amount("sizeLimit").when_set()],
);

static SECRET_VOLUME: Record = record(
    "SecretVolumeSource",
    &[
        text("secretName"),
        list("items", &Shape::Record(&KEY_TO_PATH)),
        int32("defaultMode").when_set(),
        flag("optional").when_set(),
    ],
);

static CONFIG_MAP_VOLUME: Record = record(
    "ConfigMapVolumeSource",
    &[
        text("name"),
        list("items", &Shape::Record(&KEY_TO_PATH)),
        int32("defaultMode").when_set(),
        flag("optional").when_set(),
    ],
);

static KEY_TO_PATH: Record = record(
    "KeyToPath",
    &[text("key").always(), text("path").always(), int32("mode").when_set()],
);

static CLAIM_VOLUME: Record = record(
    "PersistentVolumeClaimVolumeSource",
    &[text("claimName").always(), flag("readOnly")],
);

static CSI_VOLUME: Record = record(
    "CSIVolumeSource",
    &[
        text("driver").always(),
        flag("readOnly").when_set(),
        text("fsType").when_set(),
        text_map("volumeAttributes"),
        pointer("nodePublishSecretRef", &LOCAL_OBJECT_REFERENCE),
    ],
);

static IMAGE_VOLUME: Record = record("ImageVolumeSource", &[text("reference"), text("pullPolicy")]);

static PROJECTED: Record = record(
    "ProjectedVolumeSource",
    &[
        list("sources", &Shape::Record(&PROJECTION)).always(),
        int32("defaultMode").when_set(),
    ],
);

static PROJECTION: Record = record(
    "VolumeProjection",
    &[
        pointer("secret", &MAP_PROJECTION),
        pointer("downwardAPI", &DOWNWARD_PROJECTION),
        pointer("configMap", &MAP_PROJECTION),
        pointer("serviceAccountToken", &TOKEN_PROJECTION),
        any("clusterTrustBundle").when_set(),
        any("podCertificate").when_set(),
    ],
);

static MAP_PROJECTION: Record = record(
    "SecretProjection",
    &[
        text("name"),
        list("items", &Shape::Record(&KEY_TO_PATH)),
        flag("optional").when_set(),
    ],
);

static DOWNWARD_PROJECTION: Record = record(
    "DownwardAPIProjection",
    &[list("items", &Shape::Record(&DOWNWARD_FILE))],
);

static DOWNWARD_FILE: Record = record(
    "DownwardAPIVolumeFile",
    &[
        text("path").always(),
        pointer("fieldRef", &OBJECT_FIELD_SELECTOR),
        pointer("resourceFieldRef", &RESOURCE_FIELD_SELECTOR),
        int32("mode").when_set(),
    ],
);

static TOKEN_PROJECTION: Record = record(
    "ServiceAccountTokenProjection",
    &[
        text("audience"),
        int64("expirationSeconds").when_set(),
        text("path").always(),
    ],
);
