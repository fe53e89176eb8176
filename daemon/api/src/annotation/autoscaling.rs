// SPDX-License-Identifier: Apache-2.0
//! Annotations of the autoscaler, on a template, Revision, PodAutoscaler or Metric: control-plane spec 2.5.
//!
//! Depends on: names, field_error, logic (Go's numbers and durations).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use logic::go::number::{self, NumberError};
use logic::go::span::Span;
use logic::settings::Autoscaler;

use crate::field_error::FieldErrors;
use crate::names::{autoscaling as key, first};

type Annotations = BTreeMap<String, String>;

const WINDOW_MIN: Span = Span::from_secs(6);
const WINDOW_MAX: Span = Span::from_secs(3600);
const TARGET_MIN: f64 = 0.01;
const NOT_WHOLE_SECONDS: &str = "must be specified with at most second precision";
/// What the key is followed by, in Knative's path.
const ZERO_IS_OFF: &str = "=0 not allowed by cluster";

/// Everything that is wrong with them.
#[must_use]
pub fn validate(annotations: &Annotations, settings: &Autoscaler) -> FieldErrors {
    class(annotations)
        .also(scales(annotations, settings))
        .also(numbers(annotations))
        .also(spans(annotations))
        .also(metric(annotations))
        .also(algorithm(annotations))
        .also(initial_scale(annotations, settings))
}

fn value<'a>(annotations: &'a Annotations, key: &str) -> Option<&'a str> {
    annotations.get(key).map(String::as_str)
}

fn class(annotations: &Annotations) -> FieldErrors {
    match value(annotations, key::CLASS) {
        Some(class) if class.ends_with(key::CLASS_DOMAIN) && class != key::KPA && class != key::HPA => {
            FieldErrors::invalid_value(class, key::CLASS)
        }
        _ => FieldErrors::none(),
    }
}

fn scales(annotations: &Annotations, settings: &Autoscaler) -> FieldErrors {
    let (min, mut errors) = scale(annotations, &key::MIN_SCALE);
    let (max, found) = scale(annotations, &key::MAX_SCALE);
    errors.add(found);
    if max != 0 && max < min {
        let message = format!("max-scale={max} is less than min-scale={min}");
        let [max_key, _] = key::MAX_SCALE;
        let [min_key, _] = key::MIN_SCALE;
        errors.add(FieldErrors::at(message, [max_key, min_key]));
    }
    let limit = settings.max_scale_limit;
    if let Some((key, _)) = first(&key::MAX_SCALE, annotations)
        && limit != 0
    {
        errors.add(match max {
            0 => FieldErrors::generic(format!("max-scale=0 (unlimited), must be less than {limit}"), key),
            _ if max > limit => FieldErrors::out_of_bounds(max, 1, limit, key),
            _ => FieldErrors::none(),
        });
    }
    errors.also(activation_scale(annotations, min, max))
}

