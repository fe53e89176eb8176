// SPDX-License-Identifier: Apache-2.0
//! What the autoscaler's annotations change, seen on pods that run: two services differ by one of them, and have the same load.

use crate::place::{FAST, Instance, Over, PATIENCE, Place, ask, figure, service, within};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

const SCALERS: &str = "/apis/autoscaling.internal.knative.dev/v1alpha1/namespaces/default/podautoscalers";
/// One request in flight is what one pod should have.
const ONE_EACH: &str = "target: '1', target-utilization-percentage: '100'";

#[test]
fn bounds_hold_what_the_load_asks_for() {
    let Some(place) = Place::new() else { return };
    let at_most = format!("{ONE_EACH}, max-scale: '2'");
    let services = [
        ("least", "min-scale: '2'"),
        ("most", &at_most),
        ("first", "initial-scale: '3'"),
    ];
    let instance = start(&place, &services);
    // They stay only until all three are ready and the first tick finds no load.
    assert_eq!(created(&instance, "first"), 3, "initial-scale");
    under_load(&instance, &["most"], 6, || {
        let wants = || told(&instance, "kn_revision_pods_desired", "most") >= 5.0 && scale(&instance, "most") == (2, 2);
        assert!(within(PATIENCE, wants), "max-scale: {}", all(&instance, "most"));
        assert_eq!(told(&instance, "kn_revision_pods_requested", "most"), 2.0);
        assert_eq!(told(&instance, "kn_revision_pods_count", "most"), 2.0);
    });
    // Who has no lower bound goes to zero: the windows are over for all of them.
    for name in ["first", "most"] {
        assert!(
            within(PATIENCE * 2, || scale(&instance, name) == (0, 0)),
            "{}",
            all(&instance, name)
        );
    }
    assert_eq!(scale(&instance, "least"), (2, 2), "min-scale");
    // A tick halves at most.
    assert!(desired(&instance, "least") < 2.0, "nobody asked it");
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn a_window_and_a_delay_keep_what_a_shorter_one_lets_go() {
    let Some(place) = Place::new() else { return };
    let half = "metric: concurrency, target: '2', target-utilization-percentage: '50', window: 6s";
    let long = format!("{ONE_EACH}, window: 5m");
    let delayed = format!("{ONE_EACH}, window: 6s, scale-down-delay: 5m");
    let names = ["short", "long", "delayed"];
    let instance = start(&place, &[(names[0], half), (names[1], &long), (names[2], &delayed)]);
    let target = |name: &str| told(&instance, "kn_revision_concurrency_target", name);
    under_load(&instance, &names, 3, || {
        // A burst's pods are not yet a tick's: only these are what a delay holds.
        let has_ticked = || told(&instance, "kn_revision_concurrency_stable", "delayed") > 2.0;
        let are_many = || has_ticked() && names.iter().all(|name| scale(&instance, name).0 >= 3);
        assert!(
            within(PATIENCE, are_many),
            "{}",
            names.map(|name| all(&instance, name)).concat()
        );
    });
    assert_eq!(names.map(target), [1.0; 3], "a part of the target");
    assert!(
        within(PATIENCE, || desired(&instance, "short") == 0.0),
        "{}",
        all(&instance, "short")
    );
    let stable = |name: &str| told(&instance, "kn_revision_concurrency_stable", name);
    assert!(
        within(PATIENCE, || stable("delayed") == 0.0),
        "its window is as short: {}",
        all(&instance, "delayed")
    );
    // A whole tick later: the long window's mean falls with each.
    for _ in 0..2 {
        let before = stable("long");
        let is_later = || stable("long") < before;
        assert!(within(PATIENCE, is_later), "no tick: {}", all(&instance, "long"));
    }
    for name in ["long", "delayed"] {
        assert!(desired(&instance, name) >= 1.0, "{}", all(&instance, name));
    }
    assert!(desired(&instance, "delayed") >= 3.0, "{}", all(&instance, "delayed"));
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn panic_comes_at_its_threshold_and_looks_at_its_part_of_the_window() {
    let Some(place) = Place::new() else { return };
    // One pod for five requests: 500 % of what is there.
    let of = |more: &str| format!("{ONE_EACH}, max-scale: '1', window: 60s, {more}");
    let services = [
        ("early", of("panic-threshold-percentage: '300'")),
        ("late", of("panic-threshold-percentage: '1000'")),
        ("part", of("panic-window-percentage: '10'")),
        ("whole", of("panic-window-percentage: '100'")),
    ];
    let services = services
        .each_ref()
        .map(|(name, annotations)| (*name, annotations.as_str()));
    let instance = start(&place, &services);
    let names = services.map(|(name, _)| name);
    under_load(&instance, &names, 5, || {
        let panics = |name: &str| told(&instance, "kn_revision_panic_mode", name);
        let is_so = || panics("early") == 1.0 && desired(&instance, "late") >= 4.0;
        assert!(
            within(PATIENCE, is_so),
            "{}{}",
            all(&instance, "early"),
            all(&instance, "late")
        );
        assert_eq!(panics("late"), 0.0, "{}", all(&instance, "late"));
    });
    let forgets = || averages(&instance, "part").1 == 0.0;
    assert!(within(PATIENCE, forgets), "{}", all(&instance, "part"));
    assert!(
        averages(&instance, "part").0 > 0.0,
        "the stable window is ten times as long"
    );
    let (stable, panic) = averages(&instance, "whole");
    assert!(
        stable > 0.0 && stable == panic,
        "{stable} and {panic} of the same window"
    );
    instance.end();
    place.assert_nothing_left();
}

/// With services by name and annotations of the autoscaler, once all are ready.
fn start(place: &Place, services: &[(&str, &str)]) -> Instance {
    let full = |annotations: &str| {
        let each = annotations
            .split(", ")
            .map(|one| format!("autoscaling.knative.dev/{one}"));
        each.collect::<Vec<_>>().join(", ")
    };
    let manifests: String = services.iter().map(|(name, more)| service(name, &full(more))).collect();
    let instance = place.start(&format!("{FAST}{manifests}"), &[]);
    for (name, _) in services {
        assert!(within(PATIENCE, || instance.is_ready(name)), "{name} is not ready");
    }
    instance
}

/// While so many clients ask each of these, one request after the other.
fn under_load(instance: &Instance, names: &[&str], clients: usize, then: impl FnOnce()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for name in names.iter().flat_map(|name| vec![*name; clients]) {
            let (over, gateway) = (&over, instance.gateway);
            scope.spawn(move || {
                while !over.load(Relaxed) {
                    let (status, body) = ask(gateway, &format!("{name}.default.localhost"), "/sleep/500");
                    assert_eq!(status, 200, "{name}: {body}");
                }
            });
        }
        let _end = Over(&over);
        then();
    });
}

