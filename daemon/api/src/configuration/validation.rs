// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a Configuration: control-plane spec 2.3.
//!
//! Depends on: revision.

use super::Configuration;
use crate::admitted::Validate;
use crate::context::Context;
use crate::difference;
use crate::field_error::FieldErrors;
use crate::names::serving;
use crate::revision::RevisionTemplateSpec;
use crate::{metadata, revision};

impl Validate for Configuration {
    fn validate(&self, old: Option<&Self>, context: &Context) -> FieldErrors {
        let mut errors = FieldErrors::none();
        if !context.is_status_update() {
            let owner = metadata::owner_label(&self.metadata, serving::SERVICE, "Service");
            errors.add(metadata::of_parent(&self.metadata).also(owner).via_field("metadata"));
            let template = revision::validation::template(&self.spec.template, &self.metadata, context);
            errors.add(template.via_field("template").via_field("spec"));
        }
        if let Some(old) = old {
            if metadata::is_unowned(&self.metadata) {
                let found = metadata::signatures(&old.metadata, &self.metadata, old.spec != self.spec);
                errors.add(found.via_field("metadata.annotations"));
            }
            errors.add(kept_name(&old.spec.template, &self.spec.template).via_field("spec.template"));
        }
        errors
    }
}

/// A template that keeps the name of its Revision may not change (spec 2.7); paths are those of the template.
pub(crate) fn kept_name(old: &RevisionTemplateSpec, new: &RevisionTemplateSpec) -> FieldErrors {
    if !revision::validation::has_same_name(old, new) || old == new {
        return FieldErrors::none();
    }
    let found = FieldErrors::generic(
        "Saw the following changes without a name change (-old +new)",
        "metadata.name",
    );
    found.with_details(difference::lines(old, new))
}