/// A number of pods, 0 if it is absent or wrong.
fn scale(annotations: &Annotations, keys: &[&'static str]) -> (i32, FieldErrors) {
    let Some((key, text)) = first(keys, annotations) else {
        return (0, FieldErrors::none());
    };
    match number::int32(text) {
        Ok(scale) if scale >= 0 => (scale, FieldErrors::none()),
        Err(error) if !is_range(&error) => (0, FieldErrors::invalid_value(text, key)),
        _ => (0, FieldErrors::out_of_bounds(text, 0, i32::MAX, key)),
    }
}

/// A number that is one, but too large.
fn is_range(error: &NumberError) -> bool {
    error.to_string().ends_with("value out of range")
}

fn activation_scale(annotations: &Annotations, min: i32, max: i32) -> FieldErrors {
    let key = key::ACTIVATION_SCALE;
    let Some(text) = value(annotations, key) else {
        return FieldErrors::none();
    };
    let Ok(scale) = number::int32(text) else {
        return FieldErrors::invalid_value(text, key);
    };
    if min > scale {
        FieldErrors::generic(format!("min-scale={min} is greater than activation-scale={scale}"), key)
    } else if max < scale && max != 0 {
        FieldErrors::generic(format!("max-scale={max} is less than activation-scale={scale}"), key)
    } else if scale < 2 {
        FieldErrors::generic(format!("activation-scale={scale} must be greater than 1"), key)
    } else {
        FieldErrors::none()
    }
}

fn numbers(annotations: &Annotations) -> FieldErrors {
    let mut errors = between(annotations, &key::PANIC_WINDOW_PERCENTAGE, 1, 100);
    errors.add(between(annotations, &key::PANIC_THRESHOLD_PERCENTAGE, 110, 1000));
    errors.add(between(annotations, &key::TARGET_UTILIZATION_PERCENTAGE, 1, 100));
    if let Some(text) = value(annotations, key::TARGET) {
        errors.add(match number::float(text) {
            Err(_) => FieldErrors::invalid_value(text, key::TARGET),
            Ok(target) if target < TARGET_MIN => {
                FieldErrors::generic(format!("target {text} should be at least {TARGET_MIN}"), key::TARGET)
            }
            Ok(_) => FieldErrors::none(),
        });
    }
    if let Some((key, text)) = first(&key::TARGET_BURST_CAPACITY, annotations) {
        let is_unlimited = |capacity: f64| (capacity + 1.0).abs() == 0.0;
        let is_good = number::float(text)
            .is_ok_and(|capacity| capacity.partial_cmp(&0.0) != Some(Ordering::Less) || is_unlimited(capacity));
        if !is_good {
            errors.add(FieldErrors::invalid_value(text, key));
        }
    }
    errors
}

fn between(annotations: &Annotations, keys: &[&'static str], low: i32, high: i32) -> FieldErrors {
    let Some((key, text)) = first(keys, annotations) else {
        return FieldErrors::none();
    };
    match number::float(text) {
        Err(_) => FieldErrors::invalid_value(text, key),
        Ok(value) if value < f64::from(low) || value > f64::from(high) => {
            FieldErrors::out_of_bounds(text, low, high, key)
        }
        Ok(_) => FieldErrors::none(),
    }
}

fn spans(annotations: &Annotations) -> FieldErrors {
    let retention = &key::SCALE_TO_ZERO_POD_RETENTION_PERIOD;
    span(annotations, &[key::WINDOW], WINDOW_MIN, true)
        .also(span(annotations, &key::SCALE_DOWN_DELAY, Span::ZERO, true))
        .also(span(annotations, retention, Span::ZERO, false))
}

fn span(annotations: &Annotations, keys: &[&'static str], low: Span, is_whole: bool) -> FieldErrors {
    let Some((key, text)) = first(keys, annotations) else {
        return FieldErrors::none();
    };
    match Span::parse(text) {
        Err(_) => FieldErrors::invalid_value(text, key),
        Ok(span) if span < low || span > WINDOW_MAX => FieldErrors::out_of_bounds(text, low, WINDOW_MAX, key),
        Ok(span) if is_whole && !span.is_whole_seconds() => FieldErrors::generic(NOT_WHOLE_SECONDS, key),
        Ok(_) => FieldErrors::none(),
    }
}

fn metric(annotations: &Annotations) -> FieldErrors {
    let Some(metric) = value(annotations, key::METRIC) else {
        return FieldErrors::none();
    };
    let is_good = match value(annotations, key::CLASS).unwrap_or(key::KPA) {
        key::KPA => matches!(metric, key::CONCURRENCY | key::RPS),
        key::HPA => !metric.is_empty(),
        _ => true,
    };
    match is_good {
        true => FieldErrors::none(),
        false => FieldErrors::invalid_value(metric, key::METRIC),
    }
}

/// Only where the class is said to be Knative's own.
fn algorithm(annotations: &Annotations) -> FieldErrors {
    match first(&key::METRIC_AGGREGATION_ALGORITHM, annotations) {
        Some((key, algorithm))
            if value(annotations, key::CLASS) == Some(key::KPA)
                && !matches!(
                    algorithm,
                    "" | "linear" | "weighted-exponential" | "weightedExponential"
                ) =>
        {
            FieldErrors::invalid_value(algorithm, key)
        }
        _ => FieldErrors::none(),
    }
}

fn initial_scale(annotations: &Annotations, settings: &Autoscaler) -> FieldErrors {
    let Some((key, text)) = first(&key::INITIAL_SCALE, annotations) else {
        return FieldErrors::none();
    };
    match number::int64(text) {
        Err(_) => FieldErrors::invalid_value(text, key),
        Ok(scale) if scale < 0 => FieldErrors::invalid_value(text, format!("{key} must be greater than 0")),
        Ok(0) if !settings.allow_zero_initial_scale => FieldErrors::invalid_value(text, format!("{key}{ZERO_IS_OFF}")),
        Ok(_) => FieldErrors::none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_classes_below_the_domain_of_knative_are_its_own() {
        let errors = |text: &str| class(&Annotations::from([(key::CLASS.to_owned(), text.to_owned())])).error();
        for free in ["myknative.dev", "knative.dev", "a.example.com", "", key::KPA, key::HPA] {
            assert_eq!(errors(free), None, "{free}");
        }
        assert!(errors("other.knative.dev").is_some());
    }
}
