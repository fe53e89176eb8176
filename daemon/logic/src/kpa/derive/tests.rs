// SPDX-License-Identifier: Apache-2.0
//! Settings that follow from annotations and config-autoscaler (V20 and the table of 1.9).

use super::*;
use crate::kpa::profile::Profile;
use crate::kpa::spec::Metric;
use crate::settings::{Autoscaler, Deployment};

fn derive(annotations: Annotations, container_concurrency: i64) -> Spec {
    Spec::derive(
        &annotations,
        container_concurrency,
        Reachability::Reachable,
        &Config::default(),
    )
}

#[test]
fn a_revision_without_annotations_has_the_defaults() {
    assert_eq!(derive(Annotations::default(), 0), Spec::default());
}

#[test]
fn targets_are_those_of_the_spec() {
    let of = |annotations, container_concurrency| {
        let spec = derive(annotations, container_concurrency);
        (spec.target_value, spec.total_value)
    };
    let target = |target| Annotations {
        target: Some(target),
        ..Annotations::default()
    };
    assert_eq!(of(Annotations::default(), 0), (70.0, 100.0));
    assert_eq!(of(Annotations::default(), 5), (3.5, 5.0));
    assert_eq!(of(target(10.0), 5), (3.5, 5.0));
    assert_eq!(of(target(10.0), 0), (7.0, 10.0));
    let utilised = Annotations {
        target_utilization_percentage: Some(80.0),
        ..target(10.0)
    };
    assert_eq!(of(utilised, 0), (8.0, 10.0));
    let rps = Annotations {
        metric: Some(Metric::Rps),
        ..Annotations::default()
    };
    assert_eq!(of(rps, 0), (140.0, 200.0));
    assert_eq!(of(target(0.01), 0), (0.01, 0.01));
}

#[test]
fn containers_do_not_bound_a_target_in_requests_a_second() {
    let rps = Annotations {
        metric: Some(Metric::Rps),
        target: Some(300.0),
        ..Annotations::default()
    };
    assert_eq!(derive(rps, 5).total_value, 300.0);
}

#[test]
fn the_panic_window_is_whole_seconds_and_at_least_one() {
    let of = |window, percentage| {
        let annotations = Annotations {
            window: Some(Duration::from_secs(window)),
            panic_window_percentage: Some(percentage),
            ..Annotations::default()
        };
        derive(annotations, 0).panic_window.as_secs()
    };
    assert_eq!(of(60, 10.0), 6);
    assert_eq!(of(15, 10.0), 2);
    assert_eq!(of(14, 10.0), 1);
    assert_eq!(of(6, 1.0), 1);
    assert_eq!(of(60, f64::NAN), 1);
}

#[test]
fn zero_initial_pods_need_the_operators_leave() {
    let zero = Annotations {
        initial_scale: Some(0),
        ..Annotations::default()
    };
    let allowed = Config {
        allow_zero_initial_scale: true,
        ..Config::default()
    };
    assert_eq!(initial_scale(&zero, &Config::default()), 1);
    assert_eq!(initial_scale(&zero, &allowed), 0);
}

#[test]
fn only_a_revision_known_to_be_unreachable_is_unreachable() {
    let reachable = |reachability| Spec::derive(&Annotations::default(), 0, reachability, &Config::default()).reachable;
    assert!(reachable(Reachability::Unknown));
    assert!(reachable(Reachability::Reachable));
    assert!(!reachable(Reachability::Unreachable));
}

#[test]
fn the_defaults_are_those_of_the_config_maps() {
    let found = Config::of(&Autoscaler::default(), &Deployment::default());
    assert_eq!(found, Config::default());
}

#[test]
fn profiles_are_found_by_name_and_default_is_knatives() {
    for profile in Profile::ALL {
        assert_eq!(Profile::named(profile.name()), Some(profile));
    }
    assert_eq!(Profile::default().config(), Config::default());
    let articles = Profile::Articles.config();
    assert_eq!(articles.scale_down_delay, Duration::from_secs(300));
    assert_eq!(
        (articles.target_burst_capacity, articles.max_scale_up_rate),
        (200.0, 10.0)
    );
    assert_eq!(Profile::named("fast"), None);
}
