// SPDX-License-Identifier: Apache-2.0
//! What a container may use, where this machine's cgroups can say so.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Case;
use crate::machine::{Machine, PATIENCE, container, pod};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "limits::a_container_is_killed_for_memory_or_the_pod_says_that_it_is_not_limited",
        check: memory,
    },
    Case {
        name: "limits::a_container_has_its_part_of_a_core_or_the_pod_says_that_it_is_not_limited",
        check: cpu,
    },
    Case {
        name: "limits::who_waits_to_start_a_container_goes_before_others_and_the_container_does_not",
        check: priority,
    },
];

fn memory(machine: &Machine) -> Result<()> {
    let limits = json!({"resources": {"limits": {"memory": "64Mi", "cpu": "500m"}}});
    machine.create(pod("small", &[], limits))?;
    let found = machine.ready("small")?;
    ensure!(found["status"]["qosClass"] == "Guaranteed", "{:#}", found["status"]);
    let events = machine.events("small");
    if events
        .iter()
        .any(|event| event.starts_with("LimitsNotEnforced: ") && event.contains("memory"))
    {
        return Ok(());
    }
    ensure!(
        machine.get("small", "allocate?16")? == (16 << 20).to_string(),
        "within the limit"
    );
    // The answer is the end of the connection.
    let _ = machine.get("small", "allocate?256");
    let found = machine.wait("small", "started again", |pod| container(pod)["restartCount"] == 1)?;
    let last = &container(&found)["lastState"]["terminated"];
    ensure!(last["reason"] == "OOMKilled" && last["exitCode"] == 137, "{last}");
    machine.ready("small").map(drop)
}

fn cpu(machine: &Machine) -> Result<()> {
    machine.create(pod("half", &[], json!({"resources": {"limits": {"cpu": "500m"}}})))?;
    machine.create(pod("free", &[], json!({})))?;
    machine.ready("half")?;
    machine.ready("free")?;
    let events = machine.events("half");
    if events
        .iter()
        .any(|event| event.starts_with("LimitsNotEnforced: ") && event.contains("cpu"))
    {
        return Ok(());
    }
    ensure!(
        limit(machine, "half")?.as_deref() == Some("50000 of 100000"),
        "{:?}",
        limit(machine, "half")?
    );
    ensure!(limit(machine, "free")?.is_none(), "{:?}", limit(machine, "free")?);
    Ok(())
}

/// How many microseconds of how many the first container of a pod may run, as its process' own cgroups say.
fn limit(machine: &Machine, name: &str) -> Result<Option<String>> {
    let running = machine.running().into_iter().find(|pod| pod.name == name);
    let own = running.context("it does not run")?.cgroup.join("0");
    if let Ok(text) = fs::read_to_string(own.join("cpu.max")) {
        let text = text.trim().replace(' ', " of ");
        return Ok((!text.starts_with("max")).then_some(text));
    }
    let processes = fs::read_to_string(own.join("cgroup.procs"))?;
    let process = processes.lines().last().context("nothing runs in it")?;
    let table = fs::read_to_string(format!("/proc/{process}/cgroup"))?;
    let rows = table.lines().map(|row| row.splitn(3, ':').collect::<Vec<_>>());
    let mut rows = rows.filter(|row| row.get(1).is_some_and(|names| names.split(',').any(|one| one == "cpu")));
    let below = rows
        .next()
        .and_then(|row| row.get(2).copied())
        .context("no cpu controller")?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut mounts = mounts.lines().map(|row| row.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|row| row.get(2) == Some(&"cgroup") && row[3].split(',').any(|one| one == "cpu"));
    let folder = PathBuf::from(mount.context("no cpu controller is mounted")?[1]).join(below.trim_start_matches('/'));
    let read =
        |file: &str| fs::read_to_string(folder.join(file)).with_context(|| folder.join(file).display().to_string());
    let (quota, period) = (read("cpu.cfs_quota_us")?, read("cpu.cfs_period_us")?);
    Ok((quota.trim() != "-1").then(|| format!("{} of {}", quota.trim(), period.trim())))
}

fn priority(machine: &Machine) -> Result<()> {
    // The first container of a pod takes a waiting process, the second has one of its own.
    let mut both = pod("usual", &[], json!({}));
    let sleeper = json!({"name": "second", "image": "app", "command": ["/bin/sleep", "600"]});
    let containers = both["spec"]["containers"].as_array_mut().context("no containers")?;
    containers.push(sleeper);
    machine.create(both)?;
    machine.wait("usual", "both run", |pod| {
        let statuses = pod["status"]["containerStatuses"].as_array();
        let is_running = |status: &Value| status["state"]["running"].is_object();
        statuses.is_some_and(|all| all.len() == 2 && all.iter().all(is_running))
    })?;
    let own = nice("self")?;
    let running = machine.running().into_iter().find(|pod| pod.name == "usual");
    let cgroup = running.context("it does not run")?.cgroup;
    for container in ["0", "1"] {
        // Each in a cgroup of its own.
        let all = all_nice(&cgroup.join(container))?;
        // A probe may have a process of its own in it.
        ensure!(
            !all.is_empty() && all.iter().all(|nice| *nice == own),
            "container {container}: {all:?}, and {own} is usual"
        );
    }
    let end = Instant::now() + PATIENCE;
    while !all_nice(&machine.settings.cgroup)?.contains(&-20) {
        ensure!(Instant::now() < end, "nobody who waits for a pod goes before others");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// How nice the processes of a cgroup and of those below it are.
fn all_nice(cgroup: &Path) -> Result<Vec<i32>> {
    let processes = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    // Some end meanwhile.
    let mut all: Vec<i32> = processes.lines().filter_map(|process| nice(process).ok()).collect();
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            all.extend(all_nice(&entry.path())?);
        }
    }
    Ok(all)
}

/// How nice a process is.
fn nice(process: &str) -> Result<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Its name, the second field, may hold spaces.
    let (_, rest) = stat.rsplit_once(')').context("no name")?;
    let field = rest.split_whitespace().nth(16).context("too few fields")?;
    Ok(field.parse()?)
}
