// SPDX-License-Identifier: Apache-2.0
//! Apps that fail when a request wakes them from zero: what clients get, what users are told, and the way back.

use crate::place::{FAST, Instance, PATIENCE, Place, SERVICES, condition, executable, figure, patch, service, within};
use crate::rig::SLUICE;
use serde_json::{Value, json};
use std::fs;
use std::thread;

const PODS: &str = "/api/v1/namespaces/default/pods";
/// Ready without a pod; what makes no progress fails soon; held for three seconds at most.
const ASLEEP: &str = "autoscaling.knative.dev/initial-scale: '0', serving.knative.dev/progress-deadline: 8s";
const HELD: &str = "timeoutSeconds: 3\n      containers";

/// Does what its argument says; `until`: until it is mended.
const APP: &str = r#"#!/bin/sh
case $1 in
crashes) echo no database; exit 3 ;;
ends) sleep 1; exit 1 ;;
never) exec sleep 1000 ;;
until) [ -e "${0%/*}/mended" ] || { echo not yet; exit 4; } ;;
esac
"#;

/// Services, and what their containers say: the code that they ended with, if they began.
const FAILING: [(&str, Option<i64>); 5] = [
    ("crashes", Some(3)),
    ("ends", Some(1)),
    ("until", Some(4)),
    ("never", None),
    ("vanished", None),
];

#[test]
fn apps_that_fail_when_they_are_woken_answer_in_time_and_recover_when_they_are_mended() {
    let Some(place) = Place::new() else { return };
    let serve = format!("{APP}exec {SLUICE} sample --listen 0.0.0.0 --port $PORT\n");
    let images = ["app", "vanished"].map(|name| (name, executable(&place.folder, name, &serve)));
    let given = images
        .each_ref()
        .map(|(name, path)| format!("{name}={}", path.display()));
    let manifests = FAILING.map(|(name, _)| {
        let image = if name == "vanished" { name } else { "app" };
        service(name, ASLEEP)
            .replace("containers", HELD)
            .replace("sluice.dev/sample", &format!("{image}\n        args: [{name}]"))
    });
    let more = ["--image", &given[0], "--image", &given[1]];
    let instance = place.start(&format!("{FAST}{}", manifests.concat()), &more);
    for (name, _) in FAILING {
        assert!(within(PATIENCE, || instance.is_ready(name)), "{name} is not ready");
    }
    assert_eq!(instance.pods(), 0, "initial-scale");
    fs::remove_file(&images[1].1).unwrap();

    thread::scope(|scope| {
        let asked = FAILING.map(|(name, _)| [0, 1].map(|_| (name, scope.spawn(|| get(&instance, name)))));
        for (name, answer) in asked.into_iter().flatten() {
            assert_eq!(answer.join().unwrap(), (504, "request timeout".to_owned()), "{name}");
        }
    });
    for (name, code) in FAILING {
        assert_told_of_pod(&instance, name, code);
    }
    // As Knative: a progress deadline and 30 s after it was wanted it is given up, `TimedOut`, and from the next look on without
    // traffic.
    for (name, _) in FAILING {
        let mut last = Value::Null;
        let has_given_up = within(PATIENCE * 3, || {
            last = active(&instance, name);
            last["status"] == "False" && (last["reason"] == "TimedOut" || last["reason"] == "NoTraffic")
        });
        assert!(has_given_up, "{name}: {last}");
        assert!(
            within(PATIENCE, || of_first(&instance, name).is_empty()),
            "pods of {name} stay"
        );
    }

    fs::write(place.folder.join("mended"), "").unwrap();
    for (name, _) in FAILING.iter().filter(|(name, _)| *name != "until") {
        let template = json!({"spec": {"containers": [{"image": "sluice.dev/sample", "env": [{"name": "TARGET", "value": name}]}]}});
        let change = json!({"spec": {"template": template}});
        let (status, body) = patch(instance.api, &format!("{SERVICES}/{name}"), &change);
        assert_eq!(status, 200, "{body}");
    }
    for (name, _) in FAILING {
        let mut last = (0, String::new());
        let serves = || {
            last = get(&instance, name);
            // Those that the revision of before holds end as they did.
            assert!(matches!(last.0, 200 | 504), "{name}: {last:?}");
            last.0 == 200 && instance.is_ready(name)
        };
        assert!(within(PATIENCE * 2, serves), "{name} does not recover: {last:?}");
    }
    for (name, _) in FAILING {
        let mut left = Vec::new();
        let is_over = within(PATIENCE * 3, || {
            left = of_first(&instance, name);
            left.is_empty()
        });
        assert!(is_over, "pods of {name} stay: {left:?}");
        let held = figure(&instance, "kn_revision_request_concurrency", name);
        assert_eq!(held.unwrap_or_default(), 0.0, "{name} has requests for ever");
    }
    instance.end();
    place.assert_nothing_left();
}

fn get(instance: &Instance, service: &str) -> (u16, String) {
    instance.get(&format!("{service}.default.localhost"), "/")
}

/// The condition Active of its first revision.
fn active(instance: &Instance, service: &str) -> Value {
    let revisions = instance.list(&SERVICES.replace("services", "revisions"));
    let ours = revisions
        .iter()
        .find(|revision| revision["metadata"]["name"] == format!("{service}-00001"));
    ours.map(|revision| condition(revision, "Active")).unwrap_or_default()
}

/// The revision waits for its pod, and that one says how its container ended.
#[track_caller]
fn assert_told_of_pod(instance: &Instance, service: &str, code: Option<i64>) {
    let (mut pods, mut queued) = (Vec::new(), Value::Null);
    let is_told = within(PATIENCE, || {
        (pods, queued) = (of_first(instance, service), active(instance, service));
        let container = pods.first().map(|pod| &pod["status"]["containerStatuses"][0]);
        let ended = container.and_then(|container| container["lastState"]["terminated"]["exitCode"].as_i64());
        pods.len() == 1
            && ended == code
            && (&queued["status"], &queued["reason"]) == (&"Unknown".into(), &"Queued".into())
    });
    assert!(is_told, "{service}: {queued}, {pods:#?}");
}

/// The pods of its first revision.
fn of_first(instance: &Instance, service: &str) -> Vec<Value> {
    let mut pods = instance.list(PODS);
    let revision = format!("{service}-00001");
    pods.retain(|pod| pod["metadata"]["labels"]["serving.knative.dev/revision"] == revision);
    pods
}
