// SPDX-License-Identifier: Apache-2.0
//! Which pod: this node's while it has room, the less loaded of two, none that drains.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kernel::{Backend, Mode};
use tests::redirect::{Crossing, Dial, target};
use tests::rig::Rig;
use tests::suite::{Case, case_on_rig};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig(
            "redirect::a_draining_pod_gets_nothing_after_one_write_while_others_do",
            draining,
        ),
        case_on_rig(
            "redirect::the_last_of_many_pods_that_does_not_drain_is_found",
            last_of_many,
        ),
        case_on_rig("redirect::a_target_whose_pods_all_drain_is_left_alone", all_drain),
        case_on_rig(
            "redirect::pods_of_this_node_come_first_while_they_have_room",
            local_first,
        ),
        case_on_rig(
            "redirect::beyond_its_room_a_pod_of_this_node_shares_with_the_others",
            beyond_room,
        ),
        case_on_rig("redirect::a_busy_pod_gets_less_than_idle_ones", busy),
        case_on_rig("redirect::idle_pods_share_evenly", idle),
        case_on_rig(
            "redirect::connections_to_a_remote_pod_are_assigned_until_its_node_tells",
            assigned,
        ),
    ]
}

/// So many connections; how many each answered.
fn dial(crossing: &Crossing<'_>, times: u32) -> Result<BTreeMap<String, u32>> {
    let mut by_name = BTreeMap::new();
    for dialled in crossing.dialler.dial_times(Dial::to(target(false)), times)? {
        *by_name.entry(dialled.answer).or_default() += 1;
    }
    Ok(by_name)
}

fn of(by_name: &BTreeMap<String, u32>, name: &str) -> u32 {
    by_name.get(name).copied().unwrap_or_default()
}

fn pods(crossing: &Crossing<'_>, count: u16) -> Vec<Backend> {
    (0..count).map(|index| crossing.pod(index, false)).collect()
}

/// Requests in flight at a pod, sent to its own address, as the kernel counts them.
fn load(crossing: &Crossing<'_>, pod: u16, requests: u32) -> Result<()> {
    crossing.dialler.hold(crossing.pod(pod, false).to, requests)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while crossing.kernel()?.pods().get(crossing.id(pod)).in_flight != i64::from(requests) {
        let found = crossing.kernel()?.pods().get(crossing.id(pod));
        ensure!(Instant::now() < deadline, "never {requests} in flight: {found:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn draining(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "draining", 3)?;
    let kernel = crossing.kernel()?;
    kernel.set_backends(target(false), Mode::Direct, &pods(&crossing, 3))?;
    for drained in 0..3 {
        ensure!(kernel.pods().set_draining(crossing.id(drained), true), "no such pod");
        let by_name = dial(&crossing, 60)?;
        for pod in 0..3 {
            let got = of(&by_name, &format!("pod{pod}"));
            ensure!((got == 0) == (pod == drained), "pod{drained} drains: {by_name:?}");
        }
        ensure!(by_name.len() == 2, "{by_name:?}");
        kernel.pods().set_draining(crossing.id(drained), false);
    }
    let by_name = dial(&crossing, 60)?;
    ensure!(by_name.len() == 3, "back again: {by_name:?}");
    Ok(())
}

fn last_of_many(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "last", 20)?;
    let kernel = crossing.kernel()?;
    kernel.set_backends(target(false), Mode::Direct, &pods(&crossing, 20))?;
    for pod in (0..20).filter(|pod| *pod != 13) {
        kernel.pods().set_draining(crossing.id(pod), true);
    }
    let by_name = dial(&crossing, 200)?;
    ensure!(
        of(&by_name, "pod13") == 200,
        "only pod13 takes connections: {by_name:?}"
    );
    Ok(())
}

fn all_drain(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "all-drain", 2)?;
    let kernel = crossing.kernel()?;
    kernel.set_backends(target(false), Mode::Direct, &pods(&crossing, 2))?;
    for pod in 0..2 {
        kernel.pods().set_draining(crossing.id(pod), true);
    }
    let by_name = dial(&crossing, 5)?;
    ensure!(of(&by_name, "itself") == 5, "{by_name:?}");
    ensure!(kernel.redirects()?.without_backend == 5, "{:?}", kernel.redirects()?);
    Ok(())
}

