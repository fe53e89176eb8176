// SPDX-License-Identifier: Apache-2.0
//! Changes while clients connect without a pause: none fails, none that began after the call's return meets what held
//! before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kernel::{Mode, monotonic};
use tests::redirect::{Attempt, Crossing, Dial, Epochs, Judged, target};
use tests::rig::Rig;
use tests::suite::{Case, case_on_rig, is_long};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig(
            "redirect::flips_while_clients_connect_fail_nobody_and_nobody_is_late",
            |rig| flips(rig, false),
        ),
        case_on_rig("redirect::flips_over_ipv6_fail_nobody_and_nobody_is_late", |rig| {
            flips(rig, true)
        }),
        case_on_rig(
            "redirect::new_lists_while_clients_connect_never_leave_them_without_a_pod",
            lists,
        ),
        case_on_rig(
            "redirect::lists_changed_without_a_pause_never_leave_clients_without_a_pod",
            relentless,
        ),
        case_on_rig("redirect::draining_while_clients_connect_lets_nobody_in_late", draining),
        case_on_rig("redirect::restarts_while_clients_connect_leave_nobody_alone", restarts),
        case_on_rig("redirect::beats_while_clients_connect_are_never_read_as_stale", beats),
        case_on_rig(
            "redirect::the_judge_of_these_cases_refuses_late_and_failed_connections",
            judge,
        ),
        case_on_rig("redirect::targets_come_and_go_beside_one_that_stays", comings),
    ]
}

const THREADS: u32 = 8;
/// How long storms follow one another until they have shown enough.
const LIMIT: Duration = Duration::from_secs(120);
/// Connections that a case must have seen, and those of them that only one epoch could answer.
const ENOUGH: (usize, usize) = (500, 125);

fn length() -> Duration {
    Duration::from_secs(if is_long() { 60 } else { 2 })
}

/// Storms and changes so far.
struct Storm {
    judged: Judged,
    /// Between two changes: long enough for connections to lie within one epoch, short enough for thousands of epochs.
    pause: Duration,
    begun: Instant,
}

impl Storm {
    fn new() -> Self {
        Self {
            judged: Judged::default(),
            pause: Duration::from_millis(1),
            begun: Instant::now(),
        }
    }

    fn pause(&self) {
        std::thread::sleep(self.pause);
    }

    /// Judges one more storm; true when it was the last. A slow machine has longer epochs next time.
    fn ends(&mut self, epochs: &Epochs, attempts: &[Attempt], is_shown: impl Fn(&Judged) -> bool) -> Result<bool> {
        self.judged.add(epochs.judge(attempts)?);
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        let (judged, changes) = (&self.judged, epochs.changes());
        if judged.all >= ENOUGH.0 && is_shown(judged) {
            println!("{changes} changes, {judged:?}");
            return Ok(true);
        }
        ensure!(
            self.begun.elapsed() < LIMIT,
            "the case itself: {changes} changes showed only {judged:?} in {LIMIT:?}"
        );
        Ok(false)
    }
}

/// Acts again and again while clients connect to some addresses, until that has shown enough.
fn during(
    crossing: &Crossing<'_>,
    to: &[SocketAddr],
    epochs: &mut Epochs,
    is_shown: impl Fn(&Judged) -> bool,
    mut act: impl FnMut(usize, &mut Epochs, &Storm) -> Result<()>,
) -> Result<Judged> {
    // Neighbours are found before the clock runs: over IPv6 that takes as long as the storm.
    let pod = crossing.pod(0, to.first().is_some_and(SocketAddr::is_ipv6)).to;
    for warm in to.iter().chain([&pod]) {
        crossing.dialler.dial(Dial::to(*warm))?;
    }
    let (mut storm, mut round) = (Storm::new(), 0);
    loop {
        crossing.dialler.storm(to, THREADS)?;
        let deadline = Instant::now() + length();
        let mut acted = Ok(());
        while Instant::now() < deadline && acted.is_ok() {
            acted = act(round, epochs, &storm);
            round += 1;
        }
        let attempts = crossing.dialler.calm()?;
        acted?;
        if storm.ends(epochs, &attempts, &is_shown)? {
            return Ok(storm.judged);
        }
    }
}

/// For changes that only show that nobody is left alone.
fn any(_: &Judged) -> bool {
    true
}

/// For changes whose order matters.
fn in_order(judged: &Judged) -> bool {
    judged.strict >= ENOUGH.1
}

