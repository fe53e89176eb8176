// SPDX-License-Identifier: Apache-2.0
//! A runner that is killed, and the one after it.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use standalone::runner;
use standalone::state::State;

use crate::Case;
use crate::machine::{Machine, NEIGHBOUR, PATIENCE, container, ip, is_ready, pod, pod_with, settings, waits};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "restart::pods_outlive_a_runner_that_is_killed_and_are_taken_over",
        check: adopted,
    },
    Case {
        name: "restart::what_happened_in_between_is_known_and_pods_that_nobody_wants_are_ended",
        check: in_between,
    },
    Case {
        name: "restart::what_is_ready_no_more_is_not_said_to_be",
        check: not_ready,
    },
    Case {
        name: "restart::a_pod_that_is_over_has_left_its_place_to_whoever_lives_there_now",
        check: over,
    },
    Case {
        name: "restart::pods_start_while_those_that_nobody_wants_are_ended",
        check: orphans,
    },
    Case {
        name: "restart::a_pod_gets_another_place_when_the_machine_was_started_anew",
        check: anew,
    },
];

/// So many are killed in a row.
const RUNNERS: usize = 4;
/// So many pods are left that nobody wants: to end them takes many times as long as to start one.
const ORPHANS: usize = 40;

/// `runner OWNER SERIAL STATE-FILE [idle|imageless|crowd|many|late]`: makes the pod `stays` unless it is there, and says how
/// it stands, also every second. One that idles only runs; one that is late makes it when the first orphan has gone; for
/// `crowd` and `many` see there.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let word = |at: usize| arguments[at].to_str().unwrap();
    let mut settings = settings(word(0).parse().unwrap(), word(1).parse().unwrap()).unwrap();
    if arguments.len() > 3 && word(3) == "imageless" {
        settings.images.clear();
    }
    let is_crowd = arguments.len() > 3 && word(3) == "crowd";
    if is_crowd {
        (settings.range.prefix, settings.warm) = (29, 0);
    }
    let state = State::open(Path::new(word(2))).unwrap();
    let machine = Machine::with(settings, state).unwrap();
    if is_crowd {
        crowd(&machine).unwrap();
    }
    if arguments.len() > 3 && word(3) == "many" {
        many(&machine).unwrap();
    }
    let is_late = arguments.len() > 3 && word(3) == "late";
    let pods = machine.settings.run.join("pods");
    while is_late && std::fs::read_dir(&pods).unwrap().count() == ORPHANS {
        std::thread::sleep(Duration::from_millis(1));
    }
    let wants = arguments.len() == 3 || is_late;
    if wants && machine.pod("stays").is_none() {
        let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1});
        machine
            .create(pod("stays", &[], json!({"readinessProbe": probe})))
            .unwrap();
    }
    let (mut last, mut said) = (None, Instant::now());
    loop {
        let pod = machine.pod("stays");
        if pod != last || said.elapsed() > Duration::from_secs(1) {
            println!("{}", pod.as_deref().unwrap_or(&Value::Null));
            (last, said) = (pod, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// First a pod that is over, then as many others as there are places; the next runner takes them over, and then forgets the one
/// that is over. Says how the others stand.
fn crowd(machine: &Machine) -> Result<()> {
    let names: Vec<String> = (0..machine.settings.range.room()).map(|at| format!("c{at}")).collect();
    if let Some(over) = machine.pod("over") {
        let folder = machine.settings.pod(over["metadata"]["uid"].as_str().context("uid")?);
        ensure!(folder.exists(), "its log has gone");
        machine.delete("over", None)?;
        let until = Instant::now() + PATIENCE;
        while folder.exists() {
            ensure!(Instant::now() < until, "{} stays", folder.display());
            std::thread::sleep(Duration::from_millis(2));
        }
    } else {
        let never = json!({"restartPolicy": "Never"});
        machine.create(pod_with(never, pod("over", &["lines", "1"], json!({}))))?;
        machine.wait("over", "over", |pod| pod["status"]["phase"] == "Succeeded")?;
        for name in &names {
            machine.create(pod(name, &[], json!({})))?;
        }
    }
    say(machine, &names)
}

/// Pods, to be left by a runner that is killed; says how they stand.
fn many(machine: &Machine) -> Result<()> {
    let names: Vec<String> = (0..ORPHANS).map(|at| format!("m{at}")).collect();
    for name in &names {
        machine.create(pod(name, &[], json!({})))?;
    }
    say(machine, &names)
}

/// Says how these pods stand, once all are ready.
fn say(machine: &Machine, names: &[String]) -> Result<()> {
    let pods = names.iter().map(|name| machine.ready(name));
    let pods = pods.collect::<Result<Vec<_>>>()?;
    println!("{}", Value::from_iter(pods.iter().map(|pod| Value::clone(pod))));
    Ok(())
}

/// A runner in a process of its own; killed when dropped.
struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Other {
    fn start(serial: u32, state: &Path, more: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["runner", &std::process::id().to_string(), &serial.to_string()])
            .arg(state)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
        Ok(Self { child, lines })
    }

    fn wait(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + PATIENCE;
        for line in self.lines.by_ref() {
            let pod: Value = serde_json::from_str(&line?)?;
            if is_so(&pod) {
                return Ok(pod);
            }
            ensure!(Instant::now() < until, "not {what}: {:#}", pod["status"]);
        }
        bail!("the runner has gone before the pod was {what}")
    }

    fn kill(&mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Removes what killed runners left.
struct Ground {
    settings: runner::Settings,
    state: PathBuf,
    serial: u32,
}

impl Ground {
    fn new(machine: &Machine) -> Result<Self> {
        Ok(Self {
            settings: machine.neighbour()?,
            state: machine.folder.join("state"),
            serial: machine.serial()? + NEIGHBOUR,
        })
    }

    fn pid(&self, pod: &Value) -> Result<i32> {
        let uid = pod["metadata"]["uid"].as_str().context("uid")?;
        let path = self
            .settings
            .run
            .join("pods")
            .join(uid)
            .join("containers/c/0/started.json");
        let started: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        i32::try_from(started["pid"].as_i64().context("pid")?).map_err(Into::into)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        runner::cleanup(&self.settings);
        let _ = std::fs::remove_dir_all(&self.settings.cache);
        let _ = std::fs::remove_dir_all(self.settings.run.with_extension("case"));
    }
}

fn counted(pod: &Value) -> Result<String> {
    crate::app::get(&format!("{}:8080/counted", ip(pod)))
}

fn adopted(machine: &Machine) -> Result<()> {
    let ground = Ground::new(machine)?;
    let mut first = Other::start(ground.serial, &ground.state, &[])?;
    let pod = first.wait("ready", is_ready)?;
    ensure!(counted(&pod)? == "0", "the first request");
    let pid = ground.pid(&pod)?;
    first.kill()?;
    ensure!(counted(&pod)? == "1", "without a runner");
    // Each of them prepares places beside those that are taken.
    for _ in 0..RUNNERS {
        let mut between = Other::start(ground.serial, &ground.state, &[])?;
        between.wait("ready", is_ready)?;
        between.kill()?;
    }
    let mut second = Other::start(ground.serial, &ground.state, &[])?;
    let again = second.wait("ready", |pod| {
        is_ready(pod) && container(pod)["state"]["running"].is_object()
    })?;
    ensure!(
        container(&again)["restartCount"] == 0 && ip(&again) == ip(&pod),
        "{:#}",
        again["status"]
    );
    ensure!(
        ground.pid(&again)? == pid && counted(&again)? == "2",
        "it is another process"
    );
    // It is really followed: its end is seen.
    kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    let ended = second.wait("started again", |pod| {
        container(pod)["restartCount"] == 1 && is_ready(pod)
    })?;
    ensure!(
        container(&ended)["lastState"]["terminated"]["exitCode"] == 137,
        "{:#}",
        ended["status"]
    );
    second.kill()
}

fn in_between(machine: &Machine) -> Result<()> {
    let ground = Ground::new(machine)?;
    let mut first = Other::start(ground.serial, &ground.state, &[])?;
    let pod = first.wait("ready", is_ready)?;
    first.kill()?;
    // Ends while nobody looks.
    let _ = crate::app::get(&format!("{}:8080/exit?5", ip(&pod)));
    let mut second = Other::start(ground.serial, &ground.state, &[])?;
    let again = second.wait("started again", |pod| {
        container(pod)["restartCount"] == 1 && is_ready(pod)
    })?;
    ensure!(
        container(&again)["lastState"]["terminated"]["exitCode"] == 5,
        "{:#}",
        again["status"]
    );
    second.kill()?;
    ensure!(counted(&again)? == "0", "without a runner");
    // Another state, in which nobody has heard of the pod.
    let _third = Other::start(ground.serial, &machine.folder.join("other"), &["idle"])?;
    let until = Instant::now() + PATIENCE;
    while counted(&again).is_ok() {
        ensure!(Instant::now() < until, "it still answers");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Whoever asks at the address of such a pod may find another's app.
fn not_ready(machine: &Machine) -> Result<()> {
    let ground = Ground::new(machine)?;
    let mut runner = Other::start(ground.serial, &ground.state, &[])?;
    let pod = runner.wait("ready", is_ready)?;
    runner.kill()?;
    // It runs on, and its probe would fail.
    crate::app::get(&format!("{}:8080/fall-ill", ip(&pod)))?;
    let mut runner = Other::start(ground.serial, &ground.state, &[])?;
    let found = runner.wait("unready", |pod| !is_ready(pod))?;
    ensure!(container(&found)["restartCount"] == 0, "{:#}", found["status"]);
    kill(Pid::from_raw(ground.pid(&found)?), Signal::SIGKILL)?;
    let again = |pod: &Value| container(pod)["restartCount"] == 1 && is_ready(pod);
    let pod = runner.wait("started again", again)?;
    runner.kill()?;
    // It ends while nobody looks, and cannot be started again.
    let _ = crate::app::get(&format!("{}:8080/exit?5", ip(&pod)));
    let is_out = |pod: &Value| waits(pod).ends_with("Pull") && !is_ready(pod);
    let mut runner = Other::start(ground.serial, &ground.state, &["imageless"])?;
    runner.wait("out of service", is_out)?;
    runner.kill()?;
    let mut runner = Other::start(ground.serial, &ground.state, &[])?;
    runner.wait("ready", is_ready)?;
    runner.kill()?;
    // Nothing is left of it but its object.
    runner::cleanup(&ground.settings);
    let mut runner = Other::start(ground.serial, &ground.state, &["imageless"])?;
    runner.wait("out of service", is_out)?;
    runner.kill()?;
    let mut runner = Other::start(ground.serial, &ground.state, &[])?;
    let pod = runner.wait("ready", is_ready)?;
    ensure!(counted(&pod)? == "0", "the first request of a new process");
    runner.kill()
}

/// The address of a pod that is over has been given to another one.
fn over(machine: &Machine) -> Result<()> {
    let ground = Ground::new(machine)?;
    let mut first = Other::start(ground.serial, &ground.state, &["crowd"])?;
    let before = first.wait("a crowd", Value::is_array)?;
    first.kill()?;
    let mut second = Other::start(ground.serial, &ground.state, &["crowd"])?;
    let after = second.wait("a crowd", Value::is_array)?;
    let (before, after) = (before.as_array().context("pods")?, after.as_array().context("pods")?);
    for (before, after) in before.iter().zip(after) {
        let name = &after["metadata"]["name"];
        ensure!(
            ip(before) == ip(after) && ground.pid(before)? == ground.pid(after)?,
            "{name} moved"
        );
        ensure!(counted(after)? == "0", "{name} was started again");
    }
    second.kill()
}

/// What is ended is in the way of no pod that starts.
fn orphans(machine: &Machine) -> Result<()> {
    let ground = Ground::new(machine)?;
    let mut first = Other::start(ground.serial, &ground.state, &["many"])?;
    let left = first.wait("many", Value::is_array)?;
    first.kill()?;
    let folders = left.as_array().context("pods")?.iter();
    let folders = folders.map(|pod| pod["metadata"]["uid"].as_str().context("uid"));
    let folders = folders.map(|uid| Ok(ground.settings.pod(uid?)));
    let folders = folders.collect::<Result<Vec<_>>>()?;
    let is_left = || folders.iter().any(|folder| folder.exists());
    ensure!(is_left(), "nothing was left");
    // Another state, in which nobody has heard of them.
    let mut second = Other::start(ground.serial, &machine.folder.join("other"), &["late"])?;
    let started = second.wait("ready", is_ready)?;
    ensure!(is_left(), "all others were ended before it was started");
    let until = Instant::now() + PATIENCE;
    while is_left() {
        ensure!(Instant::now() < until, "some are left for ever");
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(counted(&started)? == "0", "it was not left alone");
    second.kill()
}

/// Of all that was made only the run folder is left, as on a disk.
fn anew(machine: &Machine) -> Result<()> {
    let ground = Ground::new(machine)?;
    let mut first = Other::start(ground.serial, &ground.state, &[])?;
    first.wait("ready", is_ready)?;
    first.kill()?;
    let (pods, aside) = (ground.settings.run.join("pods"), machine.folder.join("pods"));
    std::fs::rename(&pods, &aside)?;
    runner::cleanup(&ground.settings);
    std::fs::create_dir_all(&ground.settings.run)?;
    std::fs::rename(&aside, &pods)?;
    let mut second = Other::start(ground.serial, &ground.state, &[])?;
    let again = second.wait("started again", |pod| {
        container(pod)["restartCount"] == 1 && is_ready(pod)
    })?;
    ensure!(counted(&again)? == "0", "the first request of a new process");
    second.kill()
}
