// SPDX-License-Identifier: Apache-2.0
//! The environment of a container: control-plane spec 2.4.
//!
//! Depends on: allowed, role.

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar};
use logic::go::print::quoted;
use logic::settings::Features;

use super::allowed;
use super::role::Role;
use crate::field_error::FieldErrors;

/// Set by Knative in every container.
const RESERVED: [&str; 3] = ["K_SERVICE", "K_CONFIGURATION", "K_REVISION"];
/// Set by Knative in the container that serves.
const RESERVED_WHERE_SERVING: &str = "PORT";

pub(super) fn variables(variables: &[EnvVar], role: Role, features: &Features) -> FieldErrors {
    let mut errors = FieldErrors::none();
    for (index, variable) in variables.iter().enumerate() {
        errors.add(self::variable(variable, role, features).via_index(index));
    }
    errors
}

fn variable(variable: &EnvVar, role: Role, features: &Features) -> FieldErrors {
    let name = variable.name.as_str();
    let is_reserved = RESERVED.contains(&name) || role == Role::Serving && name == RESERVED_WHERE_SERVING;
    let mut errors = FieldErrors::none();
    if name.is_empty() {
        errors.add(FieldErrors::missing(["name"]));
    } else if is_reserved {
        let message = format!("{} is a reserved environment variable", quoted(name));
        errors.add(FieldErrors::generic(message, "name"));
    }
    if let Some(source) = &variable.value_from {
        errors.add(allowed::env_var_source(source, features).via_field("valueFrom"));
    }
    errors
}

/// Knative puts the place of a source in front of everything that it found before (spec 2.2, quirks of paths).
pub(super) fn sources(sources: &[EnvFromSource]) -> FieldErrors {
    let mut errors = FieldErrors::none();
    for (index, source) in sources.iter().enumerate() {
        if source.secret_ref.is_some() {
            errors = errors.via_index(index).via_field("secretRef");
        }
        if source.config_map_ref.is_some() {
            errors = errors.via_index(index).via_field("configMapRef");
        }
        errors.add(match (&source.config_map_ref, &source.secret_ref) {
            (Some(_), Some(_)) => FieldErrors::multiple_one_of(["configMapRef", "secretRef"]),
            (None, None) => FieldErrors::missing_one_of(["configMapRef", "secretRef"]),
            _ => FieldErrors::none(),
        });
    }
    errors
}
