// SPDX-License-Identifier: Apache-2.0
//! `sluice standalone` as newcomers meet it: one process, real pods, real requests.

use crate::place::{
    Doomed, FAST, Instance, Open, Over, PATIENCE, Place, SERVICES, ask, executable, figure, service, started, within,
};
use crate::rig::eventually;
use serde_json::Value;
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
    let (_, page) = ask(instance.metrics, "metrics", "/metrics");
    for queue in ["service-controller", "route-controller", "autoscaler"] {
        let looks = format!("kn_workqueue_process_duration_seconds_count{{name=\"{queue}\"}} ");
        let looks = page.lines().find_map(|line| line.strip_prefix(&looks));
        assert!(looks.is_some_and(|count| count != "0"), "{queue}: {looks:?} in {page}");
    }
    for _ in 0..2 {
        assert!(within(Duration::from_secs(60), || instance.pods() == 0), "pods stay");
        assert_eq!(instance.get(host, "/").0, 200, "the first request after zero");
    }
    assert_eq!(instance.get("nobody.default.localhost", "/").0, 404);
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn cleanup_ends_what_a_killed_instance_left_and_nothing_of_one_that_lives() {
    let Some(place) = Place::new() else { return };
    let instance = place.start(&service("hello", "autoscaling.knative.dev/min-scale: '1'"), &[]);
    assert!(eventually(|| instance.get("hello.default.localhost", "/").0 == 200));
    let refused = place.cleanup();
    assert!(!refused.status.success(), "it cleaned behind a living instance");
    assert_eq!(instance.get("hello.default.localhost", "/").0, 200);
    instance.kill();
    let cleaned = place.cleanup();
    let said = String::from_utf8_lossy(&cleaned.stdout).into_owned();
    assert!(cleaned.status.success(), "{said}");
    for what in ["removed cgroup ", "removed device ", "removed mount "] {
        assert!(said.contains(what), "{what:?} is missing in {said}");
    }
    place.assert_nothing_left();
}

/// Both begin before or after `localhost`: the one that is chosen where nobody names any must be gone.
#[test]
fn a_domain_of_a_file_is_the_only_one_and_the_greeting_names_it() {
    let Some(place) = Place::new() else { return };
    let map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-domain, namespace: knative-serving}\n";
    let asleep = service("hello", "autoscaling.knative.dev/initial-scale: '0'");
    let state = place.folder.join("state");
    let state = ["--state", state.to_str().unwrap(), "--domain", "before.org"];
    for (data, more, domain, is_noted) in [
        ("", &state[..2], "localhost", false),
        ("data: {my.org: ''}\n", &state[..], "my.org", true),
        ("", &[], "localhost", false),
        ("data: {sluice.dev: ''}\n", &[], "sluice.dev", false),
        ("", &state[2..], "before.org", false),
    ] {
        let map = if data.is_empty() {
            String::new()
        } else {
            format!("{map}{data}")
        };
        let instance = place.start(&format!("{FAST}{map}{asleep}"), more);
        let url = format!("http://hello.default.{domain}");
        let is_there = || {
            instance
                .list(SERVICES)
                .iter()
                .any(|service| service["status"]["url"] == url.as_str())
        };
        assert!(within(PATIENCE, is_there), "{url}: {:?}", instance.list(SERVICES));
        let told = instance.told.join("\n");
        assert!(told.contains(&format!(" as http://NAME.NAMESPACE.{domain}:")), "{told}");
        let note =
            "note: --domain before.org is not in force: the ConfigMap knative-serving/config-domain names my.org";
        assert_eq!(told.contains(note), is_noted, "{told}");
        instance.end();
        if !more.contains(&"--state") {
            place.assert_nothing_left();
        }
    }
}

/// The container starts in another folder, and its `PATH` has no such program.
#[test]
fn an_image_is_found_from_where_the_command_line_was_written() {
    let Some(place) = Place::new() else { return };
    let there = place.folder.join("there");
    let text = format!("#!/bin/sh\ntouch {}\nwhile :; do sleep 1; done\n", there.display());
    executable(&place.folder, "server", &text);
    let manifest = service("near", "autoscaling.knative.dev/min-scale: '1'").replace(
        "image: sluice.dev/sample",
        "image: sluice.dev/near\n        workingDir: /",
    );
    let mut command = place.command(&manifest, &["--image", "sluice.dev/near=server"]);
    command.current_dir(&place.folder);
    let instance = started(command);
    assert!(within(PATIENCE, || there.exists()), "it does not run");
    instance.end();
    place.assert_nothing_left();
}

