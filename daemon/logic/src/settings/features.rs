// SPDX-License-Identifier: Apache-2.0
//! config-features: what a Service may ask for (data-plane spec 6).
//!
//! Invariants: a value that is no flag leaves the default, as in Knative.
//! Depends on: table.

use super::problem::Problems;
use super::table::{self, Data, Key, Reader, Reading, key};
use std::fmt;

/// What a feature is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// On.
    Enabled,
    /// On for whoever asks, by field or annotation.
    Allowed,
    /// Off.
    Disabled,
}

impl Flag {
    /// Whether a field behind this flag may be set.
    #[must_use]
    pub fn is_permitted(self) -> bool {
        self != Self::Disabled
    }

    /// Whether it is on without being asked for.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        self == Self::Enabled
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?}")
    }
}

/// How much security a pod gets that asks for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurePodDefaults {
    /// Full security, without root.
    Enabled,
    /// Full security, and root where the image wants it.
    AllowRootBounded,
    /// None.
    Disabled,
}

impl fmt::Display for SecurePodDefaults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self:?}")
    }
}

/// The one table: field, key, default, meaning.
macro_rules! features {
    ($($field:ident, $key:literal, $default:ident, $doc:literal;)*) => {
        /// The settings of config-features.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Features {
            $(#[doc = $doc] pub $field: Flag,)*
            /// `secure-pod-defaults`: how much security a pod gets that asks for none.
            pub secure_pod_defaults: SecurePodDefaults,
        }

        impl Default for Features {
            fn default() -> Self {
                Self {
                    $($field: Flag::$default,)*
                    secure_pod_defaults: SecurePodDefaults::Disabled,
                }
            }
        }

        impl Features {
            /// Every flag with its key.
            pub fn flags(&self) -> impl Iterator<Item = (&'static str, Flag)> {
                [$(($key, self.$field)),*].into_iter()
            }
        }

        const KEYS: &[Key<Features>] = &[
            $(key($key, Reader::Own(|s, text| { put(&mut s.$field, text); Ok(()) })),)*
            key("secure-pod-defaults", Reader::Own(secure_pod_defaults)),
        ];
    };
}

