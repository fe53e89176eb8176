// SPDX-License-Identifier: Apache-2.0
//! What pods wrote, by `sluice logs` and by kubectl.
//!
//! `SLUICE_KUBECTL` names a kubectl; `cargo xtask test root` builds it.

use crate::place::{FAST, Instance, Place, executable, service, within};
use crate::rig::{SLUICE, eventually, is_required};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Exit code, and all that it said.
fn logs(place: &Place, words: &str) -> (i32, String) {
    let ended = command(place, words).output().unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (
        ended.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn command(place: &Place, words: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["60", SLUICE, "logs"]).args(words.split(' '));
    command.env("KUBECONFIG", place.folder.join("run/kubeconfig"));
    command
}

/// An image that says of which revision it is before it serves.
fn talking(place: &Place) -> String {
    let script = format!("#!/bin/sh\necho begun as $K_REVISION\nexec {SLUICE} sample\n");
    let path = executable(&place.folder, "talks", &script);
    format!("example.com/talks={}", path.display())
}

fn lines_that_begin(text: &str) -> usize {
    text.lines()
        .filter(|line| line.ends_with("begun as hello-00001"))
        .count()
}

/// Its lines as they come; it is ended with the value.
struct Following {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Following {
    fn new(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| send.send(line))
        });
        Self { child, lines }
    }

    fn sees(&self, what: &str, times: usize) {
        for time in 0..times {
            loop {
                let line = self.lines.recv_timeout(PATIENCE);
                let line = line.unwrap_or_else(|error| panic!("{what:?} was seen {time} times of {times}: {error}"));
                if line.contains(what) {
                    break;
                }
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pods_of(instance: &Instance, service: &str) -> Vec<String> {
    let pods = instance.list("/api/v1/namespaces/default/pods").into_iter();
    let ours = pods.filter(|pod| pod["metadata"]["labels"]["serving.knative.dev/service"] == service);
    ours.map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn logs_of_a_service_have_their_pods_names_and_go_on_with_those_that_start_later() {
    let Some(place) = Place::new() else { return };
    let hello =
        service("hello", "autoscaling.knative.dev/min-scale: '2'").replace("sluice.dev/sample", "example.com/talks");
    let idle = service("idle", "autoscaling.knative.dev/initial-scale: '0'");
    let instance = place.start(&format!("{FAST}{hello}{idle}"), &["--image", &talking(&place)]);
    let both = || lines_that_begin(&logs(&place, "hello").1) == 2;
    assert!(within(PATIENCE, both), "{:?}", logs(&place, "hello"));
    let (code, said) = logs(&place, "hello");
    let named: BTreeSet<_> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    let pods = pods_of(&instance, "hello");
    let expected: Vec<_> = pods.iter().map(|pod| format!("[{pod}]")).collect();
    assert!(
        code == 0 && named.len() == 2 && expected.iter().all(|pod| named.contains(pod.as_str())),
        "{said}"
    );
    let tail = || logs(&place, &format!("{} --tail 1", pods[0]));
    let listens = || tail().1.starts_with("listening on http://");
    assert!(within(PATIENCE, listens), "{:?}", tail());
    let (code, said) = tail();
    assert_eq!((code, said.lines().count()), (0, 1), "{said}");

    let (code, said) = logs(&place, "hello -c nope");
    assert_eq!(code, 6, "{said}");
    assert!(
        said.contains("have no container \"nope\"") && said.contains("theirs are user-container"),
        "{said}"
    );

    let following = Following::new(command(&place, "hello -f"));
    following.sees("begun as hello-00001", 2);
    // A container that ends begins anew, and so does its log.
    let _ = instance.get("hello.default.localhost", "/crash");
    following.sees("begun as hello-00001", 1);
    let waiting = Following::new(command(&place, "idle --follow"));
    assert!(eventually(|| instance.get("idle.default.localhost", "/").0 == 200));
    waiting.sees("listening on http://", 1);
    drop((following, waiting));
    instance.end();
    place.assert_nothing_left();
}

#[test]
fn logs_say_what_there_is_instead_when_there_are_none() {
    let Some(place) = Place::new() else { return };
    let idle = service("idle", "autoscaling.knative.dev/initial-scale: '0'");
    let instance = place.start(&format!("{FAST}{idle}"), &[]);
    let (code, said) = logs(&place, "idle");
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("service \"idle\" has no pod that runs now"), "{said}");
    let (code, said) = logs(&place, "nobody -n elsewhere");
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("no pod and no service is called \"nobody\""), "{said}");
    instance.end();
    let (code, said) = logs(&place, "idle");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("is `sluice standalone` running?"), "{said}");
    place.assert_nothing_left();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment")]
fn kubectl_shows_logs_and_follows_them() {
    let Some(kubectl) = std::env::var_os("SLUICE_KUBECTL") else {
        assert!(!is_required(), "required, but SLUICE_KUBECTL names no kubectl");
        println!("skipped: SLUICE_KUBECTL names no kubectl: `cargo xtask test root` builds it");
        return;
    };
    let Some(place) = Place::new() else { return };
    let hello =
        service("hello", "autoscaling.knative.dev/min-scale: '1'").replace("sluice.dev/sample", "example.com/talks");
    let instance = place.start(&hello, &["--image", &talking(&place)]);
    let kubectl = |words: &str| {
        let mut command = Command::new("timeout");
        command.arg("60").arg(&kubectl);
        command.arg("--kubeconfig").arg(place.folder.join("run/kubeconfig"));
        command.args(words.split(' ')).env("HOME", &place.folder);
        command
    };
    let says = |words: &str| {
        let ended = kubectl(words).output().unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    };
    let said = says("wait --for=condition=Ready ksvc/hello --timeout=40s");
    assert!(said.contains("condition met"), "{said}");
    let pod = pods_of(&instance, "hello").remove(0);
    let mut said = String::new();
    let is_all = within(PATIENCE, || {
        said = says(&format!("logs {pod}"));
        said.contains("begun as hello-00001\nlistening on http://")
    });
    assert!(is_all, "{said}");
    let said = says(&format!("logs {pod} -c user-container --tail=1"));
    assert!(said.starts_with("listening on") && said.lines().count() == 1, "{said}");
    let said = says("logs -l serving.knative.dev/service=hello --prefix");
    assert!(said.contains(&format!("[pod/{pod}/user-container] begun as")), "{said}");
    let said = says(&format!("logs {pod} --previous"));
    assert!(
        said.contains("previous terminated container \"user-container\""),
        "{said}"
    );
    let following = Following::new(kubectl(&format!("logs -f {pod}")));
    following.sees("listening on http://", 1);
    let _ = instance.get("hello.default.localhost", "/crash");
    let previous = || says(&format!("logs {pod} --previous")).contains("begun as hello-00001");
    assert!(
        within(PATIENCE, previous),
        "the run before is not there: {}",
        says(&format!("logs {pod} --previous"))
    );
    drop(following);
    instance.end();
    place.assert_nothing_left();
}