fn flips(rig: &Rig, six: bool) -> Result<()> {
    let crossing = Crossing::new(rig, "flips", 2)?;
    let kernel = crossing.kernel()?;
    let both = [crossing.pod(0, six), crossing.pod(1, six)];
    kernel.set_backends(target(six), Mode::Buffered, &both)?;
    let mut epochs = Epochs::starting_with(&["gateway"]);
    let is_shown = |judged: &Judged| in_order(judged) && judged.by_name.len() == 3;
    during(
        &crossing,
        &[target(six)],
        &mut epochs,
        is_shown,
        |round, epochs, storm| {
            let (mode, allowed): (_, &[&str]) = match round % 2 {
                0 => (Mode::Direct, &["pod0", "pod1"]),
                _ => (Mode::Buffered, &["gateway"]),
            };
            epochs.change(allowed, || Ok(kernel.set_mode(target(six), mode)?))?;
            storm.pause();
            Ok(())
        },
    )?;
    let redirects = kernel.redirects()?;
    ensure!(redirects.without_backend == 0 && redirects.stale == 0, "{redirects:?}");
    Ok(())
}

/// Lists of other pods and lengths, the mode flips with them at times.
fn lists(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "lists", 4)?;
    let kernel = crossing.kernel()?;
    let sets: [(&[u16], &[&str]); 4] = [
        (&[0], &["pod0"]),
        (&[1, 2, 3], &["pod1", "pod2", "pod3"]),
        (&[2, 0], &["pod2", "pod0"]),
        (&[3], &["pod3"]),
    ];
    let set = |pods: &[u16], mode| {
        let list: Vec<_> = pods.iter().map(|pod| crossing.pod(*pod, false)).collect();
        kernel.set_backends(target(false), mode, &list)
    };
    set(sets[3].0, Mode::Direct)?;
    let mut epochs = Epochs::starting_with(sets[3].1);
    during(
        &crossing,
        &[target(false)],
        &mut epochs,
        in_order,
        |round, epochs, storm| {
            let (pods, allowed) = sets[round % sets.len()];
            match round % 7 {
                6 => epochs.change(&["gateway"], || Ok(set(pods, Mode::Buffered)?))?,
                _ => epochs.change(allowed, || Ok(set(pods, Mode::Direct)?))?,
            }
            storm.pause();
            Ok(())
        },
    )?;
    let redirects = kernel.redirects()?;
    ensure!(redirects.without_backend == 0 && redirects.stale == 0, "{redirects:?}");
    Ok(())
}

fn relentless(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "relentless", 4)?;
    let kernel = crossing.kernel()?;
    let all = [0, 1, 2, 3].map(|pod| crossing.pod(pod, false));
    kernel.set_backends(target(false), Mode::Direct, &all)?;
    let mut epochs = Epochs::starting_with(&["pod0", "pod1", "pod2", "pod3"]);
    let mut changes = 0;
    during(&crossing, &[target(false)], &mut epochs, any, |round, _, _| {
        for size in 1..=all.len() {
            let list = &all[round % (all.len() + 1 - size)..][..size];
            kernel.set_backends(target(false), Mode::Direct, list)?;
            changes += 1;
        }
        Ok(())
    })?;
    println!("{changes} lists");
    let redirects = kernel.redirects()?;
    ensure!(redirects.without_backend == 0 && redirects.stale == 0, "{redirects:?}");
    Ok(())
}

fn draining(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "drain-storm", 3)?;
    let kernel = crossing.kernel()?;
    let all = [0, 1, 2].map(|pod| crossing.pod(pod, false));
    kernel.set_backends(target(false), Mode::Direct, &all)?;
    let mut epochs = Epochs::starting_with(&["pod0", "pod1", "pod2"]);
    during(
        &crossing,
        &[target(false)],
        &mut epochs,
        in_order,
        |round, epochs, storm| {
            let drains = round.is_multiple_of(2);
            let allowed: &[&str] = if drains {
                &["pod0", "pod2"]
            } else {
                &["pod0", "pod1", "pod2"]
            };
            epochs.change(allowed, || {
                ensure!(kernel.pods().set_draining(crossing.id(1), drains), "no such pod");
                Ok(())
            })?;
            storm.pause();
            Ok(())
        },
    )?;
    ensure!(kernel.redirects()?.without_backend == 0, "{:?}", kernel.redirects()?);
    Ok(())
}

