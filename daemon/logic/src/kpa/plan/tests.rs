// SPDX-License-Identifier: Apache-2.0
//! A PodAutoscaler's life, plan by plan.

use super::*;
use proptest::prelude::*;

const NOW: Moment = Moment::from_unix_seconds(1_700_000_000);

fn ago(seconds: u64) -> Moment {
    Moment::from_unix_seconds(1_700_000_000 - seconds)
}

/// A running revision with one pod.
fn running(annotations: &Annotations) -> Observed<'_> {
    Observed {
        annotations,
        reachability: Reachability::Reachable,
        condition: ActiveSince {
            active: Active::Yes,
            since: ago(3600),
        },
        is_initialised: true,
        desired_scale: Some(1),
        has_service: true,
        path: Path {
            mode: Mode::Proxy,
            proxied_since: Some(ago(3600)),
        },
        ready: 1,
        replicas: Some(1),
    }
}

/// A revision that was just made.
fn fresh(annotations: &Annotations) -> Observed<'_> {
    Observed {
        condition: ActiveSince {
            active: Active::Activating,
            since: NOW,
        },
        is_initialised: false,
        desired_scale: None,
        ready: 0,
        ..running(annotations)
    }
}

fn decided(desired: i32, excess_burst_capacity: i32) -> Decision {
    Decision {
        desired,
        excess_burst_capacity,
    }
}

fn planned(observed: &Observed<'_>, decision: Decision, probe: Probe) -> Plan {
    let config = Config::default();
    let spec = Spec::derive(observed.annotations, 0, observed.reachability, &config);
    match plan(NOW, observed, decision, &spec, &config, probe) {
        Planned::Do(plan) => plan,
        Planned::Probe => panic!("an answer was given"),
    }
}

fn bounded(min: i32, max: i32) -> Annotations {
    Annotations {
        min_scale: Some(min),
        max_scale: Some(max),
        ..Annotations::default()
    }
}

#[test]
fn what_is_decided_is_brought_within_the_bounds() {
    for (min, max, decided_scale, expected) in [(5, 3, 1, 5), (0, 0, 500, 500), (0, 10, 500, 10)] {
        let annotations = bounded(min, max);
        let plan = planned(&running(&annotations), decided(decided_scale, -1), Probe::NotAsked);
        assert_eq!(plan.scale_to, Some(expected));
    }
}

#[test]
fn a_new_revision_gets_its_initial_pods_before_any_sample() {
    let annotations = Annotations {
        initial_scale: Some(3),
        ..Annotations::default()
    };
    let plan = planned(&fresh(&annotations), decided(UNKNOWN, 89), Probe::NotAsked);
    assert_eq!(
        (plan.want, plan.scale_to, plan.activity),
        (3, Some(3), Activity::Queued)
    );
    assert_eq!(plan.mode, Mode::Serve);
}

#[test]
fn a_new_revision_with_one_initial_pod_is_left_to_its_deployment() {
    let annotations = Annotations::default();
    let plan = planned(&fresh(&annotations), decided(UNKNOWN, -111), Probe::NotAsked);
    assert_eq!((plan.want, plan.scale_to, plan.mode), (UNKNOWN, None, Mode::Proxy));
    assert_eq!((plan.activity, plan.desired_scale), (Activity::Queued, Some(UNKNOWN)));
    assert!(!plan.is_initialised);
}

#[test]
fn the_initial_pods_initialise_it_for_good() {
    let annotations = Annotations::default();
    let one = Observed {
        ready: 1,
        ..fresh(&annotations)
    };
    let plan = planned(&one, decided(UNKNOWN, -111), Probe::NotAsked);
    assert!(plan.is_initialised);
    assert_eq!(plan.activity, Activity::Active);
    let gone = Observed {
        ready: 0,
        ..running(&annotations)
    };
    assert!(planned(&gone, decided(1, -111), Probe::NotAsked).is_initialised);
}

#[test]
fn without_traffic_it_becomes_inactive_first_and_loses_its_pod_after_a_probe() {
    let annotations = Annotations::default();
    let plan = planned(&running(&annotations), decided(0, -111), Probe::NotAsked);
    assert_eq!(
        (plan.want, plan.scale_to, plan.activity),
        (0, None, Activity::NoTraffic)
    );
    let inactive = Observed {
        condition: ActiveSince {
            active: Active::No,
            since: ago(1),
        },
        ..running(&annotations)
    };
    let config = Config::default();
    let spec = Spec::default();
    let asked = super::plan(NOW, &inactive, decided(0, -111), &spec, &config, Probe::NotAsked);
    assert_eq!(asked, Planned::Probe);
    let plan = planned(&inactive, decided(0, -111), Probe::Answered);
    assert_eq!((plan.scale_to, plan.activity), (Some(0), Activity::NoTraffic));
    let plan = planned(&inactive, decided(0, -111), Probe::Failed);
    assert_eq!((plan.scale_to, plan.keep_probing), (None, true));
}

#[test]
fn a_revision_always_behind_the_activator_needs_no_probe() {
    let annotations = Annotations {
        target_burst_capacity: Some(-1.0),
        ..Annotations::default()
    };
    let inactive = Observed {
        condition: ActiveSince {
            active: Active::No,
            since: ago(1),
        },
        ..running(&annotations)
    };
    assert_eq!(planned(&inactive, decided(0, -1), Probe::NotAsked).scale_to, Some(0));
}

