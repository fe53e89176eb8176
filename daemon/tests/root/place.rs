// SPDX-License-Identifier: Apache-2.0
//! Instances of `sluice standalone`: each with its own cgroup, pins, devices, addresses, ports, folder.
//!
//! Invariants: no two tests have the same number, nor do those of two processes: a name in the machine's network is bound for
//! as long as the place exists. Every wait ends.

use crate::rig::{Ended, Rig, SLUICE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Scales down after six seconds, the shortest time that Knative allows.
pub(crate) const FAST: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-autoscaler, namespace: knative-serving}\n\
    data: {allow-zero-initial-scale: 'true', stable-window: 6s, scale-to-zero-grace-period: 6s}\n";
pub(crate) const SERVICES: &str = "/apis/serving.knative.dev/v1/namespaces/default/services";
/// The longest that an instance may take to be ready, or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    number: u8,
    /// Bound: the number is ours.
    _number: UnixListener,
    /// Dropped last: its cgroup and bpffs go when nothing is in them.
    rig: Rig,
}

pub(crate) struct Instance {
    process: Child,
    pub(crate) gateway: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) metrics: SocketAddr,
    /// The greeting.
    pub(crate) told: Vec<String>,
    /// What it says after that.
    pub(crate) later: Later,
}

type Later = Arc<Mutex<Vec<String>>>;

impl Place {
    pub(crate) fn new() -> Option<Self> {
        let rig = Rig::new()?;
        let (number, bound) = number();
        let folder = std::env::temp_dir().join(format!("sluice-standalone-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Some(Self {
            folder,
            number,
            _number: bound,
            rig,
        })
    }

    pub(crate) fn start(&self, manifests: &str, more: &[&str]) -> Instance {
        started(self.command(manifests, more))
    }

    /// Starts it with nothing declared.
    pub(crate) fn start_without_files(&self, more: &[&str]) -> Instance {
        let usual = self.command("", more);
        let mut command = Command::new(SLUICE);
        let mut is_file = false;
        command.args(usual.get_args().filter(|argument| {
            let is_option = *argument == "-f";
            let is_value = std::mem::replace(&mut is_file, is_option);
            !is_option && !is_value
        }));
        started(command)
    }

    /// How it is started, with these manifests in its file.
    pub(crate) fn command(&self, manifests: &str, more: &[&str]) -> Command {
        let file = self.folder.join("all.yaml");
        fs::write(&file, manifests).unwrap();
        let mut command = Command::new(SLUICE);
        let any = "127.0.0.1:0";
        command.args(["standalone", "--listen", any, "--api", any, "--metrics", any, "-f"]);
        command.arg(&file).arg("--run-dir").arg(self.folder.join("run"));
        command.arg("--pin-dir").arg(self.rig.pin_dir());
        command.arg("--cgroup").arg(self.rig.cgroup.join("pods"));
        command.args(["--pod-cidr", &format!("10.{}.0.0/16", 200 + self.number)]);
        command.args(["--device-prefix", &format!("slt{}x", self.number)]);
        command.args(more);
        command
    }

    /// What a command says that does not get as far as serving.
    pub(crate) fn refusal(&self, mut command: Command) -> Ended {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if !within(PATIENCE, || !matches!(process.try_wait(), Ok(None))) {
            let _ = kill(Pid::from_raw(process.id() as i32), Signal::SIGTERM);
            panic!("it runs: {:?}", process.wait_with_output());
        }
        Ended::of(process.wait_with_output().unwrap())
    }

    /// Where cgroup v2 is mounted.
    pub(crate) fn cgroup_mount(&self) -> &Path {
        self.rig.cgroup.parent().unwrap()
    }

    /// The cgroup of the pods.
    pub(crate) fn cgroup(&self) -> PathBuf {
        self.rig.cgroup.join("pods")
    }

