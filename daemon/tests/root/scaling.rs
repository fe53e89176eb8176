// SPDX-License-Identifier: Apache-2.0
//! What annotations make of a service that runs: its way, its pods, its figures.

use crate::place::{FAST, Instance, Over, PATIENCE, Place, SERVICES, figure, service, within};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const KEPT: &str = "autoscaling.knative.dev/min-scale: '1'";

#[test]
fn the_target_burst_capacity_decides_each_services_way() {
    let Some(place) = Place::new() else { return };
    // One pod has room for 100: with a burst of 10 some is left, with one of 200 none.
    let ways = [
        ("zero", "0", "True"),
        ("never", "-1", "False"),
        ("some", "10", "True"),
        ("many", "200", "False"),
    ];
    let manifest = |(name, capacity, _): &(&str, &str, &str)| {
        service(
            name,
            &format!("{KEPT}, autoscaling.knative.dev/target-burst-capacity: '{capacity}'"),
        )
    };
    let manifests: String = ways.iter().map(manifest).collect();
    let instance = place.start(&format!("{FAST}{manifests}"), &[]);
    for (name, capacity, is_direct) in ways {
        let mut last = String::new();
        let is_so = within(PATIENCE, || {
            last = data_path(&instance, name);
            last.starts_with(is_direct) && instance.is_ready(name)
        });
        assert!(
            is_so,
            "{name}: with a burst of {capacity} direct should be {is_direct}: {last}"
        );
    }
    instance.end();
    place.assert_nothing_left();
}

/// Status, reason and message of a route's DataPath.
fn data_path(instance: &Instance, name: &str) -> String {
    let routes = instance.list(&SERVICES.replace("services", "routes"));
    let ours = routes.iter().find(|route| route["metadata"]["name"] == name);
    let conditions = ours.and_then(|route| route["status"]["conditions"].as_array());
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "DataPath");
    let text = |key: &str| found.and_then(|found| found[key].as_str()).unwrap_or_default();
    format!("{} {}: {}", text("status"), text("reason"), text("message"))
}

/// What is told of a revision that is scaled by its rate.
const OF_RATE: [&str; 12] = [
    "kn_revision_rps_stable_per_second",
    "kn_revision_rps_panic_per_second",
    "kn_revision_rps_target_per_second",
    "kn_revision_pods_desired",
    "kn_revision_pods_requested",
    "kn_revision_panic_mode",
    "kn_revision_request_count_total",
    "kn_revision_request_concurrency",
    "kn_revision_request_queued",
    "http_server_request_duration_seconds_count",
    "kn_serving_invocation_duration_seconds_count",
    "sluice_kernel_request_count_total",
];

#[test]
fn annotations_set_the_pods_and_figures_show_them() {
    let Some(place) = Place::new() else { return };
    let of = |what: &[&str]| {
        what.iter()
            .map(|one| format!("autoscaling.knative.dev/{one}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let activated = of(&["initial-scale: '0'", "activation-scale: '3'", "window: 30s"]);
    let rate = of(&[
        "initial-scale: '0'",
        "metric: rps",
        "target: '10'",
        "target-utilization-percentage: '100'",
        "window: 6s",
        "max-scale: '3'",
    ]);
    let manifests = format!("{FAST}{}{}", service("activated", &activated), service("rate", &rate));
    let instance = place.start(&manifests, &[]);
    assert!(within(PATIENCE, || instance.is_ready("activated") && instance.is_ready("rate")));
    assert_eq!(
        figure(&instance, "kn_revision_pods_count", "activated"),
        Some(0.0),
        "initial-scale"
    );
    assert_eq!(instance.get("activated.default.localhost", "/").0, 200);
    let is_three = || figure(&instance, "kn_revision_pods_count", "activated") == Some(3.0);
    assert!(
        within(PATIENCE, is_three),
        "activation-scale: {:?}",
        figure(&instance, "kn_revision_pods_count", "activated")
    );
    // Nothing runs that a rate could be counted on: the one that is held must be enough.
    assert_eq!(instance.get("rate.default.localhost", "/").0, 200, "from zero, by rate");
    let over = AtomicBool::new(false);
    let reached = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(instance.get("rate.default.localhost", "/").0, 200);
                    thread::sleep(Duration::from_millis(20));
                }
            });
        }
        let _end = Over(&over);
        let told = |name: &str| figure(&instance, name, "rate").unwrap_or_default();
        // More than 20 a second, or the third pod would not be.
        within(PATIENCE, || {
            let at_most = told("kn_revision_pods_count") == 3.0 && told("kn_revision_pods_requested") == 3.0;
            let wanted = told("kn_revision_pods_desired") >= 3.0;
            at_most && wanted && told("kn_revision_rps_stable_per_second") > 20.0
        })
    });
    assert!(
        reached,
        "by rate: {:?} pods",
        figure(&instance, "kn_revision_pods_count", "rate")
    );
    for name in OF_RATE {
        // A tick tells some of them: a burst brought the pods before it.
        let is_told = || figure(&instance, name, "rate").is_some();
        assert!(within(PATIENCE, is_told), "{name} is missing");
    }
    assert_eq!(
        figure(&instance, "kn_revision_rps_target_per_second", "rate"),
        Some(10.0)
    );
    let begun = figure(&instance, "sluice_kernel_request_count_total", "rate");
    assert!(begun > Some(0.0), "the kernel has counted {begun:?}");
    assert!(
        figure(&instance, "kn_revision_concurrency_stable", "rate").is_none(),
        "it is not scaled by concurrency"
    );
    let is_told = || figure(&instance, "kn_revision_concurrency_stable", "activated").is_some();
    assert!(within(PATIENCE, is_told), "the activated one is scaled by concurrency");
    instance.end();
    place.assert_nothing_left();
}
