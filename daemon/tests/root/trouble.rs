// SPDX-License-Identifier: Apache-2.0
//! `sluice standalone` where something is wrong: the machine, its files, the apps.
//!
//! Invariants: who is refused learns what is missing and what helps, and nothing is left; what is wrong with one service
//! stands in its conditions, with the reasons that Knative gives.

use crate::faults::NOBODY;
use crate::place::{FAST, Instance, PATIENCE, Place, ask, condition, executable, post, service, within};
use crate::rig::SLUICE;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

const REVISIONS: &str = "/apis/serving.knative.dev/v1/namespaces/default/revisions";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// What makes a service fail soon that makes no progress.
const SOON: &str = "serving.knative.dev/progress-deadline: 8s";

#[test]
fn a_port_that_is_taken_is_named_and_nothing_is_left() {
    let Some(place) = Place::new() else { return };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let state = place.folder.join("state");
    for option in ["--listen", "--api", "--metrics"] {
        let usual = place.command(FAST, &["--state", state.to_str().unwrap()]);
        let refused = place.refusal(with(&usual, &[(option, &address)]));
        refused.assert_fault(1, &[&address, "Address already in use", option]);
        assert!(!state.exists(), "a state file is left");
        assert!(!place.cgroup().exists(), "a cgroup is left");
        place.assert_nothing_left();
    }
}

#[test]
fn a_second_instance_is_told_of_the_first_and_not_of_its_ports() {
    let Some(place) = Place::new() else { return };
    let first = place.start(FAST, &[]);
    let ports = [
        ("--listen", first.gateway),
        ("--api", first.api),
        ("--metrics", first.metrics),
    ];
    let ports = ports.map(|(option, address)| (option, address.to_string()));
    let ports = ports.each_ref().map(|(option, address)| (*option, address.as_str()));
    let state = place.folder.join("state");
    let usual = place.command(FAST, &["--state", state.to_str().unwrap()]);
    let run = place.folder.join("run");
    let refused = place.refusal(with(&usual, &ports));
    refused.assert_fault(
        5,
        &[
            "--run-dir",
            run.to_str().unwrap(),
            "is in use by another `sluice standalone`",
        ],
    );
    assert!(!state.exists(), "a state file is left");
    assert_eq!(ask(first.api, "api", "/readyz").0, 200);
    first.end();
    place.assert_nothing_left();
}

/// In a network of its own: nobody else is to be in its way.
#[test]
fn a_name_server_on_all_addresses_is_named_with_what_helps() {
    let Some(place) = Place::new() else { return };
    let script = format!(
        "ip link set lo up; {SLUICE} sample --listen 0.0.0.0 --port 53 > /dev/null & other=$!\n\
         until grep -q ' 00000000:0035 ' /proc/net/tcp; do sleep 0.1; done\n\
         \"$@\"; code=$?; kill $other; wait $other; exit $code"
    );
    let state = place.folder.join("state");
    let usual = place.command(FAST, &["--state", state.to_str().unwrap()]);
    let refused = place.refusal(by(&["unshare", "-n", "sh", "-c", &script, "sh"], &usual));
    refused.assert_fault(
        1,
        &[
            "answering names on 10.",
            "sluice (process ",
            "listens on port 53 of all addresses",
            "another --pod-cidr does not help",
        ],
    );
    assert!(!state.exists(), "a state file is left");
    place.assert_nothing_left();
}

#[test]
fn what_the_machine_lacks_is_named_with_the_way_out() {
    let Some(place) = Place::new() else { return };
    let by_nobody = by(&NOBODY, &place.command(FAST, &[]));
    place
        .refusal(by_nobody)
        .assert_fault(3, &["missing privileges", "CAP_NET_ADMIN", "run as root"]);
    let mount = place.cgroup_mount();
    let script = format!("umount -l {} && exec \"$@\"", mount.display());
    let without = by(&["unshare", "-m", "sh", "-c", &script, "sh"], &place.command(FAST, &[]));
    place
        .refusal(without)
        .assert_fault(4, &["cgroup v2 is not mounted", "mount -t cgroup2"]);
    place.assert_nothing_left();
}

#[test]
fn an_image_that_is_not_there_is_named_before_anything_starts() {
    let Some(place) = Place::new() else { return };
    let refused = place.refusal(place.command(FAST, &["--image", "app=/no/such/program"]));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("--image app=/no/such/program: there is no"),
        "{refused:?}"
    );
    place.assert_nothing_left();
}

