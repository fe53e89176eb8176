// SPDX-License-Identifier: Apache-2.0
//! Direct means that nobody stands between; a flip, either way, fails nobody and moves everybody.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::rig::Rig;
use tests::steered::{CLIENT, GATEWAY, Load, Seen, Status, Steered, target};
use tests::suite::{Case, case_on_rig};

use super::blue;

/// How long clients may take to move.
const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig(
            "steered::a_direct_client_is_seen_by_the_app_and_not_by_the_gateway",
            direct,
        ),
        case_on_rig("steered::flips_under_load_fail_nobody_and_move_everybody", flips),
        case_on_rig("steered::a_route_says_why_it_is_not_direct", reasons),
    ]
}

fn direct(rig: &Rig) -> Result<()> {
    let mut steered = Steered::new(rig, "direct", 2, &blue("[]", "auto"))?;
    let pods = steered.pods(0, 2);
    steered.daemon.write(&blue(&pods, "auto"))?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "direct", |status| status.path().0 == "Direct")?;
    let outcome = steered.clients.run(Load::to(target(1), 8).requests(20).anew())?;
    ensure!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    for seen in steered.app.seen()? {
        ensure!(seen.peers.iter().eq([CLIENT]), "{seen:?}");
    }
    let status = steered.daemon.status(&steered.field)?;
    let blue_now = status.revision("blue")?;
    ensure!((blue_now.started, blue_now.in_flight) == (160, 0), "{blue_now:?}");
    ensure!(
        blue_now.through_gateway == 0 && blue_now.counted_by == "kernel" && blue_now.uncertain.is_some(),
        "{blue_now:?}"
    );

    steered.daemon.write(&blue(&pods, "buffered"))?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "buffered", |status| status.path() == ("Buffered", "Disabled"))?;
    let outcome = steered.clients.run(Load::to(target(1), 8).requests(20).anew())?;
    ensure!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    for seen in steered.app.seen()? {
        ensure!(seen.peers.iter().eq([GATEWAY]), "{seen:?}");
    }
    let status = steered.daemon.status(&steered.field)?;
    let blue_now = status.revision("blue")?;
    ensure!(
        (blue_now.started, blue_now.through_gateway) == (320, 160),
        "{blue_now:?}"
    );
    Ok(())
}

fn flips(rig: &Rig) -> Result<()> {
    let mut steered = Steered::new(rig, "flips", 3, &blue("[]", "buffered"))?;
    let pods = steered.pods(0, 3);
    // They wait until there are pods.
    steered.clients.start_load(Load::to(target(1), 16).sleep(5))?;
    steered.clients.start_load(Load::to(target(1), 4).sleep(2).anew())?;
    let mut answered = 0;
    for (mode, path, peer) in [
        ("buffered", "Buffered", GATEWAY),
        ("auto", "Direct", CLIENT),
        ("buffered", "Buffered", GATEWAY),
        ("direct", "Direct", CLIENT),
    ] {
        steered.daemon.write(&blue(&pods, mode))?;
        let Steered { daemon, field, .. } = &mut steered;
        let is_so = |status: &Status| status.path().0 == path && status.revisions[0].pods.len() == 3;
        daemon.until(field, path, is_so)?;
        if path == "Direct" {
            daemon.until(field, "all have moved", |status| status.targets[0].connections == 0)?;
        }
        answered += until_moved(&steered, peer, path == "Direct")?;
        if path == "Direct" {
            let left = steered.daemon.status(&steered.field)?.targets[0].connections;
            ensure!(left == 0, "{left} connections are left at the gateway");
        }
    }
    let outcome = steered.clients.stop()?;
    ensure!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    answered += outcome.answered();
    let Steered { daemon, field, .. } = &mut steered;
    let rest = daemon.until(field, "nothing in flight", |status| status.revisions[0].in_flight == 0)?;
    ensure!(
        rest.revision("blue")?.started == answered,
        "{answered} answers, {rest:?}"
    );
    Ok(())
}

/// Waits for a while in which every pod is asked, by this peer and, if so wanted, by nobody else; how many were answered.
fn until_moved(steered: &Steered<'_>, peer: &str, alone: bool) -> Result<u64> {
    let (begun, mut answered) = (Instant::now(), 0);
    loop {
        // New connections are made now and then only by those that come and go.
        let _ = steered.app.seen()?;
        sleep(Duration::from_millis(300));
        let outcome = steered.clients.look()?;
        ensure!(outcome.failed.is_empty(), "{:?}", outcome.failed);
        answered += outcome.answered();
        let seen = steered.app.seen()?;
        let is_moved = |seen: &Seen| seen.peers.contains(peer) && (!alone || seen.peers.len() == 1);
        if answered > 100 && seen.iter().all(is_moved) {
            return Ok(answered);
        }
        ensure!(
            begun.elapsed() < LIMIT,
            "not all by {peer}: {seen:?}, {answered} answers"
        );
    }
}

fn reasons(rig: &Rig) -> Result<()> {
    let mut steered = Steered::new(rig, "reasons", 2, &blue("[]", "auto"))?;
    let pods = steered.pods(0, 2);
    let revisions = format!(
        "blue: {{pods: {pods}}}, green: {{pods: ['10.77.2.2:8081']}}, hard: {{pods: {pods}, container_concurrency: 3}}, \
         none: {{}}"
    );
    let file = format!(
        "revisions: {{{revisions}}}\nroutes:\n\
         - {{hosts: [one.test], to: {{blue: 100, green: 0}}}}\n\
         - {{hosts: [split.test], to: {{blue: 50, green: 50}}}}\n\
         - {{hosts: [path.test], path: /a, to: {{blue: 100}}}}\n\
         - {{hosts: [header.test], headers: {{a: b}}, to: {{blue: 100}}}}\n\
         targets:\n\
         - {{address: '10.96.0.1:80', host: one.test}}\n- {{address: '10.96.0.2:80', host: split.test}}\n\
         - {{address: '10.96.0.3:80', host: path.test}}\n- {{address: '10.96.0.4:80', host: header.test}}\n\
         - {{address: '10.96.0.5:80', to: hard}}\n- {{address: '10.96.0.6:80', to: none}}\n\
         - {{address: '10.96.0.7:80', to: blue, mode: buffered}}\n- {{address: '10.96.0.8:80', host: nobody.test}}\n"
    );
    steered.daemon.write(&file)?;
    let Steered { daemon, field, .. } = &mut steered;
    let expected = [
        "Direct",
        "TrafficSplit",
        "PathRule",
        "HeaderRule",
        "ContainerConcurrency",
        "NoPods",
        "Disabled",
        "NoTraffic",
    ];
    let are_so = |status: &Status| status.targets.iter().map(|target| &*target.reason).eq(expected);
    let status = daemon.until(field, "the reasons are told", are_so)?;
    ensure!(
        status.targets[4].message == "containerConcurrency is 3: a hard limit needs the gateway",
        "{:?}",
        status.targets[4]
    );
    steered
        .daemon
        .write(&format!("{file}log: '{{{{.Request.Method}}}}'\n"))?;
    let Steered { daemon, field, .. } = &mut steered;
    daemon.until(field, "a log", |status| status.path() == ("Buffered", "RequestLog"))?;
    Ok(())
}
