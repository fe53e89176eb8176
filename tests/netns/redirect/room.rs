// SPDX-License-Identifier: Apache-2.0
//! Many targets, and maps that are full.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kernel::{Backend, Mode, Settings, TargetError};
use tests::redirect::{Crossing, Dial, target};
use tests::rig::Rig;
use tests::suite::{Case, case_on_rig};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig(
            "redirect::ten_thousand_targets_work_and_one_flips_as_fast_as_alone",
            many,
        ),
        case_on_rig(
            "redirect::a_full_map_of_targets_is_a_typed_error_and_changes_nothing",
            full_targets,
        ),
        case_on_rig(
            "redirect::a_full_map_of_backends_is_a_typed_error_and_changes_nothing",
            full_backends,
        ),
        case_on_rig(
            "redirect::a_full_map_of_clients_still_lets_connections_through",
            full_peers,
        ),
    ]
}

fn service(number: u32) -> SocketAddr {
    SocketAddr::from(((0x0a40_0000 + number).to_be_bytes(), 80))
}

fn answer(crossing: &Crossing<'_>, to: SocketAddr) -> Result<String> {
    Ok(crossing.dialler.dial(Dial::to(to))?.answer)
}

/// The median time of a flip there and back.
fn flip_time(crossing: &Crossing<'_>, to: SocketAddr) -> Result<Duration> {
    let kernel = crossing.kernel()?;
    let mut times = Vec::new();
    for _ in 0..501 {
        let began = Instant::now();
        kernel.set_mode(to, Mode::Direct)?;
        kernel.set_mode(to, Mode::Buffered)?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

fn many(rig: &Rig) -> Result<()> {
    const COUNT: u32 = 10_000;
    let crossing = Crossing::with(rig, "many", 2, |settings| Settings {
        targets: COUNT + 16,
        backends: 4 * COUNT,
        ..settings
    })?;
    let kernel = crossing.kernel()?;
    let both = [crossing.pod(0, false), crossing.pod(1, false)];
    kernel.set_backends(service(0), Mode::Buffered, &both)?;
    let alone = flip_time(&crossing, service(0))?;
    let began = Instant::now();
    for number in 1..COUNT {
        kernel.set_backends(service(number), Mode::Buffered, &both[..1])?;
    }
    let set = began.elapsed();
    let among = flip_time(&crossing, service(5000))?;
    println!("set {COUNT}: {set:?}; a flip there and back: {alone:?} alone, {among:?} among them");
    ensure!(
        among < alone * 20 + Duration::from_micros(20),
        "{among:?} among many, {alone:?} alone"
    );
    let sorted = || {
        let mut all = kernel.targets();
        all.sort_unstable_by_key(|(address, ..)| *address);
        all
    };
    let before = sorted();
    ensure!(before.len() == COUNT as usize, "{} targets", before.len());
    kernel.set_mode(service(5000), Mode::Direct)?;
    kernel.set_backends(service(6000), Mode::Direct, &both[1..])?;
    let changed: Vec<_> = sorted()
        .into_iter()
        .zip(before)
        .filter(|(now, then)| now != then)
        .collect();
    ensure!(changed.len() == 2, "flipping two changed {changed:?}");
    for (number, name) in [
        (0, "gateway"),
        (4999, "gateway"),
        (5000, "pod0"),
        (5001, "gateway"),
        (6000, "pod1"),
        (9999, "gateway"),
    ] {
        let answer = answer(&crossing, service(number))?;
        ensure!(answer == name, "{}: {answer}, expected {name}", service(number));
    }
    let after = answer(&crossing, target(false))?;
    ensure!(after == "itself", "no target, but {after}");
    Ok(())
}

fn full_targets(rig: &Rig) -> Result<()> {
    let crossing = Crossing::with(rig, "full-targets", 2, |settings| Settings { targets: 4, ..settings })?;
    let kernel = crossing.kernel()?;
    let [zero, one] = [crossing.pod(0, false), crossing.pod(1, false)];
    for number in 0..4 {
        kernel.set_backends(service(number), Mode::Direct, &[zero])?;
    }
    for _ in 0..3 {
        let refused = kernel.set_backends(target(false), Mode::Direct, &[one]);
        ensure!(
            matches!(
                refused,
                Err(TargetError::Full {
                    what: "targets",
                    room: 4
                })
            ),
            "{refused:?}"
        );
    }
    ensure!(answer(&crossing, target(false))? == "itself", "half a target");
    ensure!(kernel.targets().len() == 4, "{:?}", kernel.targets());
    for number in 0..4 {
        ensure!(
            answer(&crossing, service(number))? == "pod0",
            "target {number} was disturbed"
        );
    }
    // Existing ones can still be changed, and room that was given back is used.
    kernel.set_backends(service(0), Mode::Direct, &[one, one])?;
    ensure!(answer(&crossing, service(0))? == "pod1", "not changed");
    kernel.remove_target(service(1))?;
    kernel.set_backends(target(false), Mode::Direct, &[one])?;
    ensure!(answer(&crossing, target(false))? == "pod1", "not added");
    let unknown = kernel.set_mode(service(1), Mode::Direct);
    ensure!(matches!(unknown, Err(TargetError::Unknown { .. })), "{unknown:?}");
    Ok(())
}

fn full_backends(rig: &Rig) -> Result<()> {
    let crossing = Crossing::with(rig, "full-backends", 2, |settings| Settings {
        backends: 8,
        ..settings
    })?;
    let kernel = crossing.kernel()?;
    let [zero, one] = [crossing.pod(0, false), crossing.pod(1, false)];
    kernel.set_backends(target(false), Mode::Direct, &[zero; 3])?;
    let is_full = |result: Result<(), TargetError>| matches!(result, Err(TargetError::Full { what: "backends", .. }));
    for size in [6, 100] {
        let list: Vec<Backend> = vec![one; size];
        ensure!(
            is_full(kernel.set_backends(service(1), Mode::Direct, &list)),
            "{size} fit"
        );
        ensure!(
            is_full(kernel.set_backends(target(false), Mode::Direct, &list)),
            "{size} fit"
        );
        ensure!(
            answer(&crossing, target(false))? == "pod0",
            "the list before was disturbed"
        );
    }
    ensure!(
        kernel.targets() == [(target(false), Mode::Direct, 3)],
        "{:?}",
        kernel.targets()
    );
    // What failed took no room: the list can be replaced for ever.
    for _ in 0..50 {
        kernel.set_backends(target(false), Mode::Direct, &[one; 3])?;
    }
    ensure!(answer(&crossing, target(false))? == "pod1", "not changed");
    let too_many = kernel.set_backends(target(false), Mode::Direct, &vec![one; 0x8000]);
    ensure!(matches!(too_many, Err(TargetError::TooMany { .. })), "{too_many:?}");
    Ok(())
}

fn full_peers(rig: &Rig) -> Result<()> {
    let crossing = Crossing::with(rig, "full-peers", 1, |settings| Settings { peers: 16, ..settings })?;
    let kernel = crossing.kernel()?;
    kernel.set_backends(target(false), Mode::Buffered, &[])?;
    let dialled = crossing.dialler.dial_times(Dial::to(target(false)), 400)?;
    let wrong: Vec<_> = dialled.iter().filter(|dialled| dialled.answer != "gateway").collect();
    ensure!(wrong.is_empty(), "{wrong:?}");
    let heard = crossing.router.heard()?;
    let newest = heard.last().context("nobody was heard")?;
    let asked = kernel.target_of(newest.peer, newest.local)?;
    ensure!(asked == Some(target(false)), "the newest was told {asked:?}");
    let mut forgotten = 0;
    for heard in &heard {
        match kernel.target_of(heard.peer, heard.local)? {
            None => forgotten += 1,
            Some(asked) => ensure!(asked == target(false), "{heard:?} was told {asked}"),
        }
    }
    ensure!(
        forgotten >= 300,
        "the case itself: the map never was full ({forgotten})"
    );
    Ok(())
}
