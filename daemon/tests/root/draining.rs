// SPDX-License-Identifier: Apache-2.0
//! Pods that end, with requests in flight: each is answered to its last byte.
//!
//! The app here is gone a second after it is told to end, whatever it has: who is told too early breaks requests off.

use crate::place::{
    Doomed, FAST, Instance, Open, Over, PATIENCE, Place, SERVICES, ask, delete, executable, figure, is_ready, patch,
    post, service, within,
};
use crate::rig::SLUICE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, sleep};
use std::time::Duration;

const KEPT: &str = "autoscaling.knative.dev/min-scale: '1'";
const HOST: &str = "hello.default.localhost";
const PODS: &str = "/api/v1/namespaces/default/pods";
/// Longer than anything that is done to the pod meanwhile.
const LONG: &str = "/sleep/8000";
const GREETING: &str = "hello hello\n";
/// What is echoed, at this pace: eight seconds.
const BLOCK: usize = 256 << 10;
const BLOCKS: usize = 80;
const PACE: Duration = Duration::from_millis(100);

#[test]
fn a_pod_that_ends_answers_to_the_last_byte() {
    end_one(&[], true);
}

#[test]
fn without_a_kernel_that_counts_the_gateway_knows_which_pod_is_busy() {
    end_one(&["--refuse", "atomics"], false);
}