/// Pod 0 of this node with so much room, pods 1 and 2 elsewhere.
fn one_local(crossing: &Crossing<'_>, room: u32) -> Result<()> {
    let list: Vec<Backend> = pods(crossing, 3)
        .into_iter()
        .enumerate()
        .map(|(index, pod)| Backend {
            is_remote: index != 0,
            room: if index == 0 { room } else { 0 },
            ..pod
        })
        .collect();
    Ok(crossing.kernel()?.set_backends(target(false), Mode::Direct, &list)?)
}

fn local_first(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "local-first", 3)?;
    one_local(&crossing, 5)?;
    load(&crossing, 0, 4)?;
    let by_name = dial(&crossing, 50)?;
    ensure!(of(&by_name, "pod0") == 50, "4 in flight, room for 5: {by_name:?}");
    one_local(&crossing, 0)?;
    let by_name = dial(&crossing, 50)?;
    ensure!(of(&by_name, "pod0") == 50, "always room: {by_name:?}");
    Ok(())
}

fn beyond_room(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "beyond", 3)?;
    one_local(&crossing, 5)?;
    load(&crossing, 0, 100)?;
    let by_name = dial(&crossing, 60)?;
    let local = of(&by_name, "pod0");
    // Chosen only if both choices fall on it: 1 of 9.
    ensure!(local <= 25, "full, and yet: {by_name:?}");
    ensure!(local + of(&by_name, "pod1") + of(&by_name, "pod2") == 60, "{by_name:?}");
    crossing.dialler.release()?;
    load(&crossing, 0, 0)?;
    let by_name = dial(&crossing, 20)?;
    ensure!(of(&by_name, "pod0") == 20, "room again: {by_name:?}");
    Ok(())
}

fn busy(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "busy", 3)?;
    crossing
        .kernel()?
        .set_backends(target(false), Mode::Direct, &pods(&crossing, 3))?;
    load(&crossing, 1, 20)?;
    let by_name = dial(&crossing, 150)?;
    // 1 of 9 falls on the busy one: 17 of 150, deviation 3.9.
    ensure!(of(&by_name, "pod1") <= 40, "{by_name:?}");
    ensure!(of(&by_name, "pod0") >= 30 && of(&by_name, "pod2") >= 30, "{by_name:?}");
    Ok(())
}

fn idle(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "idle", 3)?;
    crossing
        .kernel()?
        .set_backends(target(false), Mode::Direct, &pods(&crossing, 3))?;
    let by_name = dial(&crossing, 300)?;
    // 100 each, deviation 8.
    ensure!(
        (0..3).all(|pod| of(&by_name, &format!("pod{pod}")) >= 50),
        "{by_name:?}"
    );
    Ok(())
}

fn assigned(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "assigned", 2)?;
    let kernel = crossing.kernel()?;
    let remote: Vec<Backend> = pods(&crossing, 2)
        .into_iter()
        .map(|pod| Backend { is_remote: true, ..pod })
        .collect();
    kernel.set_backends(target(false), Mode::Direct, &remote)?;
    kernel.pods().set_remote(crossing.id(0), 0);
    kernel.pods().set_remote(crossing.id(1), 1000);
    let by_name = dial(&crossing, 40)?;
    for pod in 0..2 {
        let (assigned, got) = (
            kernel.pods().get(crossing.id(pod)).assigned,
            of(&by_name, &format!("pod{pod}")),
        );
        ensure!(
            assigned == u64::from(got),
            "pod{pod}: {assigned} assigned, {got} connected"
        );
    }
    ensure!(of(&by_name, "pod0") >= 20, "{by_name:?}");
    kernel.pods().set_remote(crossing.id(0), 500);
    let told = kernel.pods().get(crossing.id(0));
    ensure!(told.assigned == 0 && told.in_flight == 500, "{told:?}");
    Ok(())
}
