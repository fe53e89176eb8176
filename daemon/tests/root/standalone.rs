// SPDX-License-Identifier: Apache-2.0
//! `sluice standalone` as newcomers meet it: one process, real pods, real requests.

use crate::place::{FAST, Place, ask, service, within};
use crate::rig::eventually;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn a_service_answers_from_zero_and_goes_back_to_zero() {
    let Some(place) = Place::new() else { return };
    let instance = place.start(&format!("{FAST}{}", service("hello", "")), &[]);
    let host = "hello.default.localhost";
    assert!(eventually(|| instance.get(host, "/").0 == 200));
    let (_, body) = instance.get(host, "/");
    assert!(body.contains("hello"), "{body}");
    for _ in 0..2 {
        assert!(within(Duration::from_secs(60), || instance.pods() == 0), "pods stay");
        assert_eq!(instance.get(host, "/").0, 200, "the first request after zero");
    }
    assert_eq!(instance.get("nobody.default.localhost", "/").0, 404);
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn pods_and_objects_outlive_a_killed_daemon() {
    let Some(place) = Place::new() else { return };
    let state = place.folder.join("state");
    let state = ["--state", state.to_str().unwrap()];
    let manifest = service("hello", "autoscaling.knative.dev/min-scale: '1'");
    let instance = place.start(&manifest, &state);
    let host = "hello.default.localhost";
    assert!(eventually(|| instance.get(host, "/").0 == 200));
    let before = instance.list("/api/v1/namespaces/default/pods");
    let address: SocketAddr = format!("{}:8080", before[0]["status"]["podIP"].as_str().unwrap())
        .parse()
        .unwrap();
    let (over, direct) = (AtomicBool::new(false), AtomicU64::new(0));
    let again = thread::scope(|scope| {
        // A client that talks to the pod itself, as a direct one does.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(ask(address, host, "/").0, 200, "a direct request");
                direct.fetch_add(1, Ordering::Relaxed);
            }
        });
        instance.kill();
        let again = place.start(&manifest, &state);
        assert!(eventually(|| again.get(host, "/").0 == 200));
        over.store(true, Ordering::Relaxed);
        again
    });
    assert!(direct.load(Ordering::Relaxed) > 0);
    let after = again.list("/api/v1/namespaces/default/pods");
    assert_eq!(after[0]["metadata"]["uid"], before[0]["metadata"]["uid"]);
    assert_eq!(after[0]["status"]["containerStatuses"][0]["restartCount"], 0);
    again.end();
    place.assert_nothing_left();
}
