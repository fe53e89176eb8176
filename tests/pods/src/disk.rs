// SPDX-License-Identifier: Apache-2.0
//! Pods whose state file is on a full disk, and what becomes of them when there is room again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;
use standalone::state::State;

use crate::Case;
use crate::machine::{Machine, PATIENCE, is_ready, pod, pod_with};

pub(crate) const CASES: &[Case] = &[Case {
    name: "disk::what_a_full_disk_refused_of_a_pod_is_written_when_there_is_room",
    check: full,
}];

/// How long the disk stays full: several times as long as a pod waits before it writes again.
const FULL: Duration = Duration::from_secs(3);

/// A small disk.
struct Small(PathBuf);

impl Small {
    fn mount(path: PathBuf) -> Result<Self> {
        fs::create_dir(&path)?;
        mount(Some("none"), &path, Some("tmpfs"), MsFlags::empty(), Some("size=4m"))?;
        Ok(Self(path))
    }

    /// Writes until nothing more goes in.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.0.join("fill"))?;
        while file.write_all(&[0; 4096]).is_ok() {}
        Ok(())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

/// Adds objects until the disk has refused one.
fn write_until_refused(machine: &Machine) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    for number in 0.. {
        let map = json!({"metadata": {"name": format!("m{number}")}, "data": {"a": "x".repeat(2_000)}});
        if machine.put("configmaps", map).is_err() {
            break;
        }
        ensure!(Instant::now() < until, "the disk takes everything");
    }
    Ok(())
}

fn full(outer: &Machine) -> Result<()> {
    let small = Small::mount(outer.folder.join("small"))?;
    let machine = Machine::with(outer.neighbour()?, State::open(&small.0.join("state"))?)?;
    let me = std::env::current_exe()?.display().to_string();
    let of = |name: &str, more: serde_json::Value| {
        let mut container = json!({"volumeMounts": [{"name": "kept", "mountPath": "/srv"}]});
        container[more["field"].as_str().unwrap_or_default()] = more["value"].clone();
        let volumes = json!({"volumes": [{"name": "kept", "hostPath": {"path": machine.folder}}]});
        pod_with(volumes, pod(name, &[], container))
    };
    let probe = json!({"exec": {"command": [me, "app", "cat", "/srv/well"]}, "periodSeconds": 1});
    machine.create(of("gets-well", json!({"field": "readinessProbe", "value": probe})))?;
    let wait = json!({"exec": {"command": ["/bin/sh", "-c", "until test -e /srv/go; do sleep 0.05; done"]}});
    machine.create(of("goes", json!({"field": "lifecycle", "value": {"preStop": wait}})))?;
    machine.ready("goes")?;
    machine.wait("gets-well", "running", |pod| pod["status"]["phase"] == "Running")?;
    machine.delete("goes", Some(60))?;

    small.fill()?;
    write_until_refused(&machine)?;
    for file in ["well", "go"] {
        fs::write(machine.folder.join(file), "")?;
    }
    let full = Instant::now();
    let (mut has_stayed, mut was_unready) = (false, false);
    while full.elapsed() < FULL {
        // By then both have been told; what the disk has not answered yet shows for a moment.
        if full.elapsed() > FULL / 2 {
            was_unready |= machine.pod("gets-well").is_some_and(|pod| !is_ready(&pod));
            has_stayed |= machine.pod("goes").is_some();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    ensure!(was_unready && has_stayed, "the disk was not full: nothing is shown");

    fs::remove_file(small.0.join("fill"))?;
    machine.ready("gets-well")?;
    machine.gone("goes")?;
    machine.end()
}
