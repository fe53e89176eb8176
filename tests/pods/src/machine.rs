// SPDX-License-Identifier: Apache-2.0
//! A runner of its own for a case, with what cases say to it.
//!
//! Invariants: everything is removed when it is dropped; `end` finds nothing left.
//! Depends on: standalone.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use api::context::Settings as ApiSettings;
use k8s_openapi::jiff::Timestamp;
use life::Tasks;
use serde_json::{Value, json};
use standalone::http::{Api, Limits};
use standalone::logs::Wanted;
use standalone::moment::Moment;
use standalone::runner::{self, NoDrain, Runner, RunningPod, Settings};
use standalone::state::State;
use standalone::verbs::{self, Caller, DeleteOptions, Unknown};
use standalone::{Key, resource};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How long anything may take before a case gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The serial number of a case's second runner, less that of its first.
pub(crate) const NEIGHBOUR: u32 = 50;

/// A runner of its own.
pub(crate) struct Machine {
    pub(crate) settings: Settings,
    pub(crate) state: Arc<State>,
    pub(crate) folder: PathBuf,
    runtime: Runtime,
    runner: std::sync::Mutex<Option<Runner>>,
    running: watch::Receiver<Vec<RunningPod>>,
}

/// Where cgroup v2 is.
fn cgroup2() -> Result<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let rows = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let row = rows
        .into_iter()
        .find(|row| row.get(2) == Some(&"cgroup2"))
        .context("no cgroup2 mount")?;
    Ok(PathBuf::from(row[1]))
}

/// Settings that no other case has; `serial` tells them apart within a process.
pub(crate) fn settings(owner: u32, serial: u32) -> Result<Settings> {
    let name = format!("sluice-pods-{owner}-{serial}");
    let mut settings = Settings::new(std::env::current_exe()?);
    settings.range = format!("10.{}.{}.0/24", 100 + owner % 100, serial % 256).parse()?;
    settings.prefix = format!("t{}x{serial}x", owner % 1000);
    settings.cgroup = cgroup2()?.join(&name);
    settings.run = PathBuf::from("/run").join(&name);
    settings.cache = settings.run.with_extension("cache");
    settings.back_off = Duration::from_millis(200);
    settings.images.insert("app".to_owned(), std::env::current_exe()?);
    Ok(settings)
}

