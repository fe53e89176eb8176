// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a Revision, or with the template of one: control-plane spec 2.3.
//!
//! Depends on: annotation, metadata, pod_spec.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Revision, RevisionSpec, RevisionTemplateSpec};
use crate::admitted::Validate;
use crate::annotation;
use crate::context::Context;
use crate::difference;
use crate::field_error::FieldErrors;
use crate::names::serving;
use crate::{concurrency, metadata, pod_spec};

impl Validate for Revision {
    fn validate(&self, old: Option<&Self>, context: &Context) -> FieldErrors {
        let owner = metadata::owner_label(&self.metadata, serving::CONFIGURATION, "Configuration");
        let of_metadata = metadata::of_scaled(&self.metadata, context).also(owner);
        let mut errors = of_metadata.via_field("metadata");
        match old {
            None => errors.add(spec(&self.spec, context).via_field("spec")),
            Some(old) if old.spec != self.spec => {
                // Knative forgets the rest then.
                let found = FieldErrors::generic("Immutable fields changed (-old +new)", "spec");
                errors = found.with_details(difference::lines(&old.spec, &self.spec));
            }
            Some(_) => {}
        }
        errors
    }
}

/// Whether both name the same Revision, and do name one.
pub(crate) fn has_same_name(old: &RevisionTemplateSpec, new: &RevisionTemplateSpec) -> bool {
    let name = |template: &RevisionTemplateSpec| template.metadata.name.clone().unwrap_or_default();
    !name(new).is_empty() && name(old) == name(new)
}

/// A template of the Service or Configuration `parent`.
pub(crate) fn template(template: &RevisionTemplateSpec, parent: &ObjectMeta, context: &Context) -> FieldErrors {
    let annotations = metadata::annotations(&template.metadata);
    let of_annotations = annotation::autoscaling::validate(annotations, &context.settings.autoscaler)
        .also(annotation::networking(annotations))
        .also(annotation::queue_sidecar(annotations))
        .also(annotation::progress_deadline(annotations));
    spec(&template.spec, context)
        .via_field("spec")
        .also(of_annotations.via_field("metadata.annotations"))
        .also(metadata::revision_name(&template.metadata, parent))
}

fn spec(spec: &RevisionSpec, context: &Context) -> FieldErrors {
    let defaults = &context.settings.defaults;
    let mut errors = pod_spec::validate(&spec.pod, context);
    let most = defaults.max_revision_timeout_seconds;
    if let Some(timeout) = spec
        .timeout_seconds
        .filter(|timeout| *timeout != 0 && !(0..=most).contains(timeout))
    {
        errors.add(FieldErrors::out_of_bounds(timeout, 0, most, "timeoutSeconds"));
    }
    if let Some(wanted) = spec.container_concurrency {
        errors.add(concurrency::validate(wanted, context).via_field("containerConcurrency"));
    }
    errors
}
