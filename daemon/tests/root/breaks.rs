// SPDX-License-Identifier: Apache-2.0
//! Things that break or go while requests are held and in flight: the daemon, services, pods, apps.

use crate::place::{
    Doomed, FAST, Instance, Over, PATIENCE, Place, SERVICES, ask, delete, executable, figure, service, within,
};
use crate::rig::SLUICE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

const PODS: &str = "/api/v1/namespaces/default/pods";
const NONE_AT_FIRST: &str = "autoscaling.knative.dev/initial-scale: '0'";
const TWO: &str = "autoscaling.knative.dev/min-scale: '2', autoscaling.knative.dev/max-scale: '2'";
const HOST: &str = "hello.default.localhost";
const GREETING: &str = "hello hello\n";

/// The daemon is killed when the pods are objects, when they have addresses, and when they run but do not listen.
#[test]
fn pods_that_start_from_zero_outlive_a_daemon_that_is_killed_and_none_is_lost_or_doubled() {
    let Some(place) = Place::new() else { return };
    let state = place.folder.join("state");
    let image = format!("slow={}", slow(&place.folder).display());
    let more = ["--state", state.to_str().unwrap(), "--image", &image];
    type Has = fn(&Value) -> bool;
    let moments: [(&str, Has); 3] = [
        ("object", |_| true),
        ("address", |pod| pod["status"]["podIP"].is_string()),
        ("runs", |pod| pod["status"]["phase"] == "Running"),
    ];
    let both = moments.map(|(moment, _)| [format!("{moment}-a"), format!("{moment}-b")]);
    let asleep = |name: &String| service(name, NONE_AT_FIRST).replace("sluice.dev/sample", "slow");
    let manifests: String = both.iter().flatten().map(asleep).collect();
    let manifests = format!("{FAST}{manifests}");
    let mut instance = place.start(&manifests, &more);
    for name in both.iter().flatten() {
        assert!(within(PATIENCE, || instance.is_ready(name)), "{name} is not ready");
    }
    for (names, (moment, has_come)) in both.iter().zip(moments) {
        let gateway = instance.gateway;
        let hosts = names
            .iter()
            .flat_map(|name| [0; 3].map(|_| format!("{name}.default.localhost")));
        let held: Vec<_> = hosts.map(|host| Doomed::begin(gateway, &host, "/")).collect();
        let mut before = BTreeMap::new();
        let are_there = within(PATIENCE, || {
            before = names.iter().map(|name| (name, pods(&instance, name))).collect();
            before.values().all(|pods| pods.iter().any(has_come))
        });
        assert!(are_there, "{moment}: {before:?}");
        instance.kill();
        for held in held {
            let answer = held.end();
            assert!(answer.is_empty(), "half an answer: {answer}");
        }
        let again = place.start(&manifests, &more);
        for (name, before) in before {
            let host = format!("{name}.default.localhost");
            assert_eq!(again.get(&host, "/"), (200, format!("hello {name}\n")), "{moment}");
            let after = pods(&again, name);
            assert_eq!(uids(&after), uids(&before), "{moment}: pods are lost or doubled");
            let restarts = &after[0]["status"]["containerStatuses"][0]["restartCount"];
            assert_eq!(restarts, 0, "{moment}: it was started twice");
            assert!(
                is_idle(&again, name),
                "{moment}: requests of the killed one are counted on"
            );
        }
        let are_one_each = within(PATIENCE, || place.processes("--listen").len() == running(&again));
        assert!(
            are_one_each,
            "{moment}: {:?} of {} pods",
            place.processes("--listen"),
            running(&again)
        );
        instance = again;
    }
    assert!(within(PATIENCE * 2, || instance.pods() == 0), "pods stay");
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn a_service_that_is_deleted_under_load_answers_what_it_took_and_then_404() {
    let Some(place) = Place::new() else { return };
    let image = format!(
        "mute={}",
        executable(&place.folder, "mute", "#!/bin/sh\nexec sleep 1000\n").display()
    );
    let mute = service("mute", NONE_AT_FIRST).replace("sluice.dev/sample", "mute");
    let manifests = format!("{FAST}{}{mute}", service("hello", TWO));
    let instance = place.start(&manifests, &["--image", &image]);
    assert!(within(PATIENCE, || instance.is_ready("hello") && instance.is_ready("mute")));
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        let gateway = instance.gateway;
        let held = [0; 3].map(|_| scope.spawn(move || ask(gateway, "mute.default.localhost", "/")));
        let is_held = || figure(&instance, "kn_revision_request_queued", "mute") == Some(3.0);
        assert!(within(PATIENCE, is_held), "nothing is held");
        let clients: Vec<_> = (0..8)
            .map(|_| {
                let answered = &answered;
                scope.spawn(move || {
                    loop {
                        let answer = ask(gateway, HOST, "/sleep/50");
                        answered.fetch_add(1, Relaxed);
                        if answer != (200, GREETING.to_owned()) {
                            return [answer, ask(gateway, HOST, "/sleep/50")];
                        }
                    }
                })
            })
            .collect();
        assert!(within(PATIENCE, || answered.load(Relaxed) > 50), "{answered:?} answers");
        for name in ["hello", "mute"] {
            let (status, body) = delete(instance.api, &format!("{SERVICES}/{name}"));
            assert_eq!(status, 200, "{body}");
        }
        for client in clients {
            let last = client.join().unwrap();
            assert!(last.iter().all(|(status, _)| *status == 404), "{last:?}");
        }
        for held in held {
            let removed = "the revision was removed\n".to_owned();
            assert_eq!(held.join().unwrap(), (503, removed), "what is held waits no longer");
        }
    });
    assert!(within(PATIENCE, || instance.pods() == 0), "pods stay");
    for name in ["hello", "mute"] {
        let told = || figure(&instance, "kn_revision_request_concurrency", name);
        assert!(
            within(PATIENCE, || told().is_none()),
            "{name} is gone and has {:?}",
            told()
        );
    }
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn pods_that_are_deleted_under_load_fail_no_request_but_those_that_a_force_cuts() {
    let Some(place) = Place::new() else { return };
    let instance = start(&place, TWO);
    let clients = Clients::new(instance.gateway);
    thread::scope(|scope| {
        let _end = clients.spawn(scope, 8);
        for _ in 0..3 {
            let before = clients.good.load(Relaxed);
            let gone = pods(&instance, "hello").remove(0);
            let name = gone["metadata"]["name"].as_str().unwrap();
            let (status, body) = delete(instance.api, &format!("{PODS}/{name}"));
            assert_eq!(status, 200, "{body}");
            let is_replaced = || {
                let now = pods(&instance, "hello");
                now.len() == 2 && !uids(&now).contains(&uid(&gone)) && clients.good.load(Relaxed) > before + 50
            };
            assert!(within(PATIENCE, is_replaced), "{name} stays");
        }
        assert_eq!(clients.failed(), [], "a pod that may finish fails no request");
        let gone = pods(&instance, "hello").remove(0);
        let path = format!(
            "{PODS}/{}?gracePeriodSeconds=0",
            gone["metadata"]["name"].as_str().unwrap()
        );
        assert_eq!(delete(instance.api, &path).0, 200);
        let before = clients.good.load(Relaxed);
        let goes_on = || clients.good.load(Relaxed) > before + 100 && pods(&instance, "hello").len() == 2;
        assert!(within(PATIENCE, goes_on), "it does not go on");
    });
    let cut = clients.failed();
    // No client was in it more than once.
    assert!(
        cut.len() <= 8 && cut.iter().all(|(status, _)| *status == 502),
        "{cut:?}"
    );
    assert!(
        within(PATIENCE, || is_idle(&instance, "hello")),
        "requests are in flight for ever"
    );
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn an_app_that_is_killed_costs_its_own_requests_and_is_started_again() {
    let Some(place) = Place::new() else { return };
    let one = "autoscaling.knative.dev/min-scale: '1', autoscaling.knative.dev/max-scale: '1'";
    let instance = start(&place, one);
    let pod = pods(&instance, "hello").remove(0);
    thread::scope(|scope| {
        let gateway = instance.gateway;
        let asked = [0; 4].map(|_| scope.spawn(move || ask(gateway, HOST, "/sleep/20000")));
        let run = || figure(&instance, "kn_revision_request_active", "hello") == Some(4.0);
        assert!(within(PATIENCE, run), "nothing runs");
        let app = place.processes("sluice-sample").remove(0).1;
        kill(Pid::from_raw(app.parse().unwrap()), Signal::SIGKILL).unwrap();
        for asked in asked {
            let (status, body) = asked.join().unwrap();
            assert!(status == 502 && !body.is_empty(), "{status} {body:?}");
        }
    });
    // Until it is seen that nobody listens a request is refused: 502, as behind a queue-proxy.
    let mut last = (0, String::new());
    let serves = || {
        last = instance.get(HOST, "/");
        assert!(matches!(last.0, 200 | 502), "{last:?}");
        last.0 == 200
    };
    assert!(within(PATIENCE, serves), "it is not started again: {last:?}");
    // The new process may answer before what is said of it is written.
    let restarts = || {
        let container = pods(&instance, "hello")[0]["status"]["containerStatuses"][0].clone();
        let exit = container["lastState"]["terminated"]["exitCode"].clone();
        (container["restartCount"].clone(), exit)
    };
    assert!(within(PATIENCE, || restarts().0 == 1), "{:?}", restarts());
    assert_eq!(restarts().1, 137);
    assert_eq!(uids(&pods(&instance, "hello")), [uid(&pod)], "the pod stays");
    assert!(is_idle(&instance, "hello"), "what was cut is in flight for ever");
    assert!(within(PATIENCE, || instance.is_ready("hello")));
    instance.end();
    place.assert_nothing_left();
}

/// An app that takes its time.
fn slow(folder: &Path) -> std::path::PathBuf {
    let script = format!("#!/bin/sh\nsleep 4\nexec {SLUICE} sample --listen 0.0.0.0 --port $PORT\n");
    executable(folder, "slow", &script)
}

fn start(place: &Place, annotations: &str) -> Instance {
    let instance = place.start(&format!("{FAST}{}", service("hello", annotations)), &[]);
    let serves = || instance.is_ready("hello") && instance.get(HOST, "/").0 == 200;
    assert!(within(PATIENCE, serves), "hello does not serve");
    instance
}

/// Those of a service that are not being deleted.
fn pods(instance: &Instance, service: &str) -> Vec<Value> {
    let mut pods = instance.pods_of(service);
    pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    pods
}

/// Pods that run, of all services.
fn running(instance: &Instance) -> usize {
    let pods = instance.list(PODS);
    pods.iter().filter(|pod| pod["status"]["phase"] == "Running").count()
}

fn uid(pod: &Value) -> String {
    pod["metadata"]["uid"].to_string()
}

fn uids(pods: &[Value]) -> Vec<String> {
    pods.iter().map(uid).collect()
}

/// Whether nothing is held or in flight, as far as anybody counts.
fn is_idle(instance: &Instance, service: &str) -> bool {
    within(PATIENCE, || {
        figure(instance, "kn_revision_request_concurrency", service) == Some(0.0)
    })
}

/// Who ask by the gateway, one request after the other.
struct Clients {
    gateway: SocketAddr,
    over: AtomicBool,
    good: AtomicU64,
    failed: Mutex<Vec<(u16, String)>>,
}

impl Clients {
    fn new(gateway: SocketAddr) -> Self {
        Self {
            gateway,
            over: AtomicBool::new(false),
            good: AtomicU64::new(0),
            failed: Mutex::default(),
        }
    }

    /// So many, until what is returned is dropped.
    fn spawn<'a, 'scope>(&'a self, scope: &'scope thread::Scope<'scope, 'a>, count: usize) -> Over<'a> {
        for _ in 0..count {
            scope.spawn(|| {
                while !self.over.load(Relaxed) {
                    let answer = ask(self.gateway, HOST, "/sleep/50");
                    match answer == (200, GREETING.to_owned()) {
                        true => drop(self.good.fetch_add(1, Relaxed)),
                        false => self.failed.lock().unwrap().push(answer),
                    }
                }
            });
        }
        Over(&self.over)
    }

    fn failed(&self) -> Vec<(u16, String)> {
        self.failed.lock().unwrap().clone()
    }
}
