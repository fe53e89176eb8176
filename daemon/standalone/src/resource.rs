// SPDX-License-Identifier: Apache-2.0
//! Which resources there are and what is peculiar to each: the one table that verbs, discovery and printing read.
//!
//! Mechanism: Knative's kinds come from their definitions (`api::crd`), so that both servers show the same; Kubernetes'
//! own are rows of `resource/native.rs`.
//! Depends on: api (kind, crd), schema.

mod knative;
mod native;

use std::sync::LazyLock;

use api::kind::Kind;
use serde_json::Value;

use crate::schema::Schema;

/// What raises `metadata.generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// The kind has none.
    Never,
    /// Every change outside of metadata and status.
    Spec,
}

/// A column of `kubectl get`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// `string`, `integer` or `date`.
    pub form: String,
    /// What stands in it.
    pub source: Source,
    /// 0, or 1 for those that only `-o wide` shows.
    pub priority: u8,
}

/// Where a column's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The JSONPath of a definition.
    Path(String),
    /// Put together as the API server does for its own kinds.
    Made(Made),
}

/// Columns of Kubernetes' own kinds that are no field (`pkg/printers/internalversion` of Kubernetes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// Of a pod: ready containers of all.
    ReadyContainers,
    /// Of a pod: why it waits or ended, else its phase.
    PodState,
    /// Of a pod: how often its containers were started again.
    Restarts,
    /// Of a Deployment: ready pods of those wanted.
    ReadyReplicas,
    /// Of a Service: where it is reached from outside.
    ExternalAddress,
    /// Of a Service: its ports.
    Ports,
    /// Of an Endpoints object: its first addresses.
    Addresses,
    /// Of an EndpointSlice: its first addresses.
    SliceAddresses,
    /// Of a ConfigMap or Secret: how many entries it has.
    Entries,
    /// Of an event: what it is about.
    Regarding,
    /// Of a node: whether it is ready.
    NodeState,
    /// A count that is 0 while its field is not there: the field of `status`.
    Count(&'static str),
}

/// A resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The one version.
    pub version: &'static str,
    /// As URLs have it.
    pub plural: &'static str,
    /// In lower case.
    pub singular: String,
    /// As the field `kind` has it.
    pub kind: &'static str,
    /// For those who type.
    pub short_names: Vec<&'static str>,
    /// Groups of resources for `kubectl get`.
    pub categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether `status` has a path of its own.
    pub has_status: bool,
    /// Whether `scale` is served.
    pub has_scale: bool,
    /// What raises the generation.
    pub counting: Counting,
    /// Whether an update without a resourceVersion is taken.
    pub unconditional: bool,
    /// Whether a delete answers with the object instead of a `Status`.
    pub returns_deleted: bool,
    /// Which of Knative's kinds it is.
    pub knative: Option<Kind>,
    /// What is printed behind the name.
    pub columns: Vec<Column>,
    /// The OpenAPI schema, where there is one, as the definition has it.
    pub written_schema: Option<Value>,
    /// The same, to be gone by.
    pub schema: Option<Schema>,
}

impl Eq for Resource {}

impl Resource {
    /// Plural and group, as messages name it.
    #[must_use]
    pub fn qualified(&self) -> String {
        dotted(self.plural, self.group)
    }

    /// Kind and group, as messages name it.
    #[must_use]
    pub fn qualified_kind(&self) -> String {
        dotted(self.kind, self.group)
    }

    /// Group and version, as the field `apiVersion` has them.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

fn dotted(name: &str, group: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}

/// All of them.
#[must_use]
pub fn all() -> &'static [Resource] {
    static TABLE: LazyLock<Vec<Resource>> =
        LazyLock::new(|| native::rows().into_iter().chain(knative::rows()).collect());
    &TABLE
}

/// The one with a group, version and plural.
#[must_use]
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    all()
        .iter()
        .find(|resource| resource.plural == plural && resource.group == group && resource.version == version)
}

/// The one whose objects say so.
#[must_use]
pub fn of_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    all()
        .iter()
        .find(|resource| resource.kind == kind && resource.api_version() == api_version)
}

/// The one with a plural and group, in any version: what a state file names.
#[must_use]
pub fn qualified(name: &str) -> Option<&'static Resource> {
    all().iter().find(|resource| resource.qualified() == name)
}
