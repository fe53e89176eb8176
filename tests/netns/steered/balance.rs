// SPDX-License-Identifier: Apache-2.0
//! After a scale-up no pod stays idle behind old keep-alive connections (design 4.2).

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::rig::Rig;
use tests::steered::{App, Load, Steered, target};
use tests::suite::{Case, case_on_rig};

use super::blue;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig(
            "steered::sixty_four_clients_that_stay_share_eight_pods_buffered_and_then_direct",
            share,
        ),
        case_on_rig(
            "steered::pods_that_come_while_it_is_direct_are_filled_before_it_is_direct_again",
            grown,
        ),
    ]
}

/// The time that no pod may be above 1.5 times the mean after.
const LIMIT: Duration = Duration::from_secs(60);
const PODS: u16 = 8;

/// Waits until the mean in flight over half a second is shared.
fn until_shared(app: &App) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let mut sums = [0; PODS as usize];
        for _ in 0..25 {
            sleep(Duration::from_millis(20));
            for (sum, seen) in sums.iter_mut().zip(app.seen()?) {
                *sum += seen.in_flight;
            }
        }
        let (most, all): (u64, u64) = (sums.iter().copied().max().unwrap_or(0), sums.iter().sum());
        // Most clients must be with the app, or it shows nothing.
        if all > 25 * 32 && 2 * most * u64::from(PODS) <= 3 * all {
            println!("shared after {:?}: {sums:?}", begun.elapsed());
            return Ok(begun.elapsed());
        }
        ensure!(begun.elapsed() < LIMIT, "in flight summed over 25 looks: {sums:?}");
    }
}

fn share(rig: &Rig) -> Result<()> {
    let mut steered = Steered::new(rig, "share", PODS, &blue("[]", "buffered"))?;
    steered.daemon.write(&blue(&steered.pods(0, 1), "buffered"))?;
    steered.clients.start_load(Load::to(target(1), 64).sleep(40))?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "one pod is busy", |status| status.revisions[0].on_pods > 50)?;

    let pods = steered.pods(0, PODS);
    steered.daemon.write(&blue(&pods, "buffered"))?;
    until_shared(&steered.app)?;

    steered.daemon.write(&blue(&pods, "auto"))?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "direct", |status| status.path().0 == "Direct")?;
    daemon.until(field, "all have moved", |status| status.targets[0].connections == 0)?;
    until_shared(&steered.app)?;
    let outcome = steered.clients.stop()?;
    ensure!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    ensure!(outcome.sent_off == 64, "each was asked once to come anew: {outcome:?}");
    Ok(())
}

fn grown(rig: &Rig) -> Result<()> {
    let mut steered = Steered::new(rig, "grown", PODS, &blue("[]", "auto"))?;
    steered.daemon.write(&blue(&steered.pods(0, 1), "auto"))?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "direct", |status| status.path().0 == "Direct")?;
    // Clients that stay on the first pod, and clients that come and go.
    steered.clients.start_load(Load::to(target(1), 24).sleep(40))?;
    steered.clients.start_load(Load::to(target(1), 40).sleep(40).anew())?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "one pod is busy", |status| status.revisions[0].on_pods > 50)?;
    steered.daemon.write(&blue(&steered.pods(0, PODS), "auto"))?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "unbalanced", |status| {
        status.path() == ("Buffered", "Unbalanced")
    })?;
    // Those that come and go fill the others; those that stay cannot be asked to go: nobody stands in their way.
    let (begun, mut is_served) = (Instant::now(), [false; PODS as usize]);
    while !is_served.iter().skip(1).all(|served| *served) {
        ensure!(begun.elapsed() < LIMIT, "which pods were served: {is_served:?}");
        sleep(Duration::from_millis(100));
        for (served, seen) in is_served.iter_mut().zip(steered.app.seen()?) {
            *served |= seen.requests > 0;
        }
    }
    ensure!(steered.daemon.status(&steered.field)?.path() == ("Buffered", "Unbalanced"));
    let outcome = steered.clients.stop()?;
    ensure!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "direct again", |status| status.path().0 == "Direct")?;
    Ok(())
}
