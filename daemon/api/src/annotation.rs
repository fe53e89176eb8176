// SPDX-License-Identifier: Apache-2.0
//! Annotations that Knative reads: control-plane spec 2.5.
//!
//! Depends on: names, field_error, logic (Go's numbers and durations).

pub mod autoscaling;

use std::collections::BTreeMap;

use logic::go::number;
use logic::go::print::float;
use logic::go::span::Span;
use logic::quantity::Quantity;

use crate::field_error::FieldErrors;
use crate::names::{self, group, networking, queue_sidecar, serving};

/// Annotations by key.
pub type Annotations = BTreeMap<String, String>;

const QUEUE_RESOURCES: [&str; 6] = [
    queue_sidecar::CPU_REQUEST,
    queue_sidecar::CPU_LIMIT,
    queue_sidecar::MEMORY_REQUEST,
    queue_sidecar::MEMORY_LIMIT,
    queue_sidecar::EPHEMERAL_STORAGE_REQUEST,
    queue_sidecar::EPHEMERAL_STORAGE_LIMIT,
];

const PERCENTAGE_IS_DEPRECATED: &str = "Queue proxy resource percentage annotation is deprecated. Please use the \
    available annotations to explicitly set resource values per service";

/// Keys under `networking.knative.dev` that do not exist, on a template or a ServerlessService.
#[must_use]
pub fn networking(annotations: &Annotations) -> FieldErrors {
    let is_known = |key: &str| {
        networking::INGRESS_CLASS.contains(&key)
            || networking::CERTIFICATE_CLASS.contains(&key)
            || networking::DISABLE_EXTERNAL_DOMAIN_TLS.contains(&key)
            || networking::HTTP_PROTOCOL.contains(&key)
    };
    annotations
        .keys()
        .filter(|key| key.starts_with(group::NETWORKING) && !is_known(key))
        .map(|key| FieldErrors::invalid_key(key, ""))
        .fold(FieldErrors::none(), FieldErrors::also)
}

/// Keys of the autoscaler on an object whose template should have them.
#[must_use]
pub fn no_autoscaling(annotations: &Annotations) -> FieldErrors {
    let words = "autoscaling annotations must be put under \"spec.template.metadata.annotations\" to work";
    annotations
        .keys()
        .filter(|key| key.starts_with(group::AUTOSCALING))
        .map(|key| FieldErrors::invalid_key(key, "").with_details(words))
        .fold(FieldErrors::none(), FieldErrors::also)
}

/// Resources of the queue-proxy on a template.
#[must_use]
pub fn queue_sidecar(annotations: &Annotations) -> FieldErrors {
    let mut errors = FieldErrors::none();
    if let Some((key, text)) = names::first(&queue_sidecar::RESOURCE_PERCENTAGE, annotations) {
        errors.add(FieldErrors::nowhere(PERCENTAGE_IS_DEPRECATED.to_owned()).as_warning());
        errors.add(percentage(text).via_key(key));
    }
    for key in QUEUE_RESOURCES {
        let text = annotations.get(key);
        if let Some(text) = text.filter(|text| Quantity::parse(text).is_err()) {
            errors.add(FieldErrors::invalid_value(text, "").via_key(key));
        }
    }
    errors
}

#[expect(clippy::manual_range_contains, reason = "NaN is within Knative's bounds")]
fn percentage(text: &str) -> FieldErrors {
    match number::float(text) {
        Err(_) => FieldErrors::invalid_value(text, ""),
        Ok(value) if value < 0.1 || value > 100.0 => FieldErrors::out_of_bounds(float(value), "0.1", "100", ""),
        Ok(_) => FieldErrors::none(),
    }
}

/// How long a Deployment may take, on a template.
#[must_use]
pub fn progress_deadline(annotations: &Annotations) -> FieldErrors {
    let key = serving::PROGRESS_DEADLINE;
    let text = annotations.get(key).map(String::as_str);
    whole_seconds("progress-deadline", key, text.unwrap_or_default())
}

/// Over how long the traffic moves, on a Service or a Route.
#[must_use]
pub fn rollout_duration(annotations: &Annotations) -> FieldErrors {
    match names::first(&serving::ROLLOUT_DURATION, annotations) {
        Some((key, text)) => whole_seconds("rollout-duration", key, text),
        None => FieldErrors::none(),
    }
}

fn whole_seconds(title: &str, key: &str, text: &str) -> FieldErrors {
    match Span::parse(text) {
        _ if text.is_empty() => FieldErrors::none(),
        Err(_) => FieldErrors::invalid_value(text, key),
        Ok(span) if !span.is_whole_seconds() => {
            FieldErrors::generic(format!("{title}={text} is not at second precision"), key)
        }
        Ok(span) if span < Span::ZERO => FieldErrors::generic(format!("{title}={text} must be positive"), key),
        Ok(_) => FieldErrors::none(),
    }
}