impl Machine {
    pub(crate) fn new() -> Result<Self> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let settings = settings(std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed))?;
        Self::with(settings, State::in_memory())
    }

    pub(crate) fn with(settings: Settings, state: State) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let state = Arc::new(state);
        // It makes the namespaces that there always are.
        Api::new(Arc::clone(&state), ApiSettings::default(), Limits::default())?;
        let folder = settings.run.with_extension("case");
        std::fs::create_dir_all(&folder)?;
        let guard = runtime.enter();
        let runner = Runner::begin(settings.clone(), Arc::clone(&state), Arc::new(NoDrain), &Tasks::new())?;
        drop(guard);
        Ok(Self {
            running: runner.running(),
            settings,
            state,
            folder,
            runtime,
            runner: std::sync::Mutex::new(Some(runner)),
        })
    }

    /// Ends everything and looks whether something is left.
    pub(crate) fn end(&self) -> Result<()> {
        self.stop(Duration::from_secs(1));
        let settings = &self.settings;
        for path in [&settings.cgroup, &settings.run] {
            ensure!(!path.exists(), "{} is left", path.display());
        }
        let devices = std::fs::read_dir("/sys/class/net")?.flatten();
        let left: Vec<_> = devices
            .filter(|one| one.file_name().to_string_lossy().starts_with(&settings.prefix))
            .collect();
        ensure!(left.is_empty(), "devices are left: {left:?}");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        let run = settings.run.display().to_string();
        ensure!(!mounts.contains(&format!("{run}/")), "mounts are left below {run}");
        let processes = std::fs::read_dir("/proc")?.flatten();
        for process in processes {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            ensure!(!line.contains(&format!("{run}/")), "a process is left: {line}");
        }
        Ok(())
    }

    fn stop(&self, grace: Duration) {
        let runner = self.runner.lock().unwrap().take();
        if let Some(runner) = runner {
            self.runtime.block_on(runner.end(grace));
        }
    }

    /// Runs the pod of a spec.
    pub(crate) fn create(&self, pod: Value) -> Result<()> {
        self.put("pods", pod)
    }

    /// Creates an object of the core group in `default`.
    pub(crate) fn put(&self, plural: &str, object: Value) -> Result<()> {
        let resource = resource::find("", "v1", plural).context("resource")?;
        let settings = ApiSettings::default();
        let written = self.state.write_kept(&mut moment(), false, |transaction| {
            verbs::create(transaction, resource, "default", object, &caller(&settings)).map(drop)
        });
        let kept = written.and_then(|((), kept)| kept.wait_blocking());
        kept.map_err(|refusal| anyhow::anyhow!("{refusal}"))
    }

    pub(crate) fn delete(&self, name: &str, grace: Option<i64>) -> Result<()> {
        let options = DeleteOptions {
            grace,
            ..DeleteOptions::default()
        };
        let done = self.state.write_kept(&mut moment(), false, |transaction| {
            verbs::delete(transaction, &key(name), &options).map(drop)
        });
        let kept = done.and_then(|((), kept)| kept.wait_blocking());
        kept.map_err(|refusal| anyhow::anyhow!("{refusal}"))
    }

    pub(crate) fn pod(&self, name: &str) -> Option<Arc<Value>> {
        self.state.read(|store| store.get(&key(name)))
    }

    /// Waits until a pod is as wanted.
    pub(crate) fn wait(&self, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Arc<Value>> {
        let until = Instant::now() + PATIENCE;
        loop {
            let pod = self.pod(name);
            if let Some(pod) = pod.as_ref().filter(|pod| is_so(pod)) {
                return Ok(Arc::clone(pod));
            }
            if Instant::now() > until {
                let status = pod.map_or(Value::Null, |pod| pod["status"].clone());
                bail!(
                    "{name} is not {what} after {PATIENCE:?}: {status:#}\n{:#?}",
                    self.events(name)
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub(crate) fn ready(&self, name: &str) -> Result<Arc<Value>> {
        self.wait(name, "ready", is_ready)
    }

    pub(crate) fn gone(&self, name: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while let Some(pod) = self.pod(name) {
            ensure!(Instant::now() < until, "{name} does not go: {:#}", pod["status"]);
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// `reason: message` of a pod's events.
    pub(crate) fn events(&self, name: &str) -> Vec<String> {
        let resource = resource::find("", "v1", "events").unwrap();
        self.state.read(|store| {
            let events = store.list(resource, Some("default")).map(|(_, event)| event);
            let own = events.filter(|event| event["involvedObject"]["name"] == name);
            let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
            own.map(|event| format!("{}: {}", text(&event, "reason"), text(&event, "message")))
                .collect()
        })
    }

    pub(crate) fn logs(&self, name: &str, wanted: &Wanted) -> Result<String> {
        let runner = self.runner.lock().unwrap();
        let logs = runner.as_ref().context("runner")?.logs();
        let _inside = self.runtime.enter();
        let mut pieces = logs
            .read("default", name, wanted)
            .map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let mut text = Vec::new();
        self.runtime.block_on(async {
            while let Some(piece) = pieces.recv().await {
                text.extend_from_slice(&piece);
            }
        });
        Ok(String::from_utf8(text)?)
    }

    pub(crate) fn running(&self) -> Vec<RunningPod> {
        self.running.borrow().clone()
    }

    /// Asks a pod's server.
    pub(crate) fn get(&self, name: &str, path: &str) -> Result<String> {
        let pod = self.pod(name).context("no pod")?;
        let until = Instant::now() + PATIENCE;
        loop {
            let got = crate::app::get(&format!("{}:8080/{path}", ip(&pod)));
            let refused = |error: &anyhow::Error| {
                let error = error.downcast_ref::<std::io::Error>();
                error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
            };
            if !got.as_ref().is_err_and(refused) || Instant::now() > until {
                return got;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Which of this process's cases it belongs to.
    pub(crate) fn serial(&self) -> Result<u32> {
        let name = self.settings.run.to_string_lossy();
        let serial = name.rsplit('-').next().context("serial")?;
        serial.parse().map_err(Into::into)
    }

    /// Settings for a second runner of the same case.
    pub(crate) fn neighbour(&self) -> Result<Settings> {
        settings(std::process::id(), self.serial()? + NEIGHBOUR)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
        runner::cleanup(&self.settings);
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_dir_all(&self.settings.cache);
    }
}

pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready")
}

pub(crate) fn condition(pod: &Value, kind: &str) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .any(|one| one["type"] == kind && one["status"] == "True")
}

pub(crate) fn ip(pod: &Value) -> &str {
    pod["status"]["podIP"].as_str().unwrap_or_default()
}

/// The status of a pod's first container.
pub(crate) fn container(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]
}

/// The reason why the first container waits.
pub(crate) fn waits(pod: &Value) -> &str {
    container(pod)["state"]["waiting"]["reason"]
        .as_str()
        .unwrap_or_default()
}

fn key(name: &str) -> Key {
    Key::new(resource::find("", "v1", "pods").unwrap(), "default", name)
}

pub(crate) fn moment() -> Moment {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    Moment {
        now: Timestamp::from_second(since.as_secs().cast_signed()).unwrap(),
        random: Default::default(),
    }
}

pub(crate) fn caller(settings: &ApiSettings) -> Caller<'_> {
    Caller {
        settings,
        user: "test",
        manager: "test",
        has_booked: false,
        unknown: Unknown::Refused,
    }
}

/// A pod with one container, `more` merged into it.
pub(crate) fn pod(name: &str, arguments: &[&str], more: Value) -> Value {
    let all: Vec<&str> = std::iter::once("app").chain(arguments.iter().copied()).collect();
    let mut container = json!({
        "name": "c", "image": "app", "args": all,
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    });
    merge(&mut container, more);
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"nodeName": "standalone", "terminationGracePeriodSeconds": 5, "containers": [container]},
    })
}

/// The same with further fields of the pod's spec.
pub(crate) fn pod_with(spec: Value, mut pod: Value) -> Value {
    merge(&mut pod["spec"], spec);
    pod
}

fn merge(into: &mut Value, from: Value) {
    for (key, value) in from.as_object().cloned().unwrap_or_default() {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(&key);
        } else {
            into[key] = value;
        }
    }
}
