// SPDX-License-Identifier: Apache-2.0
//! What `/metrics` of a real instance says, number by number, where every number is known.
//!
//! Depends on: bash in the client's pod.

use crate::place::{FAST, Instance, PATIENCE, Place, SERVICES, ask, condition, executable, figure, service, within};
use std::fs;
use std::thread;

/// Asks `app` when it is told to, each time on a new connection; leaves the last request before its answer.
const CLIENT: &str = r#"#!/bin/bash
cd "${0%/*}" || exit 1
while [ ! -e go ]; do sleep 0.1; done
address=$(getent ahostsv4 app.default.svc.cluster.local | head -n 1 | cut -d ' ' -f 1)
ask() {
  exec 5<>"/dev/tcp/$address/80" || { echo "no connection" >> answers; exit 1; }
  printf 'GET %s HTTP/1.1\r\nHost: app.default.svc.cluster.local\r\nConnection: close\r\n\r\n' "$1" >&5
}
for path in / / / / / /status/404 /status/404 /status/503; do
  ask "$path"
  read -r -t 20 version status rest <&5
  while read -r -t 20 line <&5; do :; done
  exec 5>&- 5<&-
  echo "$path $status" >> answers
done
ask /sleep/600000
sleep 0.5
exec 5>&- 5<&-
echo left >> answers
while :; do sleep 1; done
"#;

/// What `app` has then: of the nine requests of the client the last was left, and seven came by the gateway.
const EXACT: [(&str, &str, f64); 15] = [
    ("sluice_kernel_request_count_total", "", 16.0),
    ("sluice_kernel_responses_total", "class=\"unknown\"", 0.0),
    ("sluice_kernel_responses_total", "class=\"1xx\"", 0.0),
    ("sluice_kernel_responses_total", "class=\"2xx\"", 9.0),
    ("sluice_kernel_responses_total", "class=\"3xx\"", 0.0),
    ("sluice_kernel_responses_total", "class=\"4xx\"", 5.0),
    ("sluice_kernel_responses_total", "class=\"5xx\"", 1.0),
    ("sluice_kernel_request_duration_seconds_count", "", 15.0),
    ("sluice_kernel_request_duration_seconds_bucket", "le=\"+Inf\"", 15.0),
    (
        "sluice_kernel_request_duration_seconds_bucket",
        "le=\"17.179869184\"",
        15.0,
    ),
    ("sluice_kernel_aborted_total", "", 1.0),
    ("sluice_kernel_uncertain_total", "", 0.0),
    ("sluice_kernel_opaque_connections_total", "", 0.0),
    ("kn_revision_request_count_total", "", 7.0),
    ("kn_revision_request_concurrency", "", 0.0),
];

