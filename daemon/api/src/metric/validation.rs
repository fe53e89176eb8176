// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a Metric: control-plane spec 2.3. It has no defaults.
//!
//! Depends on: metadata.

use super::{Metric, MetricSpec};
use crate::admitted::{SetDefaults, Validate};
use crate::context::Context;
use crate::field_error::FieldErrors;
use crate::metadata;

impl SetDefaults for Metric {
    fn set_defaults(&mut self, _: Option<&Self>, _: &Context) {}
}

impl Validate for Metric {
    fn validate(&self, _: Option<&Self>, context: &Context) -> FieldErrors {
        let mut errors = metadata::of_scaled(&self.metadata, context).via_field("metadata");
        if self.spec == MetricSpec::default() {
            errors.add(FieldErrors::missing(["spec"]));
        }
        errors
    }
}
