// SPDX-License-Identifier: Apache-2.0
//! In flight = on pods, by the kernel, plus held: each request once, none at rest.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::rig::{POD_PORT, Rig};
use tests::steered::{Load, Status, Steered, target};
use tests::suite::{Case, case_on_rig};

use super::blue;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig("steered::a_request_is_held_or_on_a_pod_and_never_both", counts),
        case_on_rig("steered::a_pod_whose_place_is_said_no_more_keeps_its_counts", stays),
    ]
}

fn counts(rig: &Rig) -> Result<()> {
    let file = |pods: &str| {
        format!(
            "revisions: {{blue: {{pods: {pods}, burst: 5}}}}\nroutes: []\n\
             targets: [{{address: '10.96.0.1:80', to: blue, mode: buffered}}]\n"
        )
    };
    let mut steered = Steered::new(rig, "counts", 2, &file("[]"))?;
    steered
        .clients
        .start_load(Load::to(target(1), 5).sleep(4000).requests(1))?;
    let Steered { daemon, field, .. } = &mut steered;
    let are_held = |status: &Status| status.revisions[0].held == 5 && status.revisions[0].bursts > 0;
    let held = daemon.until(field, "five are held", are_held)?;
    let blue = held.revision("blue")?;
    ensure!(
        (blue.in_flight, blue.on_pods, blue.bursts) == (5, 0, 1),
        "one burst, from zero: {blue:?}"
    );

    // So that those moments are few among the time between.
    sleep(Duration::from_secs(1));
    let pods = steered.pods(0, 2);
    steered.daemon.write(&file(&pods))?;
    let Steered { daemon, field, .. } = &mut steered;
    let running = daemon.until(field, "five are on pods", |status| status.revisions[0].on_pods == 5)?;
    let now = running.revision("blue")?;
    ensure!((now.in_flight, now.held) == (5, 0), "{now:?}");
    // Five at any time: the mean between the two looks is five, whoever had them, but for the moments of the hand-over, in
    // which the machine may stand still.
    let mean = (now.integral_ns - blue.integral_ns) as f64 / (now.at_ns - blue.at_ns) as f64;
    ensure!((3.0..=5.5).contains(&mean), "a mean of {mean}");

    let rest = daemon.until(field, "nothing is in flight", |status| {
        status.revisions[0].in_flight == 0
    })?;
    let rest = rest.revision("blue")?;
    ensure!(
        (rest.started, rest.bursts) == (5, 2),
        "the kernel's burst of five, too: {rest:?}"
    );
    let outcome = steered.clients.stop()?;
    ensure!(outcome.failed.is_empty() && outcome.answered() == 5, "{outcome:?}");
    Ok(())
}

/// As of a pod that ends: its namespace may be gone before the list has one pod less.
fn stays(rig: &Rig) -> Result<()> {
    let mut steered = Steered::new(rig, "stays", 2, &blue("[]", "buffered"))?;
    let placed = steered.pods(0, 2);
    let addresses = format!("['10.77.2.2:{POD_PORT}', '10.77.2.2:{}']", POD_PORT + 1);
    for (pods, mode, path, count) in [
        (&placed, "buffered", "Buffered", 80),
        (&addresses, "auto", "Direct", 160),
        (&addresses, "buffered", "Buffered", 240),
    ] {
        steered.daemon.write(&blue(pods, mode))?;
        let Steered { daemon, field, .. } = &mut steered;
        let is_so = |status: &Status| status.path().0 == path && status.revisions[0].pods.len() == 2;
        daemon.until(field, path, is_so)?;
        let outcome = steered.clients.run(Load::to(target(1), 8).requests(10).anew())?;
        ensure!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        let Steered { daemon, field, .. } = &mut steered;
        let rest = daemon.until(field, "rest", |status| status.revisions[0].in_flight == 0)?;
        let now = rest.revision("blue")?;
        ensure!((now.started, &*now.counted_by) == (count, "kernel"), "{now:?}");
    }
    Ok(())
}