    /// The processes of containers with this in their command, by their cgroups.
    pub(crate) fn processes(&self, word: &str) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        let mut folders = vec![self.cgroup()];
        while let Some(folder) = folders.pop() {
            let below = fs::read_dir(&folder).into_iter().flatten().flatten();
            folders.extend(below.map(|entry| entry.path()).filter(|path| path.is_dir()));
            let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            for process in listed.lines() {
                let command = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
                if command.contains(word) {
                    found.push((folder.clone(), process.to_owned()));
                }
            }
        }
        found
    }

    /// `sluice cleanup` of this place.
    pub(crate) fn cleanup(&self) -> Output {
        let mut command = Command::new(SLUICE);
        command.arg("cleanup").arg("--run-dir").arg(self.folder.join("run"));
        command.arg("--pin-dir").arg(self.rig.pin_dir()).output().unwrap()
    }

    fn devices(&self) -> usize {
        let prefix = format!("slt{}x", self.number);
        let devices = fs::read_dir("/sys/class/net").unwrap().flatten();
        devices
            .filter(|device| device.file_name().to_string_lossy().starts_with(&prefix))
            .count()
    }

    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.devices(), 0, "network devices were left");
        self.rig.assert_nothing_left();
        assert!(!self.rig.cgroup.join("pods").exists() || is_empty(&self.rig.cgroup.join("pods")));
        let run = fs::read_dir(self.folder.join("run")).into_iter().flatten().flatten();
        let files: Vec<_> = run.map(|entry| entry.file_name()).collect();
        assert!(files.is_empty(), "{files:?} were left in the run folder");
    }
}

/// What this starts, once it is ready.
pub(crate) fn started(mut command: Command) -> Instance {
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let later = Later::default();
    let told = told(process.stdout.take().unwrap(), &later);
    let Some(told) = told else {
        let _ = process.kill();
        panic!("not ready after {PATIENCE:?}: {:?}", process.wait());
    };
    let address = |what: &str| {
        let line = told.iter().find(|line| line.starts_with(what));
        let line = line.unwrap_or_else(|| panic!("it ended, having said {told:?}"));
        let url = line.split_whitespace().nth(1).unwrap();
        let authority = url.trim_start_matches("http://").trim_end_matches("/metrics");
        authority.parse().unwrap()
    };
    Instance {
        gateway: address("gateway"),
        api: address("API"),
        metrics: address("metrics"),
        told,
        later,
        process,
    }
}

/// What it says until it is ready or ends, the rest goes to `later`; none if that takes too long.
fn told(stdout: ChildStdout, later: &Later) -> Option<Vec<String>> {
    let (send, receive) = mpsc::channel();
    let later = Arc::clone(later);
    thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let mut told = Vec::new();
        for line in lines.by_ref() {
            told.push(line);
            if told.last().is_some_and(|line| line == "ready") {
                break;
            }
        }
        let _ = send.send(told);
        lines.for_each(|line| later.lock().unwrap().push(line));
    });
    receive.recv_timeout(PATIENCE).ok()
}