#[test]
fn what_the_kernel_counted_is_told_by_revision_and_outlives_the_pods() {
    let Some(place) = Place::new() else { return };
    let image = format!("client={}", executable(&place.folder, "client", CLIENT).display());
    let direct = "autoscaling.knative.dev/target-burst-capacity: '0', autoscaling.knative.dev/window: 15s".to_owned();
    let caller = service("caller", "autoscaling.knative.dev/min-scale: '1'").replace("sluice.dev/sample", "client");
    let manifests = format!("{FAST}{}{caller}", service("app", &direct));
    let instance = place.start(&manifests, &["--image", &image]);
    let told = |name: &str, more: &str| labelled(&instance, name, "app", more);
    let is_direct = || told("sluice_revision_direct", "reason=\"Direct\"") == Some(1.0);
    assert!(within(PATIENCE, is_direct), "app is not direct");
    fs::write(place.folder.join("go"), "").unwrap();
    let answers = || fs::read_to_string(place.folder.join("answers")).unwrap_or_default();
    assert!(within(PATIENCE, || answers().contains("left")), "{:?}", answers());
    let by_gateway = ["/", "/status/404", "/", "/status/404", "/", "/status/404", "/"];
    for path in by_gateway {
        let wanted = if path == "/" { 200 } else { 404 };
        assert_eq!(instance.get("app.default.localhost", path).0, wanted);
    }
    let is_exact = || EXACT.iter().all(|(name, more, value)| told(name, more) == Some(*value));
    let differing = || {
        EXACT
            .iter()
            .map(|(name, more, value)| (*name, *more, *value, told(name, more)))
    };
    let differing = || {
        differing()
            .filter(|(_, _, value, told)| *told != Some(*value))
            .collect::<Vec<_>>()
    };
    assert!(within(PATIENCE, is_exact), "{:?}", differing());
    let lasting = [
        ("sluice_kernel_connections_total", ""),
        ("sluice_kernel_in_flight_seconds_total", ""),
        ("sluice_kernel_bytes_total", "direction=\"in\""),
        ("sluice_kernel_bytes_total", "direction=\"out\""),
    ];
    let before = lasting.map(|(name, more)| told(name, more).unwrap());
    // Nine connections of the client; one at least of the gateway.
    assert!(before[0] >= 10.0, "{} connections", before[0]);
    // The one that was left had been there for half a second.
    assert!(before[1] >= 0.4, "{} s in flight", before[1]);
    assert!(before[2] >= 16.0 * 40.0 && before[3] >= 15.0 * 40.0, "{before:?} bytes");
    // The last pod is gone: its process, and what was read of it.
    let is_gone =
        || figure(&instance, "kn_revision_pods_count", "app") == Some(0.0) && instance.pods_of("app").is_empty();
    assert!(within(PATIENCE * 2, is_gone), "app has pods still");
    assert_eq!(told("sluice_kernel_connections_open", ""), Some(0.0));
    assert_eq!(differing(), [], "after the pods have gone");
    let after = lasting.map(|(name, more)| told(name, more).unwrap());
    // Probes of the pod went on to connect as long as it lived.
    assert!(
        after[0] >= before[0],
        "{} connections, and then {}",
        before[0],
        after[0]
    );
    assert_eq!(after[1..], before[1..]);
    assert_eq!(told("sluice_revision_direct", ""), Some(0.0));
    // From zero again: another pod goes on where the first one ended.
    assert_eq!(instance.get("app.default.localhost", "/").0, 200);
    let goes_on = || told("sluice_kernel_request_duration_seconds_count", "") == Some(16.0);
    assert!(within(PATIENCE, goes_on), "{:?}", differing());
    assert_eq!(told("sluice_kernel_request_count_total", ""), Some(17.0));
    assert_eq!(told("sluice_kernel_responses_total", "class=\"2xx\""), Some(10.0));
    let (status, body) = crate::place::delete(instance.api, &format!("{SERVICES}/app"));
    assert_eq!(status, 200, "{body}");
    let is_over = || told("sluice_kernel_request_count_total", "").is_none();
    assert!(within(PATIENCE, is_over), "figures of what was deleted stay");
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn a_machine_that_cannot_redirect_says_so_in_conditions_and_figures() {
    let Some(place) = Place::new() else { return };
    let kept = "autoscaling.knative.dev/min-scale: '1', autoscaling.knative.dev/target-burst-capacity: '0'";
    let instance = place.start(&format!("{FAST}{}", service("app", kept)), &["--refuse", "atomics"]);
    for kind in ["routes", "revisions"] {
        let mut last = serde_json::Value::Null;
        let is_told = within(PATIENCE, || {
            let objects = instance.list(&SERVICES.replace("services", kind));
            last = objects
                .first()
                .map(|object| condition(object, "DataPath"))
                .unwrap_or_default();
            let is_ready = objects.first().is_some_and(crate::place::is_ready);
            // What passes by itself has passed.
            is_ready
                && last["message"]
                    .as_str()
                    .is_some_and(|why| why.ends_with("what it lacks"))
        });
        assert!(is_told, "{kind}: {last}");
        assert_eq!(
            (&last["status"], &last["reason"]),
            (&"False".into(), &"Kernel".into()),
            "{kind}"
        );
    }
    assert_eq!(instance.get("app.default.localhost", "/").0, 200);
    assert_eq!(
        labelled(&instance, "sluice_revision_direct", "app", "reason=\"Kernel\""),
        Some(0.0)
    );
    assert_eq!(figure(&instance, "kn_revision_request_count_total", "app"), Some(1.0));
    assert_eq!(
        figure(&instance, "sluice_kernel_request_count_total", "app"),
        None,
        "nobody counted"
    );
    assert_eq!(of_node(&instance, "sluice_node_kernel_counts"), Some(0.0));
    instance.end();
    place.assert_nothing_left();
}

/// Before Linux 5.17: the gateway keeps its connections to pods open, and these are no requests.
#[test]
fn where_only_connections_are_counted_an_idle_one_is_no_load() {
    let Some(place) = Place::new() else { return };
    let instance = place.start(&format!("{FAST}{}", service("app", "")), &["--refuse", "bpf_loop"]);
    assert!(within(PATIENCE, || instance.get("app.default.localhost", "/").0 == 200));
    let in_flight = || figure(&instance, "kn_revision_request_concurrency", "app");
    assert!(within(PATIENCE, || in_flight() == Some(0.0)), "{:?}", in_flight());
    assert_eq!(of_node(&instance, "sluice_node_kernel_counts"), Some(0.0));
    assert!(within(PATIENCE, || instance.pods() == 0), "it goes to zero");
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn requests_that_wait_for_a_busy_pod_are_in_every_figure() {
    let Some(place) = Place::new() else { return };
    let one = "autoscaling.knative.dev/min-scale: '1', autoscaling.knative.dev/max-scale: '1'";
    let one = service("one", one).replace("spec:\n      ", "spec:\n      containerConcurrency: 1\n      ");
    let instance = place.start(&format!("{FAST}{one}"), &[]);
    let host = "one.default.localhost";
    assert!(within(PATIENCE, || instance.is_ready("one")
        && instance.pods_of("one").len() == 1));
    let told = |name: &str| figure(&instance, name, "one");
    thread::scope(|scope| {
        let gateway = instance.gateway;
        let first = scope.spawn(move || ask(gateway, host, "/sleep/20000"));
        assert!(within(PATIENCE, || told("kn_revision_request_active") == Some(1.0)));
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(move || ask(gateway, host, "/"))).collect();
        // Five, one of them on the pod, for longer than the stable window of six seconds.
        let exact = [
            ("kn_serving_queue_depth", 5.0),
            ("kn_revision_request_concurrency", 5.0),
            ("kn_revision_request_active", 1.0),
            ("kn_revision_request_queued", 4.0),
            ("sluice_kernel_request_count_total", 1.0),
            ("sluice_kernel_connections_open", 1.0),
            ("kn_revision_concurrency_stable", 5.0),
            ("kn_revision_concurrency_panic", 5.0),
            // 70 % of one.
            ("kn_revision_concurrency_target", 0.7),
            ("kn_revision_panic_mode", 1.0),
            // 5 / 0.7, rounded up; and what `max-scale` leaves of it.
            ("kn_revision_pods_desired", 8.0),
            ("kn_revision_pods_requested", 1.0),
            ("kn_revision_pods_count", 1.0),
            ("kn_revision_pods_not_ready_count", 0.0),
            ("kn_revision_pods_pending_count", 0.0),
            ("kn_revision_pods_terminating_count", 0.0),
            // One pod for one request, less those five, less a burst of 211.
            ("kn_revision_capacity_excess", -215.0),
        ];
        let of_this_node = [
            ("sluice_node_request_active", 1.0),
            ("sluice_node_request_queued", 4.0),
            ("sluice_node_pods_count", 1.0),
            ("sluice_node_kernel_counts", 1.0),
        ];
        let differing = || {
            let ours = exact.map(|(name, value)| (name, value, told(name)));
            let node = of_this_node.map(|(name, value)| (name, value, of_node(&instance, name)));
            let all = ours.into_iter().chain(node);
            let is_far = |value: f64, told: Option<f64>| told.is_none_or(|told| (told - value).abs() > 1e-3);
            all.filter(|(_, value, told)| is_far(*value, *told)).collect::<Vec<_>>()
        };
        assert!(within(PATIENCE, || differing().is_empty()), "{:?}", differing());
        assert_eq!(first.join().unwrap().0, 200);
        waiting
            .into_iter()
            .for_each(|asked| assert_eq!(asked.join().unwrap().0, 200));
    });
    assert_eq!(told("kn_serving_queue_depth"), Some(0.0));
    assert_eq!(told("sluice_kernel_request_count_total"), Some(5.0));
    instance.end();
    place.assert_nothing_left();
}

/// The sum of a figure over those lines of a service's first revision that say `more`.
fn labelled(instance: &Instance, name: &str, service: &str, more: &str) -> Option<f64> {
    let revision = format!("kn_revision_name=\"{service}-00001\"");
    sum(instance, |line| {
        line.starts_with(&format!("{name}{{")) && line.contains(&revision) && line.contains(more)
    })
}

/// A figure of the node.
fn of_node(instance: &Instance, name: &str) -> Option<f64> {
    sum(instance, |line| line.starts_with(&format!("{name} ")))
}

fn sum(instance: &Instance, is_meant: impl Fn(&str) -> bool) -> Option<f64> {
    let (_, page) = ask(instance.metrics, "metrics", "/metrics");
    let values = page.lines().filter(|line| is_meant(line));
    let values: Vec<f64> = values
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}
