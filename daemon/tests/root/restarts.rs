// SPDX-License-Identifier: Apache-2.0
//! `sluice standalone --state` after a kill: what was kept, and starts that do not come about.

use crate::place::{FAST, Instance, PATIENCE, Place, ask, service, within};
use crate::rig::eventually;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// Its revision has a name, so that another template with the same name is refused.
fn named(text: &str) -> String {
    service("hello", "autoscaling.knative.dev/min-scale: '1'")
        .replace("metadata: {annotations", "metadata: {name: hello-v1, annotations")
        .replace("value: hello", &format!("value: {text}"))
}

/// Its one pod, when it serves.
fn pod(instance: &Instance) -> Value {
    assert!(eventually(|| instance.get("hello.default.localhost", "/").0 == 200));
    let mut pods = instance.list(PODS);
    assert_eq!(pods.len(), 1, "{pods:?}");
    pods.remove(0)
}

#[track_caller]
fn assert_same(before: &Value, after: &Value) {
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["status"]["containerStatuses"][0]["restartCount"], 0);
}

fn address(pod: &Value, port: u16) -> SocketAddr {
    format!("{}:{port}", pod["status"]["podIP"].as_str().unwrap())
        .parse()
        .unwrap()
}

#[test]
fn a_start_that_fails_applies_nothing_and_leaves_the_pods_of_before() {
    let Some(place) = Place::new() else { return };
    let state = place.folder.join("state");
    let state = ["--state", state.to_str().unwrap()];
    let instance = place.start(&format!("{FAST}{}", named("one")), &state);
    let before = pod(&instance);
    instance.kill();
    let serves = || ask(address(&before, 8080), "pod", "/").0 == 200;

    // What is there refuses the last of three objects.
    let added = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: added}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: added}\n";
    let refused = place.refusal(place.command(&format!("{added}{}", named("two")), &state));
    refused.assert_fault(1, &["all.yaml: Service hello: ", "nothing was applied"]);
    assert!(serves(), "its pod has ended");

    // A port of the pods' network is taken.
    let taken = TcpListener::bind(format!("{}:8012", first(&before))).unwrap();
    let refused = place.refusal(place.command(FAST, &state));
    refused.assert_fault(
        1,
        &[
            ":8012",
            "in use",
            "choose another --pod-cidr",
            "the pods of before serve on",
        ],
    );
    drop(taken);
    assert!(serves(), "its pod has ended");

    let again = place.start_without_files(&state);
    assert_same(&before, &pod(&again));
    for path in [&format!("{MAPS}/added"), "/api/v1/namespaces/added"] {
        assert_eq!(ask(again.api, "api", path).0, 404, "{path}");
    }
    again.end();
    place.assert_nothing_left();
}

/// The first address of a pod's network.
fn first(pod: &Value) -> String {
    let ip = pod["status"]["podIP"].as_str().unwrap();
    let parts: Vec<_> = ip.split('.').take(2).collect();
    format!("{}.0.1", parts.join("."))
}

/// The code of the answer, if there was one: the server may be killed at any moment.
fn create(to: SocketAddr, name: &str) -> Option<u16> {
    let body = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}).to_string();
    let mut stream = TcpStream::connect(to).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!("POST {MAPS} HTTP/1.0\r\nHost: api\r\nContent-Type: application/json");
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn what_was_answered_is_there_after_a_kill_while_writing() {
    let Some(place) = Place::new() else { return };
    let state = place.folder.join("state");
    let state = ["--state", state.to_str().unwrap()];
    let answered = Mutex::new(BTreeSet::new());
    for round in 0..3_u64 {
        let instance = place.start_without_files(&state);
        let api = instance.api;
        let before = answered.lock().unwrap().len();
        thread::scope(|scope| {
            for writer in 0..4 {
                let answered = &answered;
                scope.spawn(move || {
                    for number in 0.. {
                        let name = format!("m-{round}-{writer}-{number}");
                        match create(api, &name) {
                            Some(201) => assert!(answered.lock().unwrap().insert(name)),
                            Some(code) => panic!("{name}: {code}"),
                            None => break,
                        }
                    }
                });
            }
            let writes = || answered.lock().unwrap().len() >= before + 40;
            assert!(within(PATIENCE, writes), "nothing is written");
            // At another moment of a write each time.
            thread::sleep(Duration::from_millis(7 * round));
            instance.kill();
        });
    }
    let last = place.start_without_files(&state);
    let there: BTreeSet<String> = last
        .list(MAPS)
        .iter()
        .map(|map| map["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    let answered = answered.into_inner().unwrap();
    let lost: Vec<_> = answered.difference(&there).collect();
    assert!(lost.is_empty(), "{lost:?} of {} are lost", answered.len());
    // At most one a writer was in the file and not yet answered.
    assert!(
        there.len() <= answered.len() + 3 * 4,
        "{} of {}",
        there.len(),
        answered.len()
    );
    last.end();
    place.assert_nothing_left();
}

#[test]
fn who_comes_before_the_routes_are_known_waits_for_them() {
    let Some(place) = Place::new() else { return };
    let state = place.folder.join("state");
    let state = ["--state", state.to_str().unwrap()];
    let hello = service("hello", "autoscaling.knative.dev/min-scale: '1'");
    let mut instance = place.start(&format!("{FAST}{hello}"), &state);
    let gateway: SocketAddr = format!("{}:8012", first(&pod(&instance))).parse().unwrap();
    let asked = || ask(gateway, "hello.default.svc.cluster.local", "/");
    assert_eq!(asked().0, 200);
    for _ in 0..3 {
        instance.kill();
        instance = thread::scope(|scope| {
            let early = scope.spawn(|| {
                let begun = Instant::now();
                while TcpStream::connect(gateway).is_err() {
                    assert!(begun.elapsed() < PATIENCE, "nobody listens at {gateway}");
                    thread::sleep(Duration::from_millis(1));
                }
                asked()
            });
            let again = place.start_without_files(&state);
            let (status, body) = early.join().unwrap();
            assert_eq!(status, 200, "{body}");
            again
        });
    }
    instance.end();
    place.assert_nothing_left();
}