fn told(instance: &Instance, name: &str, service: &str) -> f64 {
    figure(instance, name, service).unwrap_or(f64::NAN)
}

fn desired(instance: &Instance, service: &str) -> f64 {
    told(instance, "kn_revision_pods_desired", service)
}

/// What the windows have of concurrency, the stable one's and the panic one's, of one page.
fn averages(instance: &Instance, service: &str) -> (f64, f64) {
    let (_, page) = ask(instance.metrics, "metrics", "/metrics");
    let of = |name: &str| {
        let is_ours =
            |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(&format!("\"{service}-00001\""));
        let line = page.lines().find(is_ours);
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or(f64::NAN)
    };
    (
        of("kn_revision_concurrency_stable"),
        of("kn_revision_concurrency_panic"),
    )
}

/// Pods that are wanted, and those that are there, as the PodAutoscaler says.
fn scale(instance: &Instance, service: &str) -> (i64, i64) {
    let scalers = instance.list(SCALERS);
    let ours = scalers
        .iter()
        .find(|scaler| scaler["metadata"]["name"] == format!("{service}-00001"));
    let of = |key: &str| ours.and_then(|scaler| scaler["status"][key].as_i64()).unwrap_or(-1);
    (of("desiredScale"), of("actualScale"))
}

/// How many pods its first revision ever had.
fn created(instance: &Instance, service: &str) -> usize {
    let events = instance.list("/api/v1/namespaces/default/events");
    let begin = format!("Created pod: {service}-00001-");
    let is_ours = |event: &&Value| {
        event["message"]
            .as_str()
            .is_some_and(|message| message.starts_with(&begin))
    };
    events.iter().filter(is_ours).count()
}

/// All that is told of a service's autoscaling, for whoever reads why a test failed.
fn all(instance: &Instance, service: &str) -> String {
    let (_, page) = ask(instance.metrics, "metrics", "/metrics");
    let is_ours = |line: &&str| line.starts_with("kn_revision_") && line.contains(&format!("\"{service}-00001\""));
    let lines = page
        .lines()
        .filter(is_ours)
        .map(|line| line.replace("k8s_namespace_name=\"default\",", ""));
    format!(
        "{service}: {:?}\n{}\n",
        scale(instance, service),
        lines.collect::<Vec<_>>().join("\n")
    )
}
