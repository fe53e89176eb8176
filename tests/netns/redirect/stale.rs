// SPDX-License-Identifier: Apache-2.0
//! Fail open: what a daemon that does not progress would black-hole goes where the address itself leads.

use std::time::Duration;

use anyhow::{Result, ensure};
use kernel::{Configuration, Mode, monotonic};
use tests::redirect::{Crossing, Dial, target};
use tests::rig::Rig;
use tests::suite::{Case, case_on_rig};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig(
            "redirect::a_stale_heartbeat_leaves_buffered_and_later_direct_alone",
            stale,
        ),
        case_on_rig("redirect::a_heartbeat_goes_stale_by_time_alone_and_resumes", by_time),
        case_on_rig("redirect::without_any_heartbeat_targets_are_left_alone", never),
    ]
}

/// Both families: who answers a buffered target, who a direct one.
fn answers(crossing: &Crossing<'_>) -> Result<[String; 2]> {
    let answer = |six| Ok(crossing.dialler.dial(Dial::to(target(six)))?.answer);
    let answers: Result<Vec<String>> = [false, true].into_iter().map(answer).collect();
    answers?.try_into().map_err(|_| anyhow::anyhow!("two answers"))
}

/// IPv4's target is buffered, IPv6's is direct.
fn both(crossing: &Crossing<'_>) -> Result<()> {
    crossing.kernel()?.set_backends(target(false), Mode::Buffered, &[])?;
    crossing
        .kernel()?
        .set_backends(target(true), Mode::Direct, &[crossing.pod(0, true)])?;
    Ok(())
}

fn stale(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "stale", 1)?;
    both(&crossing)?;
    crossing.configure(|configuration| Configuration {
        stale_buffered: Duration::from_secs(10),
        stale_direct: Duration::from_secs(150),
        ..configuration
    })?;
    let kernel = crossing.kernel()?;
    for _ in 0..3 {
        for (age, expected, stale) in [
            (0, ["gateway", "pod0"], 0),
            (11, ["itself", "pod0"], 1),
            (151, ["itself", "itself"], 2),
            (0, ["gateway", "pod0"], 0),
        ] {
            let before = kernel.redirects()?.stale;
            kernel.beat(monotonic().saturating_sub(age * 1_000_000_000));
            let answers = answers(&crossing)?;
            ensure!(answers == expected, "a heartbeat {age} s old: {answers:?}");
            let counted = kernel.redirects()?.stale - before;
            ensure!(counted == stale, "a heartbeat {age} s old: {counted} counted as stale");
        }
    }
    Ok(())
}

fn by_time(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "by-time", 1)?;
    both(&crossing)?;
    crossing.configure(|configuration| Configuration {
        stale_buffered: Duration::from_millis(300),
        ..configuration
    })?;
    let kernel = crossing.kernel()?;
    // The machine may be slow: fresh is tried until the connection was quick enough.
    let is_fresh = || -> Result<bool> {
        for _ in 0..20 {
            let began = monotonic();
            kernel.beat(began);
            let answers = answers(&crossing)?;
            if monotonic() - began < 300_000_000 {
                ensure!(answers == ["gateway", "pod0"], "fresh: {answers:?}");
                return Ok(true);
            }
        }
        Ok(false)
    };
    ensure!(is_fresh()?, "the case itself: the machine is too slow");
    std::thread::sleep(Duration::from_millis(350));
    ensure!(answers(&crossing)? == ["itself", "pod0"], "{:?}", answers(&crossing)?);
    ensure!(is_fresh()?, "the case itself: the machine is too slow");
    Ok(())
}

fn never(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "never", 1)?;
    both(&crossing)?;
    crossing.configure(|configuration| Configuration {
        stale_buffered: Duration::from_secs(1),
        stale_direct: Duration::from_secs(15),
        ..configuration
    })?;
    crossing.kernel()?.beat(0);
    let answers = answers(&crossing)?;
    ensure!(answers == ["itself", "itself"], "{answers:?}");
    Ok(())
}