/// Its pod does not hear: it would have ten seconds.
#[test]
fn a_second_signal_ends_at_once_and_leaves_nothing() {
    let Some(place) = Place::new() else { return };
    let there = place.folder.join("there");
    let text = format!(
        "#!/bin/sh\ntrap '' TERM\ntouch {}\nwhile :; do sleep 1; done\n",
        there.display()
    );
    let script = executable(&place.folder, "deaf", &text);
    let image = format!("sluice.dev/deaf={}", script.display());
    let manifest =
        service("deaf", "autoscaling.knative.dev/min-scale: '1'").replace("sluice.dev/sample", "sluice.dev/deaf");
    let mut instance = place.start(&manifest, &["--image", &image]);
    let pods = "/api/v1/namespaces/default/pods";
    let runs = || {
        there.exists()
            && instance
                .list(pods)
                .iter()
                .any(|pod| pod["status"]["phase"] == "Running")
    };
    assert!(eventually(runs), "no pod runs");
    instance.terminate();
    // What comes sooner is one wish with the first.
    thread::sleep(Duration::from_secs(1));
    assert!(instance.is_running(), "it does not wait for its pod");
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn pods_and_objects_outlive_a_daemon_that_is_killed_under_load() {
    let Some(place) = Place::new() else { return };
    let state = place.folder.join("state");
    let state = ["--state", state.to_str().unwrap()];
    let kept = service("hello", "autoscaling.knative.dev/min-scale: '1'");
    let full = service("full", "autoscaling.knative.dev/max-scale: '1'")
        .replace("spec:\n      ", "spec:\n      containerConcurrency: 1\n      ");
    let manifest = format!("{kept}{full}");
    let instance = place.start(&manifest, &state);
    let host = "hello.default.localhost";
    assert!(eventually(|| instance.get(host, "/").0 == 200));
    assert!(eventually(|| instance.get("full.default.localhost", "/").0 == 200));
    let before = pod_of(&instance, "hello");
    let address: SocketAddr = format!("{}:8080", before["status"]["podIP"].as_str().unwrap())
        .parse()
        .unwrap();
    let gateway = instance.gateway;
    let (over, direct) = (AtomicBool::new(false), AtomicU64::new(0));
    let again = thread::scope(|scope| {
        let end = Over(&over);
        let long = Open::begin(address, host);
        assert!(
            within(PATIENCE, || active(&instance) == Some(1.0)),
            "a direct request does not count"
        );
        // Clients that talk to the pod itself, as direct ones do.
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(ask(address, host, "/").0, 200, "a direct request");
                    direct.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Longer than anybody waits here.
        let held = [0; 5].map(|_| Doomed::begin(gateway, "full.default.localhost", "/?sleep=600000"));
        for (name, due) in [("kn_revision_request_active", 1.0), ("kn_revision_request_queued", 4.0)] {
            let is_due = || figure(&instance, name, "full") == Some(due);
            assert!(within(PATIENCE, is_due), "{name} is not {due}");
        }
        instance.kill();
        for held in held {
            let answer = held.end();
            assert!(answer.is_empty(), "half an answer: {answer}");
        }
        let again = place.start(&manifest, &state);
        assert!(eventually(|| again.get(host, "/").0 == 200));
        drop(end);
        assert!(
            within(Duration::from_secs(30), || active(&again) == Some(1.0)),
            "what began before is not counted: {:?}",
            active(&again)
        );
        assert_eq!(long.end(), (200, "hi".to_owned()), "a request over the restart");
        assert!(
            within(Duration::from_secs(30), || active(&again) == Some(0.0)),
            "it is counted on: {:?}",
            active(&again)
        );
        again
    });
    assert!(direct.load(Ordering::Relaxed) > 0);
    let after = pod_of(&again, "hello");
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    assert_eq!(after["status"]["containerStatuses"][0]["restartCount"], 0);
    again.end();
    place.assert_nothing_left();
}

fn pod_of(instance: &Instance, service: &str) -> Value {
    let pods = instance.list("/api/v1/namespaces/default/pods");
    let ours = |pod: &Value| pod["metadata"]["labels"]["serving.knative.dev/service"] == service;
    pods.into_iter().find(ours).unwrap()
}

/// Requests that run on the pods of `hello`.
fn active(instance: &Instance) -> Option<f64> {
    let (_, page) = ask(instance.metrics, "metrics", "/metrics");
    let is_ours = |line: &&str| line.starts_with("kn_revision_request_active") && line.contains("\"hello-00001\"");
    page.lines().find(is_ours)?.rsplit(' ').next()?.parse().ok()
}

/// One runs and ends in time, one runs for too long, three wait for a free place, one for a pod that never listens.
#[test]
fn an_end_lets_requests_finish_and_answers_those_that_wait() {
    let Some(place) = Place::new() else { return };
    let script = executable(&place.folder, "mute", "#!/bin/sh\nwhile :; do sleep 1; done\n");
    let image = format!("sluice.dev/mute={}", script.display());
    let full = service("full", "autoscaling.knative.dev/max-scale: '1'")
        .replace("spec:\n      ", "spec:\n      containerConcurrency: 1\n      ");
    let long = service("long", "");
    let mute =
        service("mute", "autoscaling.knative.dev/initial-scale: '0'").replace("sluice.dev/sample", "sluice.dev/mute");
    let instance = place.start(&format!("{FAST}{full}{long}{mute}"), &["--image", &image]);
    for name in ["full", "long"] {
        assert!(eventually(
            || instance.get(&format!("{name}.default.localhost"), "/").0 == 200
        ));
    }
    assert!(eventually(|| instance.is_ready("mute")), "mute is not ready");
    let gateway = instance.gateway;
    let asking = |name: &'static str, path: &'static str| {
        thread::spawn(move || ask(gateway, &format!("{name}.default.localhost"), path))
    };
    let count = |figure_of: &str, name: &str, due: f64| {
        let is_there = || figure(&instance, figure_of, name) == Some(due);
        assert!(within(PATIENCE, is_there), "{figure_of} of {name} is not {due}");
    };
    let short = Open::begin(gateway, "full.default.localhost");
    count("kn_revision_request_active", "full", 1.0);
    let mut held: Vec<_> = (0..3).map(|_| asking("full", "/")).collect();
    held.push(asking("mute", "/"));
    count("kn_revision_request_queued", "mute", 1.0);
    count("kn_revision_request_queued", "full", 3.0);
    let endless = asking("long", "/?sleep=60000");
    count("kn_revision_request_active", "long", 1.0);
    instance.terminate();
    for held in held {
        assert_eq!(held.join().unwrap(), (503, "shutting down\n".to_owned()));
    }
    assert_eq!(short.end(), (200, "hi".to_owned()), "a request in flight");
    let (status, body) = endless.join().unwrap();
    assert!(matches!(status, 502 | 503) && !body.is_empty(), "{status} {body:?}");
    instance.ended();
    place.assert_nothing_left();
}