features! {
    autodetect_http2, "autodetect-http2", Disabled, "`autodetect-http2`: find out whether the app speaks HTTP/2.";
    multi_container, "multi-container", Enabled, "`multi-container`: more than one container.";
    multi_container_probing, "multi-container-probing", Disabled, "`multi-container-probing`: probes of the other containers.";
    queueproxy_mount_podinfo, "queueproxy.mount-podinfo", Disabled, "`queueproxy.mount-podinfo`: annotations as a file in the queue-proxy; read, without effect here.";
    queueproxy_resource_defaults, "queueproxy.resource-defaults", Disabled, "`queueproxy.resource-defaults`: default limits of the queue-proxy; read, without effect here.";
    tag_header_based_routing, "tag-header-based-routing", Disabled, "`tag-header-based-routing`: a header chooses the tag.";
    containerspec_addcapabilities, "kubernetes.containerspec-addcapabilities", Disabled, "`kubernetes.containerspec-addcapabilities`: `securityContext.capabilities.add`.";
    podspec_affinity, "kubernetes.podspec-affinity", Disabled, "`kubernetes.podspec-affinity`: `affinity`.";
    podspec_dnsconfig, "kubernetes.podspec-dnsconfig", Disabled, "`kubernetes.podspec-dnsconfig`: `dnsConfig`.";
    podspec_dnspolicy, "kubernetes.podspec-dnspolicy", Disabled, "`kubernetes.podspec-dnspolicy`: `dnsPolicy`.";
    podspec_fieldref, "kubernetes.podspec-fieldref", Disabled, "`kubernetes.podspec-fieldref`: `fieldRef` and `resourceFieldRef` of variables.";
    podspec_hostaliases, "kubernetes.podspec-hostaliases", Disabled, "`kubernetes.podspec-hostaliases`: `hostAliases`.";
    podspec_hostipc, "kubernetes.podspec-hostipc", Disabled, "`kubernetes.podspec-hostipc`: `hostIPC`.";
    podspec_hostnetwork, "kubernetes.podspec-hostnetwork", Disabled, "`kubernetes.podspec-hostnetwork`: `hostNetwork`.";
    podspec_hostpid, "kubernetes.podspec-hostpid", Disabled, "`kubernetes.podspec-hostpid`: `hostPID`.";
    podspec_init_containers, "kubernetes.podspec-init-containers", Disabled, "`kubernetes.podspec-init-containers`: `initContainers`.";
    podspec_nodeselector, "kubernetes.podspec-nodeselector", Disabled, "`kubernetes.podspec-nodeselector`: `nodeSelector`.";
    podspec_persistent_volume_claim, "kubernetes.podspec-persistent-volume-claim", Disabled, "`kubernetes.podspec-persistent-volume-claim`: volumes of claims.";
    podspec_persistent_volume_write, "kubernetes.podspec-persistent-volume-write", Disabled, "`kubernetes.podspec-persistent-volume-write`: writing to them.";
    podspec_priorityclassname, "kubernetes.podspec-priorityclassname", Disabled, "`kubernetes.podspec-priorityclassname`: `priorityClassName`.";
    podspec_runtimeclassname, "kubernetes.podspec-runtimeclassname", Disabled, "`kubernetes.podspec-runtimeclassname`: `runtimeClassName`.";
    podspec_schedulername, "kubernetes.podspec-schedulername", Disabled, "`kubernetes.podspec-schedulername`: `schedulerName`.";
    podspec_securitycontext, "kubernetes.podspec-securitycontext", Disabled, "`kubernetes.podspec-securitycontext`: the pod's `securityContext`.";
    podspec_shareprocessnamespace, "kubernetes.podspec-shareprocessnamespace", Disabled, "`kubernetes.podspec-shareprocessnamespace`: `shareProcessNamespace`.";
    podspec_tolerations, "kubernetes.podspec-tolerations", Disabled, "`kubernetes.podspec-tolerations`: `tolerations`.";
    podspec_topologyspreadconstraints, "kubernetes.podspec-topologyspreadconstraints", Disabled, "`kubernetes.podspec-topologyspreadconstraints`: `topologySpreadConstraints`.";
    podspec_volumes_csi, "kubernetes.podspec-volumes-csi", Disabled, "`kubernetes.podspec-volumes-csi`: volumes of CSI drivers.";
    podspec_volumes_emptydir, "kubernetes.podspec-volumes-emptydir", Enabled, "`kubernetes.podspec-volumes-emptydir`: `emptyDir` volumes.";
    podspec_volumes_ephemeral, "kubernetes.podspec-volumes-ephemeral", Disabled, "`kubernetes.podspec-volumes-ephemeral`: ephemeral volumes.";
    podspec_volumes_hostpath, "kubernetes.podspec-volumes-hostpath", Disabled, "`kubernetes.podspec-volumes-hostpath`: `hostPath` volumes.";
    podspec_volumes_image, "kubernetes.podspec-volumes-image", Disabled, "`kubernetes.podspec-volumes-image`: volumes of images.";
    podspec_volumes_mount_propagation, "kubernetes.podspec-volumes-mount-propagation", Disabled, "`kubernetes.podspec-volumes-mount-propagation`: `mountPropagation`.";
}

impl Features {
    /// Reads the map.
    ///
    /// # Errors
    /// None today: what is no flag is not read.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut settings = Self::default();
        let mut reading = Reading::of(data);
        reading.read(KEYS, &mut settings);
        reading.finish(settings)
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        table::names(KEYS).collect()
    }

    /// Whether the map has such a key.
    #[must_use]
    pub fn knows(key: &str) -> bool {
        table::knows(KEYS, key)
    }
}

fn put(flag: &mut Flag, text: &str) {
    for value in [Flag::Enabled, Flag::Allowed, Flag::Disabled] {
        if text.eq_ignore_ascii_case(&value.to_string()) {
            *flag = value;
        }
    }
}

fn secure_pod_defaults(settings: &mut Features, text: &str) -> Result<(), String> {
    use SecurePodDefaults::{AllowRootBounded, Disabled, Enabled};
    for value in [Enabled, AllowRootBounded, Disabled] {
        if text.eq_ignore_ascii_case(&value.to_string()) {
            settings.secure_pod_defaults = value;
        }
    }
    Ok(())
}
