// SPDX-License-Identifier: Apache-2.0
//! config-defaults: what a Revision gets that says nothing (data-plane spec 6).
//!
//! Depends on: quantity, table, template.

use super::problem::Problems;
use super::table::{self, Check, Data, Key, Reader, Reading, check, key};
use super::template::{Record, Template, TemplateError, Value};
use crate::quantity::Quantity;
use std::collections::BTreeMap;

/// The settings of config-defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// How long a request may take, in seconds.
    pub revision_timeout_seconds: i64,
    /// The longest timeout a revision may ask for, in seconds.
    pub max_revision_timeout_seconds: i64,
    /// How long the first byte of an answer may take, in seconds.
    pub revision_response_start_timeout_seconds: i64,
    /// How long an answer may pause, in seconds; 0 is for ever.
    pub revision_idle_timeout_seconds: i64,
    /// The name of a container that has none.
    pub container_name_template: Template,
    /// The name of an init container that has none.
    pub init_container_name_template: Template,
    /// Requests a pod takes at a time; 0 is any number.
    pub container_concurrency: i64,
    /// The largest `containerConcurrency` a revision may ask for.
    pub container_concurrency_max_limit: i64,
    /// Whether a revision may ask for 0.
    pub allow_container_concurrency_zero: bool,
    /// `enableServiceLinks` of pods; nothing: Kubernetes decides.
    pub enable_service_links: Option<bool>,
    /// CPU each container requests.
    pub revision_cpu_request: Option<Quantity>,
    /// CPU each container gets at most.
    pub revision_cpu_limit: Option<Quantity>,
    /// Memory each container requests.
    pub revision_memory_request: Option<Quantity>,
    /// Memory each container gets at most.
    pub revision_memory_limit: Option<Quantity>,
    /// Disk each container requests.
    pub revision_ephemeral_storage_request: Option<Quantity>,
    /// Disk each container gets at most.
    pub revision_ephemeral_storage_limit: Option<Quantity>,
}

/// What Go calls these templates.
const TEMPLATE: &str = "container-template";

impl Default for Defaults {
    fn default() -> Self {
        Self {
            revision_timeout_seconds: 300,
            max_revision_timeout_seconds: 600,
            revision_response_start_timeout_seconds: 300,
            revision_idle_timeout_seconds: 0,
            container_name_template: Template::literal(TEMPLATE, "user-container"),
            init_container_name_template: Template::literal(TEMPLATE, "init-container"),
            container_concurrency: 0,
            container_concurrency_max_limit: 1000,
            allow_container_concurrency_zero: true,
            enable_service_links: Some(false),
            revision_cpu_request: None,
            revision_cpu_limit: None,
            revision_memory_request: None,
            revision_memory_limit: None,
            revision_ephemeral_storage_request: None,
            revision_ephemeral_storage_limit: None,
        }
    }
}

/// The metadata of the object a container belongs to, for its name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owner<'a> {
    /// `metadata.name`
    pub name: &'a str,
    /// `metadata.generateName`
    pub generate_name: &'a str,
    /// `metadata.namespace`
    pub namespace: &'a str,
    /// `metadata.uid`
    pub uid: &'a str,
    /// `metadata.resourceVersion`
    pub resource_version: &'a str,
    /// `metadata.generation`
    pub generation: i64,
    /// `metadata.labels`
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// `metadata.annotations`
    pub annotations: Option<&'a BTreeMap<String, String>>,
}

impl Defaults {
    /// Reads the map.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut settings = Self::default();
        let mut reading = Reading::of(data);
        reading.read(KEYS, &mut settings);
        settings.revision_response_start_timeout_seconds = settings.revision_timeout_seconds;
        reading.read(LATE_KEYS, &mut settings);
        reading.check(CHECKS, &settings);
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

    /// The name of a container that has none; empty if it cannot be made, as in Knative.
    #[must_use]
    pub fn container_name(&self, owner: &Owner<'_>) -> String {
        named(&self.container_name_template, owner).unwrap_or_default()
    }

    /// The name of an init container that has none; empty if it cannot be made, as in Knative.
    #[must_use]
    pub fn init_container_name(&self, owner: &Owner<'_>) -> String {
        named(&self.init_container_name_template, owner).unwrap_or_default()
    }
}

