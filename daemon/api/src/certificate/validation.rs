// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a Certificate: control-plane spec 2.3. It has no defaults.
//!
//! Depends on: field_error.

use super::{Certificate, CertificateSpec};
use crate::admitted::{SetDefaults, Validate};
use crate::context::Context;
use crate::field_error::FieldErrors;

impl SetDefaults for Certificate {
    fn set_defaults(&mut self, _: Option<&Self>, _: &Context) {}
}

impl Validate for Certificate {
    fn validate(&self, _: Option<&Self>, _: &Context) -> FieldErrors {
        spec(&self.spec).via_field("spec")
    }
}

fn spec(spec: &CertificateSpec) -> FieldErrors {
    let mut errors = FieldErrors::none();
    if spec.dns_names.is_empty() {
        errors.add(FieldErrors::missing(["dnsNames"]));
    }
    for (index, _) in spec.dns_names.iter().enumerate().filter(|(_, name)| name.is_empty()) {
        errors.add(FieldErrors::invalid_value("", format!("dnsNames[{index}]")));
    }
    if spec.secret_name.is_empty() {
        errors.add(FieldErrors::missing(["secretName"]));
    }
    let (domain, suffix) = (&spec.domain, format!(".{}", spec.domain));
    let is_covered = spec
        .dns_names
        .iter()
        .any(|name| name == domain || name.ends_with(&suffix));
    if !domain.is_empty() && !spec.dns_names.is_empty() && !is_covered {
        // Value and path are Knative's, though they look exchanged.
        let path = "domain must be a suffix of, or match exactly, at least one entry in dnsNames";
        errors.add(FieldErrors::invalid_value("domain", path));
    }
    errors
}