#[test]
fn a_file_that_is_no_state_is_refused_and_kept() {
    let Some(place) = Place::new() else { return };
    let file = place.folder.join("state");
    let words = ["it is left as it is", "restore a copy", "name another file"];
    for content in [b"kind: Service".to_vec(), Vec::new(), vec![0xff; 65_536]] {
        fs::write(&file, &content).unwrap();
        let refused = place.refusal(place.command(FAST, &["--state", file.to_str().unwrap()]));
        refused.assert_fault(1, &[file.to_str().unwrap(), words[0], words[1], words[2]]);
        assert_eq!(fs::read(&file).unwrap(), content, "it was changed");
        place.assert_nothing_left();
    }
}

#[test]
fn a_full_disk_refuses_changes_until_there_is_room_and_pods_serve_on() {
    let Some(place) = Place::new() else { return };
    let small = Small::mount(place.folder.join("small"), "8m");
    let state = small.0.join("state");
    let state = ["--state", state.to_str().unwrap()];
    let stays = service("stays", "autoscaling.knative.dev/min-scale: '1'");
    let manifests = format!("{}{stays}{}", FAST, service("sleeps", AT_ZERO));
    let instance = place.start(&manifests, &state);
    assert!(within(PATIENCE, || instance.is_ready("stays") && instance.is_ready("sleeps")));

    let fill = small.0.join("fill");
    fill_up(&fill);
    let written = (0..100).map(|number| (number, put_map(&instance, &format!("m{number}"), 100_000)));
    let (mut kept, mut refused) = (Vec::new(), None);
    for (number, (status, body)) in written {
        match status {
            201 => kept.push(format!("m{number}")),
            _ => {
                refused = Some((format!("m{number}"), status, body));
                break;
            }
        }
    }
    let (refused, status, body) = refused.expect("10 MB were written to a full disk");
    assert_eq!(status, 500, "{body}");
    assert!(
        body.contains("the state file cannot be written") && body.contains("No space left"),
        "{body}"
    );
    assert_eq!(map(&instance, &refused), 404, "what was refused is there");
    assert_eq!(instance.get("stays.default.localhost", "/").0, 200, "the pod that runs");

    fs::remove_file(&fill).unwrap();
    let accepts = || put_map(&instance, "after", 10).0 == 201;
    assert!(
        within(PATIENCE, accepts),
        "it is refused with room on the disk: {:?}",
        put_map(&instance, "last", 10)
    );
    kept.push("after".to_owned());
    let (status, body) = instance.get("sleeps.default.localhost", "/");
    assert_eq!(status, 200, "from zero after the disk was full: {body}");
    instance.end();
    let again = place.start(&manifests, &state);
    for name in kept {
        assert_eq!(map(&again, &name), 200, "{name} was answered with 201 and is lost");
    }
    assert_eq!(map(&again, &refused), 404, "what was refused has come back");
    again.end();
    drop(small);
    place.assert_nothing_left();
}

#[test]
fn a_start_on_a_full_disk_says_so_and_leaves_no_state_file() {
    let Some(place) = Place::new() else { return };
    let small = Small::mount(place.folder.join("small"), "64k");
    let file = small.0.join("state");
    let refused = place.refusal(place.command(FAST, &["--state", file.to_str().unwrap()]));
    refused.assert_fault(1, &["--state", "No space left", "name another file"]);
    assert!(!refused.err.contains("not found"), "{refused:?}");
    assert!(!file.exists(), "half a state file is left");
    drop(small);
    place.assert_nothing_left();
}

#[test]
fn places_that_cannot_be_are_named_before_anything_starts() {
    let Some(place) = Place::new() else { return };
    let twice = ["--image", "app=/bin/true", "--image", "app=/bin/false"];
    let refused = place.refusal(place.command(FAST, &twice));
    refused.assert_fault(2, &["--image app is given more than once"]);
    let usual = place.command(FAST, &["--service-cidr", "10.96.0.0/16"]);
    let pods = usual.get_args().skip_while(|argument| *argument != "--pod-cidr").nth(1);
    let pods = pods.unwrap().to_str().unwrap().to_owned();
    let network = format!("{}.0/24", pods.rsplit_once('.').unwrap().0);
    let refused = place.refusal(with(&usual, &[("--service-cidr", &network)]));
    refused.assert_fault(2, &["--service-cidr", &pods, "overlap"]);
    let refused = place.refusal(with(&usual, &[("--cgroup", "../elsewhere")]));
    refused.assert_fault(2, &["--cgroup: ../elsewhere is not below "]);
    place.assert_nothing_left();
}

const AT_ZERO: &str = "autoscaling.knative.dev/initial-scale: '0'";

