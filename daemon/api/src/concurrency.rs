// SPDX-License-Identifier: Apache-2.0
//! How many requests at once a pod may ask for: control-plane spec 2.3.
//!
//! Depends on: context, field_error.

use crate::context::Context;
use crate::field_error::FieldErrors;

/// What is wrong with a `containerConcurrency`, by the bounds of config-defaults; the path is its own.
#[must_use]
pub fn validate(concurrency: i64, context: &Context) -> FieldErrors {
    let defaults = &context.settings.defaults;
    let least = i64::from(!defaults.allow_container_concurrency_zero);
    let most = defaults.container_concurrency_max_limit;
    match (least..=most).contains(&concurrency) {
        true => FieldErrors::none(),
        false => FieldErrors::out_of_bounds(concurrency, least, most, ""),
    }
}
