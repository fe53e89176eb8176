// SPDX-License-Identifier: Apache-2.0
//! A client in a pod whose connections the kernel sends straight to another pod.
//!
//! Depends on: bash in the client's pod: what keeps a connection and opens others is nothing of ours.

use crate::place::{FAST, Instance, PATIENCE, Place, condition, executable, figure, service, within};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// Asks `app` on one connection that stays and on new ones, in turn, whom it sees, and writes down each answer.
const CLIENT: &str = r#"#!/bin/bash
cd "${0%/*}" || exit 1
while [ ! -e go ]; do sleep 0.1; done
address=$(getent ahostsv4 app.default.svc.cluster.local | head -n 1 | cut -d ' ' -f 1)
ask() { # descriptor, its name
  printf 'GET /peer HTTP/1.1\r\nHost: app.default.svc.cluster.local\r\n\r\n' >&"$1"
  IFS= read -r -t 20 first <&"$1" || { echo "$2: nothing" >> answers; exit 1; }
  while IFS= read -r -t 20 line <&"$1" && [ "$line" != $'\r' ]; do
    case ${line,,} in content-length:*) length=${line//[^0-9]/} ;; esac
  done
  IFS= read -r -t 20 -N "$length" body <&"$1" || { echo "$2: half" >> answers; exit 1; }
  echo "$2: ${first%$'\r'} to ${body%$'\n'}" >> answers
}
exec 4<>"/dev/tcp/$address/80" || { echo "no connection" >> answers; exit 1; }
while :; do
  ask 4 kept
  exec 5<>"/dev/tcp/$address/80" || { echo "no connection" >> answers; exit 1; }
  ask 5 new
  exec 5>&-
  sleep 0.02
done
"#;

#[test]
fn a_client_in_a_pod_takes_no_gateway_and_does_not_notice_a_daemon_that_is_killed() {
    let Some(place) = Place::new() else { return };
    let state = place.folder.join("state");
    let image = format!("client={}", executable(&place.folder, "client", CLIENT).display());
    let more = ["--state", state.to_str().unwrap(), "--image", &image];
    let kept = "autoscaling.knative.dev/min-scale: '1'";
    let direct = format!("{kept}, autoscaling.knative.dev/target-burst-capacity: '0'");
    let caller = service("caller", kept).replace("sluice.dev/sample", "client");
    let manifests = format!("{FAST}{}{caller}", service("app", &direct));
    let instance = place.start(&manifests, &more);
    let mut last = Value::Null;
    let is_direct = within(PATIENCE, || {
        last = data_path(&instance);
        last["status"] == "True" && last["reason"] == "Direct" && is_sent_past(&instance)
    });
    assert!(is_direct, "connections to app take a gateway: {last}");
    let before = (through_gateways(&instance), place.processes("sluice-sample"));
    assert!(
        !before.1.is_empty(),
        "no container runs below {}",
        place.cgroup().display()
    );
    fs::write(place.folder.join("go"), "").unwrap();
    let answers = Answers {
        path: place.folder.join("answers"),
        client: address(&instance, "caller"),
    };
    answers.grow_by(20, true);
    assert_eq!(through_gateways(&instance), before.0, "a gateway was between");
    let mut again = instance;
    // Several times: what a new daemon begins goes on beside what it takes over.
    for _ in 0..3 {
        let counted = in_kernel(&again);
        again.kill();
        answers.grow_by(20, true);
        again = place.start(&manifests, &more);
        // The new daemon looks at the pods before it lets clients go to them.
        answers.grow_by(40, false);
        let is_direct = || is_sent_past(&again) && data_path(&again)["reason"] == "Direct";
        let serves = || again.get("app.default.localhost", "/").0 == 200 && is_direct();
        assert!(within(PATIENCE, serves), "after the restart: {}", data_path(&again));
        // What it answered without a daemon is counted as well.
        let now = in_kernel(&again);
        assert!(now >= counted + 20.0, "{counted} requests on pods, and then {now}");
        // The counter that stood still is one that counts.
        assert!(through_gateways(&again) >= 1.0, "a gateway served and did not count");
    }
    answers.grow_by(40, true);
    let after = place.processes("sluice-sample");
    assert!(
        before.1.iter().all(|process| after.contains(process)),
        "{before:?} and then {after:?}"
    );
    again.end();
    place.assert_nothing_left();
}

/// What the client wrote.
struct Answers {
    path: PathBuf,
    /// The address of its pod: whom the application sees if nobody is between.
    client: String,
}

impl Answers {
    /// Waits for so many more, all of them from the application. What is kept has nobody between, ever; new connections
    /// have when this says so.
    #[track_caller]
    fn grow_by(&self, more: usize, is_direct: bool) {
        let count = || fs::read_to_string(&self.path).unwrap_or_default().lines().count();
        let before = count();
        let wanted = before + more;
        assert!(
            within(PATIENCE, || count() >= wanted),
            "{} of {wanted} answers: {:?}",
            count(),
            self.last()
        );
        let all = fs::read_to_string(&self.path).unwrap();
        let end = format!(" 200 OK to {}", self.client);
        let is_good = |line: &&str| match is_direct || line.starts_with("kept:") {
            true => line.ends_with(&end),
            false => line.contains(" 200 OK to "),
        };
        // One may have been on its way when the count began.
        let bad: Vec<_> = all.lines().skip(before + 1).filter(|line| !is_good(line)).collect();
        assert!(bad.is_empty(), "{bad:?}, not to {}", self.client);
    }

    fn last(&self) -> Option<String> {
        let all = fs::read_to_string(&self.path).ok()?;
        all.lines().last().map(str::to_owned)
    }
}

/// The address of a service's only pod.
fn address(instance: &Instance, service: &str) -> String {
    let pods = instance.list("/api/v1/namespaces/default/pods");
    let of_service = |pod: &&Value| pod["metadata"]["labels"]["serving.knative.dev/service"] == service;
    let pod = pods.iter().find(of_service).unwrap();
    pod["status"]["podIP"].as_str().unwrap().to_owned()
}

/// The condition DataPath of the service's route.
/// Whether the kernel is told, not the API alone.
fn is_sent_past(instance: &Instance) -> bool {
    figure(instance, "sluice_revision_direct", "app") == Some(1.0)
}

fn data_path(instance: &Instance) -> Value {
    let services = instance.list(crate::place::SERVICES.replace("services", "routes").as_str());
    let app = services.iter().find(|service| service["metadata"]["name"] == "app");
    app.map(|app| condition(app, "DataPath")).unwrap_or_default()
}

/// Requests of `app` that have begun on its pods.
fn in_kernel(instance: &Instance) -> f64 {
    let counted = figure(instance, "sluice_kernel_request_count_total", "app");
    counted.unwrap_or_else(|| panic!("the kernel counts nothing of app"))
}

/// Requests of `app` that gateways have carried.
fn through_gateways(instance: &Instance) -> f64 {
    figure(instance, "kn_revision_request_count_total", "app").unwrap_or_default()
}
