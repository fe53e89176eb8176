// SPDX-License-Identifier: Apache-2.0
//! The metadata of an object: its name, who made it, whom it belongs to; control-plane spec 2.3, 2.6, 2.7 and 3.
//!
//! Depends on: context, field_error, names, syntax.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use logic::go::print::quoted;

use crate::annotation::{self, Annotations};
use crate::context::{Context, Occasion};
use crate::field_error::FieldErrors;
use crate::names::serving;
use logic::syntax;

/// The annotations, none if there are none.
#[must_use]
pub fn annotations(metadata: &ObjectMeta) -> &Annotations {
    static NONE: Annotations = Annotations::new();
    metadata.annotations.as_ref().unwrap_or(&NONE)
}

/// A name, or what it shall begin with; as labels of DNS-1035. Only the first problem is said.
#[must_use]
pub fn name(metadata: &ObjectMeta) -> FieldErrors {
    let name = metadata.name.as_deref().unwrap_or_default();
    let prefix = metadata.generate_name.as_deref().unwrap_or_default();
    if let Some(why) = no_prefix(prefix) {
        FieldErrors::generic(why, "generateName")
    } else if let Some(why) = no_label(name) {
        FieldErrors::generic(why, "name")
    } else if name.is_empty() && prefix.is_empty() {
        FieldErrors::generic("name or generateName is required", "name")
    } else {
        FieldErrors::none()
    }
}

/// The name and the annotations of an object whose template has the autoscaler's.
#[must_use]
pub fn of_parent(metadata: &ObjectMeta) -> FieldErrors {
    name(metadata).also(annotation::no_autoscaling(annotations(metadata)).via_field("annotations"))
}

/// The name and the annotations of an object that has the autoscaler's.
#[must_use]
pub fn of_scaled(metadata: &ObjectMeta, context: &Context) -> FieldErrors {
    let found = annotation::autoscaling::validate(annotations(metadata), &context.settings.autoscaler);
    name(metadata).also(found.via_field("annotations"))
}

/// The name that a Service or Configuration gives to its next Revision (spec 2.7); paths are those of the template.
#[must_use]
pub fn revision_name(template: &ObjectMeta, parent: &ObjectMeta) -> FieldErrors {
    let name = template.name.as_deref().unwrap_or_default();
    if let Some(why) = no_prefix(template.generate_name.as_deref().unwrap_or_default()) {
        return FieldErrors::invalid_value(why, "metadata.generateName");
    }
    if name.is_empty() {
        return FieldErrors::none();
    }
    if let Some(why) = no_label(name) {
        return FieldErrors::invalid_value(why, "metadata.name");
    }
    let is_empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    if is_empty(&parent.name) && !is_empty(&parent.generate_name) {
        return FieldErrors::disallowed(["metadata.name"]);
    }
    let prefix = format!("{}-", parent.name.as_deref().unwrap_or_default());
    match name.starts_with(&prefix) {
        true => FieldErrors::none(),
        false => {
            let why = format!("{} must have prefix {}", quoted(name), quoted(&prefix));
            FieldErrors::invalid_value(why, "metadata.name")
        }
    }
}

fn no_label(name: &str) -> Option<String> {
    let problems = syntax::dns1035_label(name);
    (!name.is_empty() && !problems.is_empty()).then(|| format!("not a DNS 1035 label: {}", syntax::listed(&problems)))
}

fn no_prefix(prefix: &str) -> Option<String> {
    let problems = syntax::dns1035_prefix(prefix);
    (!prefix.is_empty() && !problems.is_empty())
        .then(|| format!("not a DNS 1035 label prefix: {}", syntax::listed(&problems)))
}

/// A label that names an owner needs that owner.
#[must_use]
pub fn owner_label(metadata: &ObjectMeta, label: &'static str, kind: &str) -> FieldErrors {
    let Some(name) = metadata.labels.as_ref().and_then(|labels| labels.get(label)) else {
        return FieldErrors::none();
    };
    let owners = metadata.owner_references.as_deref().unwrap_or_default();
    match owners.iter().any(|owner| owner.kind == kind && owner.name == *name) {
        true => FieldErrors::none(),
        false => FieldErrors::missing([label]).via_field("labels"),
    }
}

/// Whether nothing owns the object.
#[must_use]
pub fn is_unowned(metadata: &ObjectMeta) -> bool {
    metadata.owner_references.as_ref().is_none_or(Vec::is_empty)
}

/// Writes who made the object, and who changed its spec (spec 3).
pub fn sign(metadata: &mut ObjectMeta, context: &Context, has_changed: bool) {
    let (user, is_new) = match context.occasion {
        Occasion::Create { user } => (user, true),
        Occasion::Update { user, .. } => (user, false),
        Occasion::Reconcile => return,
    };
    let mut put = |key: &str| {
        let annotations = metadata.annotations.get_or_insert_default();
        annotations.insert(key.to_owned(), user.to_owned());
    };
    if is_new {
        put(serving::CREATOR);
    }
    if is_new || has_changed {
        put(serving::LAST_MODIFIER);
    }
}

/// Nobody may claim another's work (spec 2.6); paths are those of the annotations.
#[must_use]
pub fn signatures(old: &ObjectMeta, new: &ObjectMeta, has_changed: bool) -> FieldErrors {
    let of = |metadata: &ObjectMeta, key: &str| annotations(metadata).get(key).cloned().unwrap_or_default();
    let mut errors = FieldErrors::none();
    if of(old, serving::CREATOR) != of(new, serving::CREATOR) {
        errors.add(FieldErrors::generic("annotation value is immutable", serving::CREATOR));
    }
    let modifier = of(new, serving::LAST_MODIFIER);
    if !has_changed && of(old, serving::LAST_MODIFIER) != modifier {
        errors.add(FieldErrors::invalid_value(modifier, serving::LAST_MODIFIER));
    }
    errors
}