/// Deletes a pod that has requests; `is_counted`: also such as take no gateway.
fn end_one(more: &[&str], is_counted: bool) {
    let Some(place) = Place::new() else { return };
    let instance = start(&place, KEPT, more);
    let (name, pod) = pods(&instance).remove(0);
    thread::scope(|scope| {
        let ways = [("by the gateway", instance.gateway), ("direct", pod)];
        let ways: Vec<_> = ways.into_iter().take(1 + usize::from(is_counted)).collect();
        let long = ways.iter().map(|&(_, to)| {
            let late = scope.spawn(move || ask(to, HOST, LONG));
            (late, scope.spawn(move || echoes(to)))
        });
        let long: Vec<_> = long.collect();
        wait_for(&instance, "kn_revision_request_active", 2 * ways.len());
        // This one is short: there need not be a moment when all of them run.
        let slow = ways
            .iter()
            .map(|&(_, to)| scope.spawn(move || ask(to, HOST, "/stream")));
        let slow: Vec<_> = slow.collect();
        let (status, body) = delete(instance.api, &format!("{PODS}/{name}"));
        assert_eq!(status, 200, "{body}");
        for (((way, _), (late, large)), slow) in ways.iter().zip(long).zip(slow) {
            let (status, body) = slow.join().unwrap();
            let lines: String = (1..=10).map(|line| format!("line {line}\n")).collect();
            assert_eq!((status, body), (200, lines), "{way}");
            assert_eq!(late.join().unwrap(), (200, GREETING.to_owned()), "{way}");
            large.join().unwrap_or_else(|_| panic!("{way}: the large body"));
        }
    });
    let is_gone = || pods(&instance).iter().all(|(other, _)| *other != name);
    assert!(within(PATIENCE, is_gone), "{name} stays");
    assert_eq!(instance.get(HOST, "/").0, 200, "the pod that came for it");
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn a_pod_that_ends_while_its_daemon_is_killed_answers_to_the_last_byte() {
    let end = |instance: &Instance, name: &str| {
        let (status, body) = delete(instance.api, &format!("{PODS}/{name}"));
        assert_eq!(status, 200, "{body}");
        // It is told to end by nobody.
        wait_for(instance, "kn_revision_pods_terminating_count", 1);
    };
    kill_after(end, |place, state| start(place, KEPT, state));
}

#[test]
fn a_service_that_is_deleted_while_its_daemon_is_killed_answers_to_the_last_byte() {
    let end = |instance: &Instance, _: &str| {
        assert_eq!(delete(instance.api, &format!("{SERVICES}/hello")).0, 200);
        let is_ending = || {
            let revisions = instance.list(&SERVICES.replace("services", "revisions"));
            let pods = instance.list(PODS);
            revisions.is_empty() && pods.iter().all(|pod| pod["metadata"]["deletionTimestamp"].is_string())
        };
        assert!(within(PATIENCE, is_ending), "{:?}", instance.list(PODS));
    };
    // Nobody tells the next one of a revision that the pod is of.
    kill_after(end, Place::start_without_files);
}

/// Begins to `end` what a pod is of while that has a request, kills the daemon, and starts the `next`.
fn kill_after(end: impl FnOnce(&Instance, &str), next: impl FnOnce(&Place, &[&str]) -> Instance) {
    let Some(place) = Place::new() else { return };
    let state = place.folder.join("state");
    let state = ["--state", state.to_str().unwrap()];
    let instance = start(&place, KEPT, &state);
    let (name, pod) = pods(&instance).remove(0);
    thread::scope(|scope| {
        // No gateway is between: what goes through the killed one is lost.
        let late = scope.spawn(move || ask(pod, HOST, "/sleep/15000"));
        wait_for(&instance, "kn_revision_request_active", 1);
        end(&instance, &name);
        instance.kill();
        let again = next(&place, &state);
        assert_eq!(late.join().unwrap(), (200, GREETING.to_owned()));
        let is_gone = || pods(&again).iter().all(|(other, _)| *other != name);
        assert!(within(PATIENCE, is_gone), "{name} stays");
        again.end();
    });
    place.assert_nothing_left();
}

#[test]
fn a_service_that_is_deleted_answers_to_the_last_byte() {
    let Some(place) = Place::new() else { return };
    let instance = start(&place, KEPT, &[]);
    let (_, pod) = pods(&instance).remove(0);
    thread::scope(|scope| {
        let ways = [("by the gateway", instance.gateway), ("direct", pod)];
        let asked = ways.map(|(way, to)| (way, scope.spawn(move || ask(to, HOST, LONG))));
        wait_for(&instance, "kn_revision_request_active", 2);
        let (status, body) = delete(instance.api, &format!("{SERVICES}/hello"));
        assert_eq!(status, 200, "{body}");
        for (way, late) in asked {
            assert_eq!(late.join().unwrap(), (200, GREETING.to_owned()), "{way}");
        }
    });
    assert!(within(PATIENCE, || pods(&instance).is_empty()), "{:?}", pods(&instance));
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn a_service_that_is_deleted_and_made_again_answers_to_the_last_byte() {
    make_again(&[], true, &json!({}));
}

#[test]
fn without_a_kernel_that_counts_the_pods_of_a_service_that_was_made_again_are_known() {
    make_again(&["--refuse", "atomics"], false, &json!({"containerConcurrency": 7}));
}

/// As `kubectl replace --force`: the next revision has the name of the one before. `change`: of the second one's template.
fn make_again(more: &[&str], is_counted: bool, change: &Value) {
    let Some(place) = Place::new() else { return };
    let instance = start(&place, KEPT, more);
    let (name, pod) = pods(&instance).remove(0);
    let path = format!("{SERVICES}/hello");
    let hello: Value = serde_json::from_str(&ask(instance.api, "api", &path).1).unwrap();
    let mut again = json!({
        "apiVersion": hello["apiVersion"], "kind": hello["kind"], "metadata": {"name": "hello"}, "spec": hello["spec"],
    });
    for (field, value) in change.as_object().unwrap() {
        again["spec"]["template"]["spec"][field] = value.clone();
    }
    thread::scope(|scope| {
        let ways = [("by the gateway", instance.gateway), ("direct", pod)];
        let ways: Vec<_> = ways.into_iter().take(1 + usize::from(is_counted)).collect();
        let asked = ways
            .iter()
            .map(|&(way, to)| (way, scope.spawn(move || ask(to, HOST, LONG))));
        let asked: Vec<_> = asked.collect();
        wait_for(&instance, "kn_revision_request_active", ways.len());
        assert_eq!(delete(instance.api, &path).0, 200);
        assert_eq!(post(instance.api, SERVICES, &again).0, 201);
        // There is no route for a moment; then it is held until the new one has a pod.
        let new = scope.spawn(|| within(PATIENCE, || instance.get(HOST, "/").0 == 200));
        for (way, late) in asked {
            assert_eq!(late.join().unwrap(), (200, GREETING.to_owned()), "{way}");
        }
        assert!(new.join().unwrap(), "the new one does not serve");
    });
    let is_gone = || pods(&instance).iter().all(|(other, _)| *other != name);
    assert!(within(PATIENCE, is_gone), "{name} stays");
    assert!(
        within(PATIENCE, || instance.is_ready("hello")),
        "the new one is not ready"
    );
    instance.end();
    place.assert_nothing_left();
}

/// No kernel counts here: who has what is known by the path alone.
#[test]
fn a_pod_that_is_unready_for_a_while_keeps_what_it_has() {
    let Some(place) = Place::new() else { return };
    let well = place.folder.join("well");
    let probe = format!(
        "exec: {{command: [test, -e, {}]}}, periodSeconds: 1, failureThreshold: 1",
        well.display()
    );
    let fields = format!("        readinessProbe: {{{probe}}}\n      containerConcurrency: 1\n");
    let make = |is_well: bool| match is_well {
        true => std::fs::write(&well, "").unwrap(),
        false => std::fs::remove_file(&well).unwrap(),
    };
    make(true);
    let only = format!("{KEPT}, autoscaling.knative.dev/max-scale: '1'");
    let instance = start_with(&place, &only, &fields, &["--refuse", "atomics"]);
    let (name, _) = pods(&instance).remove(0);
    let stands = |is_ready: bool| {
        let as_said = || is_ready == self::is_ready(&instance.list(PODS)[0]);
        assert!(within(PATIENCE, as_said), "its readiness is not {is_ready}");
    };
    thread::scope(|scope| {
        let first = Open::begin(instance.gateway, HOST);
        wait_for(&instance, "kn_revision_request_active", 1);
        make(false);
        stands(false);
        make(true);
        stands(true);
        // There is room for one.
        let second = scope.spawn(|| instance.get(HOST, "/"));
        wait_for(&instance, "kn_revision_request_queued", 1);
        assert_eq!(first.end(), (200, "hi".to_owned()));
        assert_eq!(second.join().unwrap(), (200, GREETING.to_owned()));
        let last = scope.spawn(|| instance.get(HOST, LONG));
        wait_for(&instance, "kn_revision_request_active", 1);
        make(false);
        stands(false);
        assert_eq!(delete(instance.api, &format!("{PODS}/{name}")).0, 200);
        assert_eq!(
            last.join().unwrap(),
            (200, GREETING.to_owned()),
            "of one that was unready when it ended"
        );
    });
    instance.end();
    place.assert_nothing_left();
}

/// It gets 240 s for its requests when its pod ends; here nobody waits for what hangs.
#[test]
fn a_pod_that_hangs_is_out_of_service_and_started_again_at_once() {
    let Some(place) = Place::new() else { return };
    // Twice: one answer may come late where many others run.
    let probe = "httpGet: {path: /}, periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 2";
    let instance = start_with(&place, KEPT, &format!("        livenessProbe: {{{probe}}}\n"), &[]);
    let (name, pod) = pods(&instance).remove(0);
    let stands = || {
        let pods = instance.list(PODS);
        pods.into_iter().find(|pod| pod["metadata"]["name"] == *name).unwrap()
    };
    let restarts = || stands()["status"]["containerStatuses"][0]["restartCount"].as_u64();
    let before = restarts();
    // Only the daemon's kernel knows of it, and it never ends.
    let hung = Doomed::begin(pod, HOST, "/sleep/600000");
    wait_for(&instance, "kn_revision_request_active", 1);
    let apps = place.processes("sample");
    assert!(!apps.is_empty(), "no process of the app");
    for (_, process) in &apps {
        kill(Pid::from_raw(process.parse().unwrap()), Signal::SIGSTOP).unwrap();
    }
    // Its readiness probe is a connection, which the kernel takes for it.
    assert!(
        within(PATIENCE, || !is_ready(&stands())),
        "it is in service: {:#}",
        stands()
    );
    let again = || restarts() > before && is_ready(&stands());
    assert!(within(PATIENCE, again), "it is not started again: {:#}", stands());
    assert_eq!(hung.end(), "", "of what hung");
    assert_eq!(instance.get(HOST, "/"), (200, GREETING.to_owned()));
    instance.end();
    place.assert_nothing_left();
}

/// Many clients make many pods, then a few are left: pods go while these ask all of them on.
#[test]
fn scaling_down_under_load_loses_no_request() {
    let Some(place) = Place::new() else { return };
    let instance = start(&place, "autoscaling.knative.dev/target: '4'", &[]);
    let (over, many, answered) = (AtomicBool::new(false), AtomicBool::new(true), AtomicU64::new(0));
    let (most, least) = thread::scope(|scope| {
        for number in 0..24 {
            let (gateway, over, many, answered) = (instance.gateway, &over, &many, &answered);
            scope.spawn(move || {
                while !over.load(Relaxed) && (number < 4 || many.load(Relaxed)) {
                    assert_eq!(ask(gateway, HOST, "/sleep/150"), (200, GREETING.to_owned()));
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        let _end = Over(&over);
        let all = || pods(&instance).len();
        let is_many = within(PATIENCE, || all() >= 4);
        let most = all();
        many.store(false, Relaxed);
        let is_few = is_many && within(PATIENCE * 2, || all() <= 2);
        (most, if is_few { 2 } else { all() })
    });
    assert!(most >= 4 && least <= 2, "{most} pods, then {least}");
    assert!(answered.load(Relaxed) > 100, "{answered:?} answers");
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn the_pod_that_has_a_request_stays_and_the_idle_ones_go() {
    let Some(place) = Place::new() else { return };
    let three = "autoscaling.knative.dev/min-scale: '3', autoscaling.knative.dev/window: 6s";
    let instance = start(&place, three, &[]);
    assert!(within(PATIENCE, || pods(&instance).len() == 3), "{:?}", pods(&instance));
    // Who became ready last goes first, unless it has something to do.
    let list = instance.list(PODS);
    let rank = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array().unwrap().iter();
        let since = conditions.filter(|one| one["type"] == "Ready");
        let since: Vec<_> = since.map(|one| one["lastTransitionTime"].to_string()).collect();
        (
            since,
            pod["metadata"]["creationTimestamp"].to_string(),
            pod["metadata"]["name"].to_string(),
        )
    };
    let first = list.iter().max_by_key(rank).unwrap();
    let name = first["metadata"]["name"].as_str().unwrap().to_owned();
    let pod: SocketAddr = format!("{}:8080", first["status"]["podIP"].as_str().unwrap())
        .parse()
        .unwrap();
    let late = Open::begin(pod, HOST);
    wait_for(&instance, "kn_revision_request_active", 1);
    // Until now none may go.
    let revision = format!("{}/hello-00001", SERVICES.replace("services", "revisions"));
    let free = json!({"metadata": {"annotations": {"autoscaling.knative.dev/min-scale": null}}});
    let (status, body) = patch(instance.api, &revision, &free);
    assert_eq!(status, 200, "{body}");
    let is_one = within(PATIENCE, || pods(&instance).len() == 1);
    assert!(is_one, "{:?}", pods(&instance));
    assert_eq!(pods(&instance)[0].0, name, "the busy one has gone");
    assert_eq!(late.end(), (200, "hi".to_owned()));
    instance.end();
    place.assert_nothing_left();
}

fn start(place: &Place, annotations: &str, more: &[&str]) -> Instance {
    start_with(place, annotations, "", more)
}

/// With further fields of the container.
fn start_with(place: &Place, annotations: &str, fields: &str, more: &[&str]) -> Instance {
    let script = format!(
        "#!/bin/sh\ntrap 'sleep 1; kill -9 $app; exit' TERM\n{SLUICE} sample --listen 0.0.0.0 --port $PORT & app=$!\nwait $app\n"
    );
    let image = format!("hasty={}", executable(&place.folder, "hasty", &script).display());
    let hello = service("hello", annotations).replace("sluice.dev/sample", "hasty") + fields;
    let instance = place.start(&format!("{FAST}{hello}"), &[more, &["--image", &image]].concat());
    let serves = || instance.is_ready("hello") && instance.get(HOST, "/").0 == 200;
    assert!(within(PATIENCE, serves), "hello does not serve");
    instance
}

/// Until a figure of `hello` is as it should be.
#[track_caller]
fn wait_for(instance: &Instance, name: &str, due: usize) {
    let told = || figure(instance, name, "hello");
    assert!(
        within(PATIENCE, || told() == Some(due as f64)),
        "{name} is {:?}, not {due}",
        told()
    );
}

/// Names and addresses of those that are not being deleted and have one.
fn pods(instance: &Instance) -> Vec<(String, SocketAddr)> {
    let pods = instance.list(PODS);
    let own = pods.iter().filter_map(|pod| {
        let address = format!("{}:8080", pod["status"]["podIP"].as_str()?).parse().ok()?;
        Some((pod["metadata"]["name"].as_str()?.to_owned(), address))
    });
    own.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Sends bytes like no others in their place, slowly, and gets the same back.
fn echoes(to: SocketAddr) {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let sent: Vec<u8> = (0..BLOCK * BLOCKS / 8).flat_map(|_| next()).collect();
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = sent.len();
    write!(
        stream,
        "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
    .unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut answer = Vec::with_capacity(length);
    thread::scope(|scope| {
        scope.spawn(|| {
            for block in sent.chunks(BLOCK) {
                writer.write_all(block).unwrap();
                sleep(PACE);
            }
        });
        stream.read_to_end(&mut answer).unwrap();
    });
    let _ = stream.shutdown(Shutdown::Both);
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    let (head, body) = answer.split_at(head + 4);
    let head = String::from_utf8_lossy(head).to_lowercase();
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains(&format!("content-length: {length}\r\n")), "{head}");
    assert!(
        body == sent,
        "{} of {length} bytes, or others than were sent",
        body.len()
    );
}