const KEYS: &[Key<Defaults>] = &[
    key(
        "init-container-name-template",
        Reader::Own(|s, text| template(text, &mut s.init_container_name_template)),
    ),
    key(
        "container-name-template",
        Reader::Own(|s, text| template(text, &mut s.container_name_template)),
    ),
    key(
        "allow-container-concurrency-zero",
        Reader::Bool(|s| &mut s.allow_container_concurrency_zero),
    ),
    key("enable-service-links", Reader::Own(service_links)),
    key(
        "revision-timeout-seconds",
        Reader::Int64(|s| &mut s.revision_timeout_seconds),
    ),
    key(
        "max-revision-timeout-seconds",
        Reader::Int64(|s| &mut s.max_revision_timeout_seconds),
    ),
    key(
        "revision-idle-timeout-seconds",
        Reader::Int64(|s| &mut s.revision_idle_timeout_seconds),
    ),
    key("container-concurrency", Reader::Int64(|s| &mut s.container_concurrency)),
    key(
        "container-concurrency-max-limit",
        Reader::Int64(|s| &mut s.container_concurrency_max_limit),
    ),
    key(
        "revision-cpu-request",
        Reader::Quantity(|s| &mut s.revision_cpu_request),
    ),
    key(
        "revision-memory-request",
        Reader::Quantity(|s| &mut s.revision_memory_request),
    ),
    key(
        "revision-ephemeral-storage-request",
        Reader::Quantity(|s| &mut s.revision_ephemeral_storage_request),
    ),
    key("revision-cpu-limit", Reader::Quantity(|s| &mut s.revision_cpu_limit)),
    key(
        "revision-memory-limit",
        Reader::Quantity(|s| &mut s.revision_memory_limit),
    ),
    key(
        "revision-ephemeral-storage-limit",
        Reader::Quantity(|s| &mut s.revision_ephemeral_storage_limit),
    ),
];

/// Its default is another key's value.
const LATE_KEYS: &[Key<Defaults>] = &[key(
    "revision-response-start-timeout-seconds",
    Reader::Int64(|s| &mut s.revision_response_start_timeout_seconds),
)];

const CHECKS: &[Check<Defaults>] = &[
    check(&["revision-timeout-seconds", "max-revision-timeout-seconds"], |s| {
        let (value, most) = (s.revision_timeout_seconds, s.max_revision_timeout_seconds);
        (value > most).then(|| {
            format!("revision-timeout-seconds ({value}) cannot be greater than max-revision-timeout-seconds ({most})")
        })
    }),
    check(
        &["revision-response-start-timeout-seconds", "revision-timeout-seconds"],
        |s| {
            longer_than_timeout(
                s,
                "revision-response-start-timeout-seconds",
                s.revision_response_start_timeout_seconds,
            )
        },
    ),
    check(&["revision-idle-timeout-seconds", "revision-timeout-seconds"], |s| {
        longer_than_timeout(s, "revision-idle-timeout-seconds", s.revision_idle_timeout_seconds)
    }),
    check(&["container-concurrency-max-limit"], |s| {
        let value = s.container_concurrency_max_limit;
        (value < 1).then(|| format!("expected 1 <= {value} <= {}: container-concurrency-max-limit", i32::MAX))
    }),
    check(&["container-concurrency", "container-concurrency-max-limit"], |s| {
        let (value, most) = (s.container_concurrency, s.container_concurrency_max_limit);
        (value < 0 || value > most).then(|| format!("expected 0 <= {value} <= {most}: container-concurrency"))
    }),
    check(&["container-name-template"], |s| unusable(&s.container_name_template)),
    check(&["init-container-name-template"], |s| {
        unusable(&s.init_container_name_template)
    }),
];

fn longer_than_timeout(settings: &Defaults, key: &str, value: i64) -> Option<String> {
    let most = settings.revision_timeout_seconds;
    (value > 0 && value > most)
        .then(|| format!("{key} ({value}) cannot be greater than revision-timeout-seconds ({most})"))
}

fn template(text: &str, field: &mut Template) -> Result<(), String> {
    *field = Template::parse(TEMPLATE, text).map_err(|error| error.to_string())?;
    Ok(())
}

fn unusable(template: &Template) -> Option<String> {
    named(template, &Owner::default())
        .err()
        .map(|error| format!("error executing template: {error}"))
}

/// What is neither `true` nor `false` leaves it to Kubernetes.
fn service_links(settings: &mut Defaults, text: &str) -> Result<(), String> {
    settings.enable_service_links = match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    Ok(())
}

fn named(template: &Template, owner: &Owner<'_>) -> Result<String, TemplateError> {
    let map = |map: Option<&BTreeMap<String, String>>| Value::Map(map.cloned().unwrap_or_default());
    template.render(&Value::Record(Record {
        type_name: "v1.ObjectMeta",
        fields: vec![
            ("Name", owner.name.into()),
            ("GenerateName", owner.generate_name.into()),
            ("Namespace", owner.namespace.into()),
            ("SelfLink", "".into()),
            ("UID", owner.uid.into()),
            ("ResourceVersion", owner.resource_version.into()),
            ("Generation", Value::Integer(owner.generation)),
            ("Labels", map(owner.labels)),
            ("Annotations", map(owner.annotations)),
        ],
    }))
}
