// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a PodAutoscaler: control-plane spec 2.3.
//!
//! Depends on: concurrency, metadata, reference.

use super::{PodAutoscaler, PodAutoscalerSpec};
use crate::admitted::Validate;
use crate::context::Context;
use crate::field_error::FieldErrors;
use crate::{concurrency, metadata, reference};

impl Validate for PodAutoscaler {
    fn validate(&self, _: Option<&Self>, context: &Context) -> FieldErrors {
        let of_spec = if self.spec == PodAutoscalerSpec::default() {
            FieldErrors::missing([""])
        } else {
            let of_concurrency = concurrency::validate(self.spec.container_concurrency, context);
            reference::validate(&self.spec.scale_target_ref)
                .via_field("scaleTargetRef")
                .also(of_concurrency.via_field("containerConcurrency"))
                .also(reference::protocol(&self.spec.protocol_type).via_field("protocolType"))
        };
        metadata::of_scaled(&self.metadata, context)
            .via_field("metadata")
            .also(of_spec.via_field("spec"))
    }
}
