// SPDX-License-Identifier: Apache-2.0
//! Redirection handed from one ABI to the next and back while clients connect.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::redirect::{Crossing, Epochs, Steer, target};
use tests::rig::Rig;
use tests::role::{Place, Role};
use tests::suite::{Case, case_on_rig};

use crate::life::generations::other;

/// How long a daemon may take until clients go where it leads.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn cases() -> Vec<Case> {
    vec![case_on_rig(
        "redirect::an_abi_upgrade_and_downgrade_leave_no_client_alone_and_nobody_is_late",
        there_and_back,
    )]
}

/// Waits until this pod has accepted a connection.
fn is_heard(crossing: &Crossing<'_>, name: &str) -> Result<()> {
    let begun = Instant::now();
    while !crossing.pods.heard()?.iter().any(|heard| heard.name == name) {
        ensure!(begun.elapsed() < LIMIT, "no connection came to {name}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn there_and_back(rig: &Rig) -> Result<()> {
    let (program, object) = other()?;
    let mut crossing = Crossing::new(rig, "hand-over", 3)?;
    let pins = crossing.counter().settings().pin_dir.clone();
    let cgroup = crossing.field.cgroup.path().to_owned();
    // The daemons of the case have the folder for themselves.
    crossing.kernel()?.detach(&cgroup)?;
    crossing.counter().close();
    let start = |step: u16| {
        let orders = Steer {
            pins: pins.clone(),
            cgroup: cgroup.clone(),
            object: step.is_multiple_of(2).then(|| object.clone()),
            target: target(false),
            pod: crossing.pod(step % 3, false).to,
        };
        if step.is_multiple_of(2) {
            Role::start_program(&program, rig, Place::default(), "steer", &orders)
        } else {
            Role::start(rig, None, None, "steer", &orders)
        }
    };
    let name = |step: u16| format!("pod{}", step % 3);
    let mut daemon = start(1)?;
    let mut epochs = Epochs::starting_with(&[&name(1)]);
    crossing.dialler.storm(&[target(false)], 4)?;
    let mut handed = Ok(());
    for step in 2..=4 {
        daemon.kill()?;
        handed = epochs.change(&[&name(step)], || {
            daemon = start(step)?;
            Ok(())
        });
        if handed.is_err() {
            break;
        }
        handed = is_heard(&crossing, &name(step));
        if handed.is_err() {
            break;
        }
    }
    let attempts = crossing.dialler.calm()?;
    handed.context("handing over")?;
    let judged = epochs.judge(&attempts)?;
    println!("{judged:?}");
    ensure!(judged.by_name.len() == 3, "the case itself: {judged:?}");
    let without: u64 = daemon.ask("without")?;
    ensure!(without == 0, "{without} without a pod");
    daemon.kill()
}
