// SPDX-License-Identifier: Apache-2.0
//! Many services declared, many pods on one machine.
//!
//! With SLUICE_LONG=1: five thousand services, two hundred pods (`cargo xtask soak services pods`).

use crate::cycles::{is_long, ready};
use crate::place::{FAST, Place, SERVICES, ask, post, service, within};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

const PODS: &str = "/api/v1/namespaces/default/pods";

#[test]
fn services_by_the_thousand_are_declared_and_any_of_them_answers_from_zero() {
    let Some(place) = Place::new() else { return };
    let count = if is_long() { 5000 } else { 60 };
    let instance = place.start(FAST, &[]);
    let begun = Instant::now();
    for number in 0..count {
        let (status, body) = post(instance.api, SERVICES, &declared(&format!("s{number}")));
        assert_eq!(status, 201, "s{number}: {body}");
    }
    println!("{count} services are accepted after {:.1?}", begun.elapsed());
    let patience = Duration::from_secs(if is_long() { 900 } else { 60 });
    let mut said = begun;
    let are_ready = within(patience, || {
        let found = ready(&instance);
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            println!("{found} are ready after {:.0?}", begun.elapsed());
        }
        found == count
    });
    assert!(are_ready, "{} of {count} services are ready", ready(&instance));
    println!("all are ready after {:.1?}", begun.elapsed());
    for number in [0, count / 2, count - 1] {
        let (status, body) = instance.get(&format!("s{number}.default.localhost"), "/");
        assert_eq!((status, body), (200, format!("hello s{number}\n")));
    }
    instance.end();
    place.assert_nothing_left();
}

/// A service that begins at zero.
fn declared(name: &str) -> Value {
    json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"template": {"metadata": {"annotations": {"autoscaling.knative.dev/initial-scale": "0"}},
            "spec": {"containers": [{"image": "sluice.dev/sample", "env": [{"name": "TARGET", "value": name}]}]}}}})
}

#[test]
fn pods_by_the_hundred_run_on_the_machine_and_each_has_requests() {
    let Some(place) = Place::new() else { return };
    let count = if is_long() { 200 } else { 20 };
    let scale = format!("autoscaling.knative.dev/min-scale: '{count}'");
    let one_each = service("many", &scale).replace("spec:\n      ", "spec:\n      containerConcurrency: 1\n      ");
    let begun = Instant::now();
    let instance = place.start(&format!("{FAST}{one_each}"), &[]);
    let ready = || instance.list(PODS).iter().filter(|pod| is_ready(pod)).count();
    let patience = Duration::from_secs(if is_long() { 300 } else { 60 });
    assert!(
        within(patience, || ready() >= count),
        "{} of {count} pods are ready",
        ready()
    );
    println!("{count} pods are ready after {:.1?}", begun.elapsed());
    let pods = instance.list(PODS);
    let addresses: BTreeSet<_> = pods.iter().filter_map(|pod| pod["status"]["podIP"].as_str()).collect();
    assert!(addresses.len() >= count, "{} addresses", addresses.len());
    for address in &addresses {
        let address: SocketAddr = format!("{address}:8080").parse().unwrap();
        assert_eq!(ask(address, "many", "/").0, 200, "{address}");
    }
    // A pod takes one at a time: none may wait for another.
    let begun = Instant::now();
    let answered: Vec<u16> = thread::scope(|scope| {
        let ask = || instance.get("many.default.localhost", "/?sleep=1000").0;
        let asking: Vec<_> = (0..count).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(answered.iter().all(|status| *status == 200), "{answered:?}");
    println!(
        "{count} requests of 1 s at once: answered within {:.1?}",
        begun.elapsed()
    );
    let ending = Instant::now();
    instance.end();
    println!("{count} pods ended within {:.1?}", ending.elapsed());
    place.assert_nothing_left();
}

fn is_ready(pod: &Value) -> bool {
    crate::place::is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null()
}
