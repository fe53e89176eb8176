// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a DomainMapping: control-plane spec 2.3.
//!
//! Depends on: metadata, syntax.

use logic::go::print::quoted;

use super::{DomainMapping, Reference};
use crate::admitted::Validate;
use crate::context::Context;
use crate::field_error::FieldErrors;
use crate::metadata;
use logic::syntax;

impl Validate for DomainMapping {
    fn validate(&self, old: Option<&Self>, context: &Context) -> FieldErrors {
        let mut of_metadata = name(self.name(), &context.settings.cluster_domain);
        if self
            .metadata
            .generate_name
            .as_deref()
            .is_some_and(|prefix| !prefix.is_empty())
        {
            of_metadata.add(FieldErrors::disallowed(["generateName"]));
        }
        if let Some(old) = old {
            let found = metadata::signatures(&old.metadata, &self.metadata, old.spec != self.spec);
            of_metadata.add(found.via_field("annotations"));
        }
        let reference = reference(&self.spec.reference, self.namespace());
        of_metadata
            .via_field("metadata")
            .also(reference.via_field("ref").via_field("spec"))
    }
}

/// The name is the domain.
fn name(name: &str, cluster_domain: &str) -> FieldErrors {
    let mut errors = FieldErrors::none();
    if let Some(why) = syntax::domain_name(name) {
        errors.add(FieldErrors::generic(
            format!("invalid name {}: name: {why}", quoted(name)),
            "name",
        ));
    }
    if name.ends_with(&format!(".{cluster_domain}")) {
        let why = format!(
            "must not be a subdomain of cluster local domain {}",
            quoted(cluster_domain)
        );
        errors.add(FieldErrors::generic(
            format!("invalid name {}: {why}", quoted(name)),
            "name",
        ));
    }
    errors
}

fn reference(reference: &Reference, parent_namespace: &str) -> FieldErrors {
    let mut errors = FieldErrors::none();
    if !reference.group.is_empty() {
        errors.add(FieldErrors::disallowed(["group"]));
    }
    let required = [
        ("name", &reference.name),
        ("kind", &reference.kind),
        ("apiVersion", &reference.api_version),
    ];
    for (field, _) in required.into_iter().filter(|(_, value)| value.is_empty()) {
        errors.add(FieldErrors::missing([field]));
    }
    let namespace = reference.namespace.as_str();
    if !namespace.is_empty() && !parent_namespace.is_empty() && namespace != parent_namespace {
        let (parent, own) = (quoted(parent_namespace), quoted(namespace));
        let found = FieldErrors::generic("mismatched namespaces", "namespace");
        errors.add(found.with_details(format!("parent namespace: {parent} does not match ref: {own}")));
    }
    errors
}