#[test]
fn nothing_known_after_a_restart_changes_nothing() {
    let annotations = Annotations::default();
    let plan = planned(&running(&annotations), decided(UNKNOWN, -111), Probe::NotAsked);
    assert_eq!((plan.want, plan.scale_to, plan.desired_scale), (UNKNOWN, None, Some(1)));
    assert_eq!((plan.mode, plan.activity), (Mode::Proxy, Activity::Active));
}

#[test]
fn pods_serve_directly_when_there_is_burst_capacity() {
    let annotations = Annotations::default();
    assert_eq!(
        planned(&running(&annotations), decided(4, 0), Probe::NotAsked).mode,
        Mode::Serve
    );
    assert_eq!(
        planned(&running(&annotations), decided(4, -1), Probe::NotAsked).mode,
        Mode::Proxy
    );
}

#[test]
fn an_unreachable_revision_has_no_minimum_and_no_retention() {
    let annotations = Annotations {
        scale_to_zero_pod_retention_period: Some(Duration::from_secs(3600)),
        initial_scale: Some(5),
        ..bounded(5, 0)
    };
    let inactive = Observed {
        reachability: Reachability::Unreachable,
        condition: ActiveSince {
            active: Active::No,
            since: ago(40),
        },
        is_initialised: false,
        ..running(&annotations)
    };
    assert_eq!(planned(&inactive, decided(0, -111), Probe::Answered).scale_to, Some(0));
}

#[test]
fn without_a_private_service_nothing_is_scaled() {
    let annotations = Annotations::default();
    let plan = without_service(&fresh(&annotations), &Config::default());
    assert_eq!(
        (plan.want, plan.scale_to, plan.mode, plan.activators),
        (UNKNOWN, None, Mode::Proxy, 2)
    );
    assert_eq!(plan.activity, Activity::Queued);
}

#[test]
fn zero_initial_pods_make_it_inactive_without_a_pod() {
    let annotations = Annotations {
        initial_scale: Some(0),
        ..Annotations::default()
    };
    let config = Config {
        allow_zero_initial_scale: true,
        ..Config::default()
    };
    let plan = without_service(&fresh(&annotations), &config);
    assert_eq!(plan.activity, Activity::NoTraffic);
}

#[test]
fn the_number_of_activators_covers_pods_and_burst() {
    let spec = |total_value, target_burst_capacity| Spec {
        total_value,
        target_burst_capacity,
        ..Spec::default()
    };
    assert_eq!(activators::count(0, &spec(100.0, 211.0)), 3);
    assert_eq!(activators::count(3, &spec(100.0, 211.0)), 6);
    assert_eq!(activators::count(50, &spec(100.0, -1.0)), 50);
    assert_eq!(activators::count(5, &spec(10.0, 0.0)), 2);
}

fn any_active() -> impl Strategy<Value = Active> {
    prop_oneof![Just(Active::Activating), Just(Active::Yes), Just(Active::No)]
}

fn any_reachability() -> impl Strategy<Value = Reachability> {
    prop_oneof![
        Just(Reachability::Unknown),
        Just(Reachability::Reachable),
        Just(Reachability::Unreachable)
    ]
}

proptest! {
    #[test]
    fn whatever_is_applied_is_within_the_bounds(
        (min, more, initial) in (0i32..9, 0i32..9, 0i32..20),
        (desired, excess) in (-1i32..40, -5i32..5),
        (active, age) in (any_active(), 0u64..1000),
        reachability in any_reachability(),
        (is_initialised, has_service, is_enabled, is_answered) in (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        ready in 0u32..40,
    ) {
        let annotations = Annotations { initial_scale: Some(initial), ..bounded(min, if more == 0 { 0 } else { min + more }) };
        let config = Config { enable_scale_to_zero: is_enabled, allow_zero_initial_scale: true, ..Config::default() };
        let condition = ActiveSince { active, since: ago(age) };
        let observed = Observed { condition, reachability, is_initialised, has_service, ready, replicas: None, ..running(&annotations) };
        let spec = Spec::derive(&annotations, 0, reachability, &config);
        let probe = if is_answered { Probe::Answered } else { Probe::Failed };
        let Planned::Do(plan) = super::plan(NOW, &observed, decided(desired, excess), &spec, &config, probe) else {
            panic!("an answer was given");
        };
        let bounds = Bounds::of(&annotations, reachability, &config);
        let begins = if is_initialised || reachability == Reachability::Unreachable { 0 } else { initial };
        if let Some(replicas) = plan.scale_to {
            prop_assert!(replicas >= bounds.min);
            prop_assert!(bounds.max == 0 || replicas <= bounds.max.max(begins));
            prop_assert!(replicas > 0 || (is_enabled && (active == Active::No || (active == Active::Activating && age > 630))));
        }
        prop_assert!(plan.is_initialised || !is_initialised);
        prop_assert!(plan.mode == Mode::Proxy || (plan.want > 0 && excess >= 0));
        prop_assert!(plan.activators >= 2);
    }
}
