// SPDX-License-Identifier: Apache-2.0
//! config-deployment: how pods are made (data-plane spec 6).
//!
//! Invariants: the keys of the queue-proxy are read and judged as Knative judges them, and then have no effect: there is none.
//! Depends on: go, quantity, selector, syntax, table, yaml.

use super::problem::Problems;
use super::selector::{self, Labels};
use super::table::{self, Check, Data, Key, Reader, Reading, check, key, old};
use super::yaml;
use crate::go::print::quoted;
use crate::go::span::Span;
use crate::quantity::Quantity;
use crate::syntax;
use std::collections::{BTreeMap, BTreeSet};

/// The settings of config-deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// How long a deployment may take.
    pub progress_deadline: Span,
    /// How long finding the digest of an image may take.
    pub digest_resolution_timeout: Span,
    /// Registries whose tags are left alone.
    pub registries_skipping_tag_resolving: BTreeSet<String>,
    /// How pods spread when they say nothing.
    pub default_affinity_type: AffinityType,
    /// The pods that get a runtime class, by class.
    pub runtime_class_names: BTreeMap<String, Labels>,
    /// Whether pods that cannot be scheduled yet are waited for.
    pub pod_is_always_schedulable: bool,
    /// What only Knative's queue-proxy would use.
    pub queue_sidecar: QueueSidecar,
}

/// How the pods of a revision spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AffinityType {
    /// As the scheduler likes.
    None,
    /// Over nodes, if possible.
    PreferSpreadRevisionOverNodes,
}

/// The settings of the queue-proxy; Sluice has none, so they have no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSidecar {
    /// Its image; must be there, since operators' maps have it.
    pub image: String,
    /// CPU it requests.
    pub cpu_request: Option<Quantity>,
    /// CPU it gets at most.
    pub cpu_limit: Option<Quantity>,
    /// Memory it requests.
    pub memory_request: Option<Quantity>,
    /// Memory it gets at most.
    pub memory_limit: Option<Quantity>,
    /// Disk it requests.
    pub ephemeral_storage_request: Option<Quantity>,
    /// Disk it gets at most.
    pub ephemeral_storage_limit: Option<Quantity>,
    /// Audiences of its tokens.
    pub token_audiences: BTreeSet<String>,
    /// A certificate it trusts.
    pub root_ca: String,
    /// The oldest TLS it speaks.
    pub tls_min_version: String,
    /// The newest TLS it speaks.
    pub tls_max_version: String,
    /// The ciphers it speaks.
    pub tls_cipher_suites: String,
    /// The curves it speaks.
    pub tls_curve_preferences: String,
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            progress_deadline: Span::from_secs(600),
            digest_resolution_timeout: Span::from_secs(10),
            registries_skipping_tag_resolving: ["kind.local", "ko.local", "dev.local"].map(str::to_owned).into(),
            default_affinity_type: AffinityType::PreferSpreadRevisionOverNodes,
            runtime_class_names: BTreeMap::new(),
            pod_is_always_schedulable: false,
            queue_sidecar: QueueSidecar {
                image: String::new(),
                cpu_request: Quantity::parse("25m").ok(),
                cpu_limit: None,
                memory_request: None,
                memory_limit: None,
                ephemeral_storage_request: None,
                ephemeral_storage_limit: None,
                token_audiences: BTreeSet::from([String::new()]),
                root_ca: String::new(),
                tls_min_version: String::new(),
                tls_max_version: String::new(),
                tls_cipher_suites: String::new(),
                tls_curve_preferences: String::new(),
            },
        }
    }
}

impl Deployment {
    /// Reads the map.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut settings = Self::default();
        let mut reading = Reading::of(data);
        reading.read(KEYS, &mut settings);
        reading.check(CHECKS, &settings);
        reading.read(LATE_KEYS, &mut settings);
        reading.finish(settings)
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        table::names(KEYS).chain(table::names(LATE_KEYS)).collect()
    }

    /// Whether the map has such a key.
    #[must_use]
    pub fn knows(key: &str) -> bool {
        table::knows(KEYS, key) || table::knows(LATE_KEYS, key)
    }

    /// The runtime class of a pod with these labels.
    #[must_use]
    pub fn runtime_class(&self, labels: &BTreeMap<String, String>) -> Option<&str> {
        let selectors = self
            .runtime_class_names
            .iter()
            .map(|(class, selector)| (class.as_str(), selector));
        selector::most_specific(selectors, labels)
    }
}

