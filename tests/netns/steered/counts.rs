// SPDX-License-Identifier: Apache-2.0
//! In flight = on pods, by the kernel, plus held: each request once, none at rest.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::rig::Rig;
use tests::steered::{Load, Steered, target};
use tests::suite::{Case, case_on_rig};

pub(super) fn cases() -> Vec<Case> {
    vec![case_on_rig(
        "steered::a_request_is_held_or_on_a_pod_and_never_both",
        counts,
    )]
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
    let held = daemon.until(field, "five are held", |status| status.revisions[0].held == 5)?;
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
    // Five at any time: the mean between the two looks is five, whoever had them, but for the moments of the hand-over.
    let mean = (now.integral_ns - blue.integral_ns) as f64 / (now.at_ns - blue.at_ns) as f64;
    ensure!((4.5..=5.5).contains(&mean), "a mean of {mean}");

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