/// A number that nobody else on this machine has.
fn number() -> (u8, UnixListener) {
    let bound = (0..50).find_map(|number| {
        let name = UnixAddress::from_abstract_name(format!("sluice-test-place-{number}")).unwrap();
        Some((number, UnixListener::bind_addr(&name).ok()?))
    });
    bound.unwrap_or_else(|| panic!("fifty instances at a time are the most"))
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
    pub(crate) fn get(&self, host: &str, path: &str) -> (u16, String) {
        ask(self.gateway, host, path)
    }

    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let (status, body) = ask(self.api, "api", path);
        assert_eq!(status, 200, "{body}");
        let list: Value = serde_json::from_str(&body).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// Whether a service is ready.
    pub(crate) fn is_ready(&self, service: &str) -> bool {
        let (_, body) = ask(self.api, "api", &format!("{SERVICES}/{service}"));
        serde_json::from_str(&body).is_ok_and(|service| is_ready(&service))
    }

    /// Pods of a service, those that end included.
    pub(crate) fn pods_of(&self, service: &str) -> Vec<Value> {
        let mut pods = self.list("/api/v1/namespaces/default/pods");
        pods.retain(|pod| pod["metadata"]["labels"]["serving.knative.dev/service"] == service);
        pods
    }

    pub(crate) fn pods(&self) -> usize {
        self.list("/api/v1/namespaces/default/pods").len()
    }

    pub(crate) fn end(self) {
        self.terminate();
        self.ended();
    }

    /// Waits for an end that was asked for.
    pub(crate) fn ended(mut self) {
        let ended = || matches!(self.process.try_wait(), Ok(Some(status)) if status.success());
        assert!(within(PATIENCE, ended), "it did not end well within {PATIENCE:?}");
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    pub(crate) fn terminate(&self) {
        let _ = kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM);
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // A test that failed: its pods go, too.
            self.terminate();
            within(PATIENCE, || !matches!(self.process.try_wait(), Ok(None)));
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// Whether an object's condition Ready is True.
pub(crate) fn is_ready(object: &Value) -> bool {
    condition(object, "Ready")["status"] == "True"
}

/// A condition of an object; null if it has none of this type.
pub(crate) fn condition(object: &Value, kind: &str) -> Value {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let found = conditions.find(|condition| condition["type"] == kind);
    found.cloned().unwrap_or_default()
}

/// The sum of a figure over a service's first revision.
pub(crate) fn figure(instance: &Instance, name: &str, service: &str) -> Option<f64> {
    let (_, page) = ask(instance.metrics, "metrics", "/metrics");
    let labels = format!(
        "k8s_namespace_name=\"default\",kn_service_name=\"{service}\",kn_configuration_name=\"{service}\",\
         kn_revision_name=\"{service}-00001\""
    );
    let is_ours = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(&labels);
    let values: Vec<f64> = page
        .lines()
        .filter(is_ours)
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum())
}

/// A script that can be run, in this folder.
pub(crate) fn executable(folder: &Path, name: &str, script: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Creates an object.
pub(crate) fn post(to: SocketAddr, path: &str, object: &Value) -> (u16, String) {
    let body = object.to_string();
    let head = format!("POST {path} HTTP/1.0\r\nHost: api\r\nContent-Type: application/json");
    said(to, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// Changes an object by a merge patch.
pub(crate) fn patch(to: SocketAddr, path: &str, change: &Value) -> (u16, String) {
    let body = change.to_string();
    let head = format!("PATCH {path} HTTP/1.0\r\nHost: api\r\nContent-Type: application/merge-patch+json");
    said(to, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// Deletes an object.
pub(crate) fn delete(to: SocketAddr, path: &str) -> (u16, String) {
    said(to, &format!("DELETE {path} HTTP/1.0\r\nHost: api\r\n\r\n"))
}

/// A request whose connection is going to be broken off.
pub(crate) struct Doomed(TcpStream);

impl Doomed {
    pub(crate) fn begin(to: SocketAddr, host: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").unwrap();
        Self(stream)
    }

    /// What its client is told before its connection ends.
    pub(crate) fn end(mut self) -> String {
        let mut answer = String::new();
        if let Err(error) = self.0.read_to_string(&mut answer) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "nobody ended the connection");
        }
        answer
    }
}

/// A request that lasts until its client has said all of it.
pub(crate) struct Open(TcpStream);

impl Open {
    pub(crate) fn begin(to: SocketAddr, host: &str) -> Self {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "POST /echo HTTP/1.0\r\nHost: {host}\r\nContent-Length: 2\r\n\r\nh"
        )
        .unwrap();
        Self(stream)
    }

    /// Status and body of the answer.
    pub(crate) fn end(mut self) -> (u16, String) {
        self.0.write_all(b"i").unwrap();
        answer(self.0, "POST /echo")
    }
}

pub(crate) fn ask(to: SocketAddr, host: &str, path: &str) -> (u16, String) {
    said(to, &format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"))
}

/// Status and body of the answer.
fn said(to: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    answer(stream, request)
}

/// Status and body of what is answered to a request until the connection ends.
pub(crate) fn answer(mut stream: TcpStream, request: &str) -> (u16, String) {
    let mut answer = String::new();
    let first = request.lines().next().unwrap_or_default();
    stream
        .read_to_string(&mut answer)
        .unwrap_or_else(|error| panic!("{first}: {error}"));
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    (status.unwrap_or_default(), body.unwrap_or_default())
}

pub(crate) fn service(name: &str, annotations: &str) -> String {
    format!(
        "---\napiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  template:\n    \
         metadata: {{annotations: {{{annotations}}}}}\n    spec:\n      containers:\n      - image: sluice.dev/sample\n        \
         env: [{{name: TARGET, value: {name}}}]\n"
    )
}

pub(crate) fn within(time: Duration, mut is_true: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if is_true() {
            return true;
        }
        thread::sleep(Duration::from_millis(200));
    }
    false
}

/// Sets it when it is dropped: who goes on until then ends, also when a test fails.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
