// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a ServerlessService: control-plane spec 2.3. It has no defaults.
//!
//! Depends on: annotation, metadata, reference.

use super::{ServerlessService, ServerlessServiceSpec};
use crate::admitted::{SetDefaults, Validate};
use crate::context::Context;
use crate::field_error::FieldErrors;
use crate::{annotation, metadata, reference};

impl SetDefaults for ServerlessService {
    fn set_defaults(&mut self, _: Option<&Self>, _: &Context) {}
}

impl Validate for ServerlessService {
    fn validate(&self, _: Option<&Self>, _: &Context) -> FieldErrors {
        let annotations = annotation::networking(metadata::annotations(&self.metadata));
        annotations
            .via_field("annotations")
            .also(spec(&self.spec).via_field("spec"))
    }
}

fn spec(spec: &ServerlessServiceSpec) -> FieldErrors {
    if *spec == ServerlessServiceSpec::default() {
        return FieldErrors::missing([""]);
    }
    let mut errors = match spec.mode.as_str() {
        "Proxy" | "Serve" => FieldErrors::none(),
        "" => FieldErrors::missing(["mode"]),
        other => FieldErrors::invalid_value(other, "mode"),
    };
    if spec.num_activators < 0 {
        errors.add(FieldErrors::invalid_value(spec.num_activators, "numActivators"));
    }
    errors.add(reference::validate(&spec.object_ref).via_field("objectRef"));
    errors.add(reference::protocol(&spec.protocol_type).via_field("protocolType"));
    errors
}
