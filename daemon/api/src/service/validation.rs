// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a Service: control-plane spec 2.3.
//!
//! Depends on: configuration, revision, route.

use super::Service;
use crate::admitted::Validate;
use crate::annotation;
use crate::context::Context;
use crate::field_error::FieldErrors;
use crate::{configuration, metadata, revision, route};

impl Validate for Service {
    fn validate(&self, old: Option<&Self>, context: &Context) -> FieldErrors {
        let mut errors = FieldErrors::none();
        // What a controller says about an old object must not be refused for what the object has been all along.
        if !context.is_status_update() {
            let rollout = annotation::rollout_duration(metadata::annotations(&self.metadata));
            let of_metadata = metadata::of_parent(&self.metadata).also(rollout.via_field("annotations"));
            errors.add(of_metadata.via_field("metadata"));
            let template = revision::validation::template(&self.spec.template, &self.metadata, context);
            errors.add(template.via_field("template").via_field("spec"));
            let traffic = route::validation::traffic(&self.spec.traffic, true);
            errors.add(traffic.via_field("traffic").via_field("spec"));
        }
        if let Some(old) = old {
            let found = metadata::signatures(&old.metadata, &self.metadata, old.spec != self.spec);
            errors.add(found.via_field("metadata.annotations"));
            let found = configuration::validation::kept_name(&old.spec.template, &self.spec.template);
            errors.add(found.via_field("spec.template"));
        }
        errors
    }
}