/// The daemon goes and comes, the programs are swapped.
fn restarts(rig: &Rig) -> Result<()> {
    let mut crossing = Crossing::new(rig, "restarts", 1)?;
    let zero = crossing.pod(0, false);
    crossing.kernel()?.set_backends(target(false), Mode::Direct, &[zero])?;
    let mut epochs = Epochs::starting_with(&["pod0"]);
    let (mut storm, mut restarts) = (Storm::new(), 0);
    loop {
        crossing.dialler.storm(&[target(false)], THREADS)?;
        let deadline = Instant::now() + length();
        while Instant::now() < deadline || restarts < 4 {
            crossing.counter().reopen()?;
            let kernel = crossing.kernel()?;
            epochs.change(&["gateway"], || Ok(kernel.set_mode(target(false), Mode::Buffered)?))?;
            storm.pause();
            epochs.change(&["pod0"], || Ok(kernel.set_mode(target(false), Mode::Direct)?))?;
            restarts += 1;
        }
        let attempts = crossing.dialler.calm()?;
        if storm.ends(&epochs, &attempts, |judged| judged.by_name.len() == 2)? {
            break;
        }
    }
    println!("{restarts} restarts");
    let redirects = crossing.kernel()?.redirects()?;
    ensure!(redirects.without_backend == 0 && redirects.stale == 0, "{redirects:?}");
    Ok(())
}

fn beats(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "beats", 1)?;
    let kernel = crossing.kernel()?;
    kernel.set_backends(target(false), Mode::Direct, &[crossing.pod(0, false)])?;
    let mut epochs = Epochs::starting_with(&["pod0"]);
    let mut beats = 0_u64;
    let judged = during(&crossing, &[target(false)], &mut epochs, any, |_, _, _| {
        for _ in 0..1000 {
            kernel.beat(monotonic());
        }
        beats += 1000;
        Ok(())
    });
    let redirects = kernel.redirects()?;
    ensure!(redirects.stale == 0, "{beats} beats: {redirects:?}");
    judged.map(drop)
}

/// Indices of targets are used again while somebody connects to another.
fn comings(rig: &Rig) -> Result<()> {
    let crossing = Crossing::with(rig, "comings", 2, |settings| kernel::Settings {
        targets: 8,
        ..settings
    })?;
    let kernel = crossing.kernel()?;
    let stranger = |number: usize| SocketAddr::from(([10, 99, 0, (number % 250) as u8], 80));
    kernel.set_backends(target(false), Mode::Direct, &[crossing.pod(0, false)])?;
    let mut epochs = Epochs::starting_with(&["pod0"]);
    during(&crossing, &[target(false)], &mut epochs, any, |round, _, _| {
        kernel.set_backends(stranger(round), Mode::Direct, &[crossing.pod(1, false)])?;
        if round >= 5 {
            kernel.remove_target(stranger(round - 5))?;
        }
        Ok(())
    })?;
    ensure!(kernel.targets().len() <= 6, "{:?}", kernel.targets());
    ensure!(kernel.redirects()?.without_backend == 0, "{:?}", kernel.redirects()?);
    Ok(())
}

/// What the other cases rest on: a verdict that cannot be bad is none.
fn judge(_: &Rig) -> Result<()> {
    let mut epochs = Epochs::starting_with(&["gateway"]);
    let before = monotonic();
    epochs.change(&["pod0"], || {
        std::thread::sleep(Duration::from_millis(2));
        Ok(())
    })?;
    let after = monotonic();
    let attempt = |began, connected, answer: &str| {
        epochs.judge(&[Attempt {
            began,
            connected,
            answer: answer.to_owned(),
        }])
    };
    for (began, connected, answer) in [
        (after, after + 1, "gateway"),
        (before - 2, before - 1, "pod0"),
        (after, after + 1, "error: refused"),
        (before - 1, after, "itself"),
    ] {
        let judged = attempt(began, connected, answer);
        ensure!(judged.is_err(), "{answer} from {began} to {connected}: {judged:?}");
    }
    for (began, connected, answer, strict) in [
        (after, after + 1, "pod0", 1),
        (before - 2, before - 1, "gateway", 1),
        (before - 1, after, "pod0", 0),
        (before - 1, after, "gateway", 0),
    ] {
        let judged = attempt(began, connected, answer)?;
        ensure!(
            judged.strict == strict,
            "{answer} from {began} to {connected}: {judged:?}"
        );
    }
    Ok(())
}