#[test]
fn each_way_an_app_fails_has_the_condition_that_knative_users_know() {
    let Some(place) = Place::new() else { return };
    let app = program(&place.folder);
    let image = format!("app={}", app.display());
    let of = |name: &str, annotations: &str| {
        let with = format!("app\n        args: [{name}]");
        service(name, annotations).replace("sluice.dev/sample", &with)
    };
    let missing = service("missing", SOON).replace("sluice.dev/sample", "ghcr.io/me/app");
    let hangs = service("hangs", "").replace("spec:\n      ", "spec:\n      timeoutSeconds: 2\n      ");
    let apps = ["crashes", "ends", "never", "elsewhere"]
        .map(|name| of(name, SOON))
        .concat();
    let manifests = format!("{apps}{missing}{hangs}{}", of("slow", ""));
    let instance = place.start(&manifests, &["--image", &image]);
    let deadline = ["ProgressDeadlineExceeded"].as_slice();
    let wanted: [(&str, &[&str], &str); 5] = [
        ("crashes", &["ExitCode3"], "Container failed with: no database"),
        ("ends", &["ExitCode0"], "container exited with no error"),
        ("missing", &["ContainerMissing"], "--image ghcr.io/me/app=PATH"),
        ("never", deadline, "timed out progressing"),
        ("elsewhere", deadline, "timed out progressing"),
    ];
    for (name, reasons, words) in wanted {
        let mut last = Value::Null;
        let is_told = within(PATIENCE, || {
            last = ready(&instance, name);
            let text = |key: &str| last[key].as_str().unwrap_or_default();
            text("status") == "False" && reasons.contains(&text("reason")) && text("message").contains(words)
        });
        assert!(is_told, "{name} is not told of by {reasons:?}, {words:?}: {last}");
    }
    assert!(
        within(PATIENCE, || instance.is_ready("slow")),
        "slow: {}",
        ready(&instance, "slow")
    );
    assert_eq!(instance.get("slow.default.localhost", "/").0, 200);
    let (status, body) = instance.get("hangs.default.localhost", "/?sleep=60000");
    assert_eq!((status, body.as_str()), (504, "request timeout"));
    instance.end();
    place.assert_nothing_left();
}

/// The same command with other values of options.
fn with(usual: &Command, values: &[(&str, &str)]) -> Command {
    let mut command = Command::new(SLUICE);
    let mut value = None;
    command.args(usual.get_args().map(|argument| {
        let option = values.iter().find(|(option, _)| argument == *option);
        let given = std::mem::replace(&mut value, option.map(|(_, value)| *value));
        given.map_or(argument, AsRef::as_ref)
    }));
    command
}

/// The same command, started by another program.
fn by(starter: &[&str], command: &Command) -> Command {
    let mut by = Command::new(starter[0]);
    by.args(&starter[1..]).arg(SLUICE).args(command.get_args());
    by
}

/// An app that does what its argument says.
fn program(folder: &Path) -> PathBuf {
    let serve = format!("exec {SLUICE} sample --listen 0.0.0.0 --port");
    let script = format!(
        "#!/bin/sh\ncase $1 in\ncrashes) echo no database; exit 3 ;;\nends) exit 0 ;;\nnever) exec sleep 1000 ;;\n\
         slow) sleep 3; {serve} $PORT ;;\nelsewhere) {serve} 9999 ;;\nesac\n"
    );
    executable(folder, "app", &script)
}

/// The condition Ready of a service's first revision.
fn ready(instance: &Instance, service: &str) -> Value {
    let revisions = instance.list(REVISIONS);
    let ours = revisions
        .iter()
        .find(|revision| revision["metadata"]["name"] == format!("{service}-00001"));
    ours.map(|revision| condition(revision, "Ready")).unwrap_or_default()
}

/// Writes until nothing more goes in.
fn fill_up(path: &Path) {
    let mut file = File::create(path).unwrap();
    let block = [0; 4096];
    while file.write_all(&block).is_ok() {}
}

/// Creates a ConfigMap.
fn put_map(instance: &Instance, name: &str, bytes: usize) -> (u16, String) {
    let text = "x".repeat(bytes);
    let map =
        serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": text}});
    post(instance.api, MAPS, &map)
}

fn map(instance: &Instance, name: &str) -> u16 {
    ask(instance.api, "api", &format!("{MAPS}/{name}")).0
}

/// A small disk.
struct Small(PathBuf);

impl Small {
    fn mount(path: PathBuf, size: &str) -> Self {
        fs::create_dir(&path).unwrap();
        let small = Self(path);
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(&small.0);
        assert!(mount.status().unwrap().success(), "{mount:?}");
        small
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
