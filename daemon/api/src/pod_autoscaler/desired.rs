// SPDX-License-Identifier: Apache-2.0
//! What a PodAutoscaler makes: a ServerlessService and a Metric of its own name; control-plane spec 4.10.
//!
//! Invariants: the panic window is a whole number of seconds and at least one.
//! Depends on: logic's settings, metric, names, object, serverless_service.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use logic::go::number;
use logic::settings::{Autoscaler, Span};

use super::PodAutoscaler;
use crate::metric::{Metric, MetricSpec, MetricStatus};
use crate::names::{autoscaling, first};
use crate::serverless_service::{ServerlessService, ServerlessServiceSpec, ServerlessServiceStatus};

/// One second, in nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// The ServerlessService: `mode` is `Serve` or `Proxy`; `activators`: how many stand in front, 0: all.
#[must_use]
pub fn serverless_service(scaling: &PodAutoscaler, mode: &str, activators: i32) -> ServerlessService {
    let mut metadata = metadata(scaling);
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(autoscaling::METRIC);
    }
    ServerlessService {
        metadata,
        spec: ServerlessServiceSpec {
            mode: mode.to_owned(),
            object_ref: scaling.spec.scale_target_ref.clone(),
            protocol_type: scaling.spec.protocol_type.clone(),
            num_activators: activators,
        },
        status: ServerlessServiceStatus::default(),
    }
}

/// The Metric; `scrape_target`: the Service in front of the pods, or empty ([`scrape_target`]).
#[must_use]
pub fn metric(scaling: &PodAutoscaler, scrape_target: &str, operator: &Autoscaler) -> Metric {
    let stable = stable_window(scaling, operator);
    Metric {
        metadata: metadata(scaling),
        spec: MetricSpec {
            stable_window: stable,
            panic_window: panic_window(scaling, stable, operator),
            scrape_target: scrape_target.to_owned(),
        },
        status: MetricStatus::default(),
    }
}

/// Whose pods are measured: nobody's where the activator is always in the path and counts for all.
#[must_use]
pub fn scrape_target<'a>(scaling: &'a PodAutoscaler, operator: &Autoscaler) -> &'a str {
    let wanted = float(scaling, &autoscaling::TARGET_BURST_CAPACITY).unwrap_or(operator.target_burst_capacity);
    match wanted.total_cmp(&-1.0).is_eq() {
        true => "",
        false => &scaling.status.metrics_service_name,
    }
}

fn metadata(scaling: &PodAutoscaler) -> ObjectMeta {
    ObjectMeta {
        name: scaling.metadata.name.clone(),
        namespace: scaling.metadata.namespace.clone(),
        labels: scaling.metadata.labels.clone(),
        annotations: scaling.metadata.annotations.clone(),
        owner_references: Some(vec![scaling.controller_reference()]),
        ..ObjectMeta::default()
    }
}

/// In nanoseconds: the annotation's, else the operator's.
fn stable_window(scaling: &PodAutoscaler, operator: &Autoscaler) -> i64 {
    scaling
        .annotation(autoscaling::WINDOW)
        .and_then(|text| Span::parse(text).ok())
        .unwrap_or(operator.stable_window)
        .as_nanos()
}

/// In nanoseconds: the wanted share of the stable window, rounded to seconds.
fn panic_window(scaling: &PodAutoscaler, stable: i64, operator: &Autoscaler) -> i64 {
    let percentage = float(scaling, &autoscaling::PANIC_WINDOW_PERCENTAGE).unwrap_or(operator.panic_window_percentage);
    // As Knative computes it: a float that is cut to nanoseconds, then rounded half away from zero.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "windows are at most an hour"
    )]
    let share = (stable as f64 * percentage / 100.0) as i64;
    let seconds = share.saturating_add(SECOND / 2) / SECOND;
    seconds.max(1).saturating_mul(SECOND)
}

fn float(scaling: &PodAutoscaler, keys: &[&'static str]) -> Option<f64> {
    let (_, text) = first(keys, scaling.metadata.annotations.as_ref()?)?;
    number::float(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn scaling(annotations: &[(&str, &str)]) -> PodAutoscaler {
        let mut scaling = PodAutoscaler::default();
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        scaling.metadata.annotations = Some(annotations.iter().map(owned).collect::<BTreeMap<_, _>>());
        scaling
    }

    #[test]
    fn the_panic_window_is_never_below_a_second() {
        let small = scaling(&[
            (autoscaling::WINDOW, "6s"),
            (autoscaling::PANIC_WINDOW_PERCENTAGE[0], "1"),
        ]);
        let spec = metric(&small, "", &Autoscaler::default()).spec;
        assert_eq!((spec.stable_window, spec.panic_window), (6 * SECOND, SECOND));
    }

    #[test]
    fn nothing_is_measured_at_pods_behind_an_activator_that_never_leaves() {
        let mut always = scaling(&[(autoscaling::TARGET_BURST_CAPACITY[0], "-1")]);
        always.status.metrics_service_name = "hello-private".to_owned();
        assert_eq!(scrape_target(&always, &Autoscaler::default()), "");
        always.metadata.annotations = None;
        assert_eq!(scrape_target(&always, &Autoscaler::default()), "hello-private");
    }

    #[test]
    fn what_is_measured_is_not_the_services_business() {
        let made = serverless_service(&scaling(&[(autoscaling::METRIC, "rps"), ("a", "b")]), "Proxy", 2);
        assert_eq!(
            made.metadata.annotations,
            Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]))
        );
    }
}