const KEYS: &[Key<Deployment>] = &[
    old(
        "queueSidecarImage",
        "queue-sidecar-image",
        Reader::Text(|s| &mut s.queue_sidecar.image),
    ),
    old(
        "progressDeadline",
        "progress-deadline",
        Reader::Span(|s| &mut s.progress_deadline),
    ),
    old(
        "digestResolutionTimeout",
        "digest-resolution-timeout",
        Reader::Span(|s| &mut s.digest_resolution_timeout),
    ),
    old(
        "registriesSkippingTagResolving",
        "registries-skipping-tag-resolving",
        Reader::Set(|s| &mut s.registries_skipping_tag_resolving),
    ),
    old(
        "queueSidecarCPURequest",
        "queue-sidecar-cpu-request",
        Reader::Quantity(|s| &mut s.queue_sidecar.cpu_request),
    ),
    old(
        "queueSidecarMemoryRequest",
        "queue-sidecar-memory-request",
        Reader::Quantity(|s| &mut s.queue_sidecar.memory_request),
    ),
    old(
        "queueSidecarEphemeralStorageRequest",
        "queue-sidecar-ephemeral-storage-request",
        Reader::Quantity(|s| &mut s.queue_sidecar.ephemeral_storage_request),
    ),
    old(
        "queueSidecarCPULimit",
        "queue-sidecar-cpu-limit",
        Reader::Quantity(|s| &mut s.queue_sidecar.cpu_limit),
    ),
    old(
        "queueSidecarMemoryLimit",
        "queue-sidecar-memory-limit",
        Reader::Quantity(|s| &mut s.queue_sidecar.memory_limit),
    ),
    old(
        "queueSidecarEphemeralStorageLimit",
        "queue-sidecar-ephemeral-storage-limit",
        Reader::Quantity(|s| &mut s.queue_sidecar.ephemeral_storage_limit),
    ),
    key("queue-sidecar-image", Reader::Text(|s| &mut s.queue_sidecar.image)),
    key("progress-deadline", Reader::Span(|s| &mut s.progress_deadline)),
    key(
        "digest-resolution-timeout",
        Reader::Span(|s| &mut s.digest_resolution_timeout),
    ),
    key(
        "registries-skipping-tag-resolving",
        Reader::Set(|s| &mut s.registries_skipping_tag_resolving),
    ),
    key(
        "queue-sidecar-cpu-request",
        Reader::Quantity(|s| &mut s.queue_sidecar.cpu_request),
    ),
    key(
        "queue-sidecar-memory-request",
        Reader::Quantity(|s| &mut s.queue_sidecar.memory_request),
    ),
    key(
        "queue-sidecar-ephemeral-storage-request",
        Reader::Quantity(|s| &mut s.queue_sidecar.ephemeral_storage_request),
    ),
    key(
        "queue-sidecar-cpu-limit",
        Reader::Quantity(|s| &mut s.queue_sidecar.cpu_limit),
    ),
    key(
        "queue-sidecar-memory-limit",
        Reader::Quantity(|s| &mut s.queue_sidecar.memory_limit),
    ),
    key(
        "queue-sidecar-ephemeral-storage-limit",
        Reader::Quantity(|s| &mut s.queue_sidecar.ephemeral_storage_limit),
    ),
    key(
        "queue-sidecar-token-audiences",
        Reader::Set(|s| &mut s.queue_sidecar.token_audiences),
    ),
    key("queue-sidecar-rootca", Reader::Text(|s| &mut s.queue_sidecar.root_ca)),
    key(
        "queue-sidecar-tls-min-version",
        Reader::Text(|s| &mut s.queue_sidecar.tls_min_version),
    ),
    key(
        "queue-sidecar-tls-max-version",
        Reader::Text(|s| &mut s.queue_sidecar.tls_max_version),
    ),
    key(
        "queue-sidecar-tls-cipher-suites",
        Reader::Text(|s| &mut s.queue_sidecar.tls_cipher_suites),
    ),
    key(
        "queue-sidecar-tls-curve-preferences",
        Reader::Text(|s| &mut s.queue_sidecar.tls_curve_preferences),
    ),
    key(
        "pod-is-always-schedulable",
        Reader::Bool(|s| &mut s.pod_is_always_schedulable),
    ),
];

const CHECKS: &[Check<Deployment>] = &[
    check(&["queue-sidecar-image"], |s| {
        let is_missing = s.queue_sidecar.image.is_empty();
        is_missing.then(|| "queue-sidecar-image cannot be empty or unset".to_owned())
    }),
    check(&["progress-deadline"], |s| {
        let value = s.progress_deadline;
        if value <= Span::ZERO {
            return Some(not_positive("progress-deadline", value));
        }
        (!value.is_whole_seconds())
            .then(|| format!("progress-deadline must be rounded to a whole second, was: {value}"))
    }),
    check(&["digest-resolution-timeout"], |s| {
        let value = s.digest_resolution_timeout;
        (value <= Span::ZERO).then(|| not_positive("digest-resolution-timeout", value))
    }),
];

/// What Knative looks at after the rules.
const LATE_KEYS: &[Key<Deployment>] = &[
    key("default-affinity-type", Reader::Own(affinity)),
    key("runtime-class-name", Reader::Own(runtime_classes)),
];

fn not_positive(key: &str, value: Span) -> String {
    format!("{key} cannot be a non-positive duration, was {value}")
}

fn affinity(settings: &mut Deployment, text: &str) -> Result<(), String> {
    settings.default_affinity_type = match text {
        "none" => AffinityType::None,
        "prefer-spread-revision-over-nodes" => AffinityType::PreferSpreadRevisionOverNodes,
        _ => return Err(format!("unsupported default-affinity-type value: {}", quoted(text))),
    };
    Ok(())
}

fn runtime_classes(settings: &mut Deployment, text: &str) -> Result<(), String> {
    let classes = classes(text)
        .map_err(|error| format!("runtime-class-name cannot be parsed, please check the format: {error}"))?;
    for (class, selector) in &classes {
        let reasons = syntax::dns1123_subdomain(class);
        if !reasons.is_empty() {
            let reasons = reasons.join(" ");
            return Err(format!(
                "runtime-class-name {class} selector not valid DNSSubdomain: [{reasons}]"
            ));
        }
        if let Some(reason) = selector.problem() {
            return Err(format!("runtime-class-name {class} selector invalid: {reason}"));
        }
    }
    settings.runtime_class_names = classes;
    Ok(())
}

fn classes(text: &str) -> Result<BTreeMap<String, Labels>, yaml::YamlError> {
    let document = yaml::document(text)?;
    yaml::entries(&document, "deployment.RuntimeClassNameLabelSelector")?
        .into_iter()
        .map(|(class, object)| Ok((class.to_owned(), Labels(object.texts("selector")?))))
        .collect()
}
