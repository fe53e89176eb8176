// SPDX-License-Identifier: Apache-2.0
//! kill -9 of the daemon: direct clients do not notice, the next one goes on with the counts.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::rig::Rig;
use tests::steered::{CLIENT, Load, Steered, target};
use tests::suite::{Case, case_on_rig};

use super::blue;

/// How long clients may take to be answered again.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn cases() -> Vec<Case> {
    vec![case_on_rig(
        "steered::a_killed_daemon_is_not_missed_by_direct_clients_and_is_adopted",
        killed,
    )]
}

fn killed(rig: &Rig) -> Result<()> {
    let mut steered = Steered::new(rig, "killed", 2, &blue("[]", "auto"))?;
    let pods = steered.pods(0, 2);
    steered.daemon.write(&blue(&pods, "auto"))?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "direct", |status| status.path().0 == "Direct")?;
    steered.clients.start_load(Load::to(target(1), 8).sleep(3))?;
    steered.clients.start_load(Load::to(target(1), 4).sleep(3).anew())?;
    let mut answered = 0;
    for _ in 0..2 {
        sleep(Duration::from_millis(300));
        steered.daemon.kill()?;
        // Longer than what buffered targets are left alone after.
        sleep(Duration::from_millis(1500));
        let (begun, mut meanwhile) = (Instant::now(), 0);
        while meanwhile <= 100 {
            let outcome = steered.clients.look()?;
            meanwhile += outcome.answered();
            ensure!(
                outcome.failed.is_empty() && begun.elapsed() < LIMIT,
                "{meanwhile} answers, {outcome:?}"
            );
            sleep(Duration::from_millis(20));
        }
        answered += meanwhile;
        let Steered { daemon, field, .. } = &mut steered;
        daemon.run(field)?;
        let status = daemon.until(field, "direct", |status| status.path().0 == "Direct")?;
        let started = status.revision("blue")?.started;
        ensure!(
            started >= answered,
            "the counts go on: {started} of at least {answered}"
        );
    }
    let outcome = steered.clients.stop()?;
    ensure!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    answered += outcome.answered();
    let Steered { daemon, field, .. } = &mut steered;
    let rest = daemon.until(field, "nothing in flight", |status| status.revisions[0].in_flight == 0)?;
    let blue = rest.revision("blue")?;
    ensure!(
        (blue.started, blue.through_gateway) == (answered, 0),
        "{answered} answers, {blue:?}"
    );
    let seen = steered.app.seen()?;
    ensure!(seen.iter().all(|pod| pod.peers.iter().eq([CLIENT])), "{seen:?}");
    Ok(())
}
