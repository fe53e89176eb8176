// SPDX-License-Identifier: Apache-2.0
//! `sluice standalone` as newcomers meet it: one process, real pods, real requests.
//!
//! Each test has an instance of its own: cgroup, pins, devices, addresses, ports, folder.

use crate::rig::{Rig, SLUICE, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Scales down after six seconds, the shortest time that Knative allows.
const FAST: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-autoscaler, namespace: knative-serving}\n\
    data: {stable-window: 6s, scale-to-zero-grace-period: 6s}\n";

struct Place {
    folder: PathBuf,
    number: u8,
    /// Dropped last: its cgroup and bpffs go when nothing is in them.
    rig: Rig,
}

struct Instance {
    process: Child,
    gateway: SocketAddr,
    api: SocketAddr,
}

impl Place {
    fn new() -> Option<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let rig = Rig::new()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sluice-standalone-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Some(Self { folder, number, rig })
    }

    fn start(&self, manifests: &str, more: &[&str]) -> Instance {
        let file = self.folder.join("all.yaml");
        fs::write(&file, manifests).unwrap();
        let mut command = Command::new(SLUICE);
        let any = "127.0.0.1:0";
        command.args(["standalone", "--listen", any, "--api", any, "--metrics", any, "-f"]);
        command.arg(&file).arg("--run-dir").arg(self.folder.join("run"));
        command.arg("--pin-dir").arg(self.rig.pin_dir());
        command.arg("--cgroup").arg(self.rig.cgroup.join("pods"));
        command.args(["--pod-cidr", &format!("10.{}.0.0/16", 200 + self.number)]);
        command
            .args(["--device-prefix", &format!("slt{}", self.number)])
            .args(more);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut told = Vec::new();
        for line in lines.by_ref().map_while(Result::ok) {
            let is_last = line == "ready";
            told.push(line);
            if is_last {
                break;
            }
        }
        let address = |what: &str| {
            let line = told
                .iter()
                .find(|line| line.starts_with(what))
                .unwrap_or_else(|| panic!("{told:?}"));
            let url = line.split_whitespace().nth(1).unwrap();
            url.trim_start_matches("http://").parse().unwrap()
        };
        Instance {
            gateway: address("gateway"),
            api: address("API"),
            process,
        }
    }

    fn devices(&self) -> usize {
        let prefix = format!("slt{}", self.number);
        let devices = fs::read_dir("/sys/class/net").unwrap().flatten();
        devices
            .filter(|device| device.file_name().to_string_lossy().starts_with(&prefix))
            .count()
    }

    fn assert_nothing_left(&self) {
        assert_eq!(self.devices(), 0, "network devices were left");
        self.rig.assert_nothing_left();
        assert!(!self.rig.cgroup.join("pods").exists() || is_empty(&self.rig.cgroup.join("pods")));
    }
}

fn is_empty(cgroup: &Path) -> bool {
    fs::read_dir(cgroup)
        .unwrap()
        .flatten()
        .all(|entry| !entry.path().is_dir())
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Instance {
    /// Status and body.
    fn get(&self, host: &str, path: &str) -> (u16, String) {
        ask(self.gateway, host, path)
    }

    fn list(&self, path: &str) -> Vec<Value> {
        let (status, body) = ask(self.api, "api", path);
        assert_eq!(status, 200, "{body}");
        let list: Value = serde_json::from_str(&body).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    fn pods(&self) -> usize {
        self.list("/api/v1/namespaces/default/pods").len()
    }

    fn end(mut self) {
        kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM).unwrap();
        assert!(self.process.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // A test that failed: its pods go, too.
            let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM);
            let _ = self.process.wait();
        }
    }
}

fn ask(to: SocketAddr, host: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .unwrap_or_else(|error| panic!("{host}{path}: {error}"));
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status.unwrap_or_default(), body.unwrap_or_default())
}

fn service(name: &str, annotations: &str) -> String {
    format!(
        "---\napiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  template:\n    \
         metadata: {{annotations: {{{annotations}}}}}\n    spec:\n      containers:\n      - image: sluice.dev/sample\n        \
         env: [{{name: TARGET, value: {name}}}]\n"
    )
}

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

fn within(time: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if is_true() {
            return true;
        }
        thread::sleep(Duration::from_millis(200));
    }
    false
}
