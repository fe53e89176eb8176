// SPDX-License-Identifier: Apache-2.0
//! What a Configuration gets that does not say it: control-plane spec 3.
//!
//! Depends on: revision.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Configuration;
use crate::admitted::SetDefaults;
use crate::context::Context;
use crate::revision::RevisionTemplateSpec;
use crate::{metadata, revision};

impl SetDefaults for Configuration {
    fn set_defaults(&mut self, old: Option<&Self>, context: &Context) {
        let old_template = old.map(|old| &old.spec.template);
        template(&mut self.spec.template, old_template, &self.metadata, context);
        if metadata::is_unowned(&self.metadata) {
            let has_changed = old.is_none_or(|old| old.spec != self.spec);
            metadata::sign(&mut self.metadata, context, has_changed);
        }
    }
}

/// Fills in a template, unless it names a Revision that may already be there: new defaults must not look like a change
/// by the user (spec 2.7).
pub(crate) fn template(
    template: &mut RevisionTemplateSpec,
    old: Option<&RevisionTemplateSpec>,
    parent: &ObjectMeta,
    context: &Context,
) {
    let keeps_name = old.is_some_and(|old| revision::validation::has_same_name(old, template));
    if !keeps_name {
        revision::defaults::spec(&mut template.spec, parent, context);
    }
}
