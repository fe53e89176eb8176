// SPDX-License-Identifier: Apache-2.0
//! Exactly when events come, what a snapshot can never say, what a cleanup leaves.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kernel::{Configuration, Counts, Event, Events, Netns, RevisionId, monotonic};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tests::counter::POD;
use tests::redirect::{Crossing, Hearer, Listener};
use tests::rig::Rig;
use tests::scene::Scene;
use tests::suite::{Case, case, case_on_rig, is_long};
use tests::truth::{Protocol, Server};

use tests::client::{Http1, get};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig(
            "life::a_threshold_raises_one_event_and_no_other_until_it_was_below",
            crossings,
        ),
        case_on_rig(
            "life::listening_sockets_are_told_with_namespace_address_and_port",
            listening,
        ),
        case("life::snapshots_read_without_a_pause_are_never_impossible", possible),
        case(
            "life::cleanup_leaves_and_names_a_strangers_file_between_its_own",
            stranger,
        ),
    ]
}

const REVISION: RevisionId = RevisionId(5);
/// How long anything may take that comes.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for the descriptor, then takes what there is.
fn told(events: &mut Events, limit: Duration) -> Result<Vec<Event>> {
    let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::try_from(limit)?)?;
    Ok(std::iter::from_fn(|| events.next()).collect())
}

fn crossings(rig: &Rig) -> Result<()> {
    const THRESHOLD: u64 = 3;
    let crossing = Crossing::new(rig, "thresholds", 1)?;
    let (second, _cgroup, _) = crossing.another("second")?;
    let kernel = crossing.kernel()?;
    let to = crossing.pod(0, false).to;
    kernel.pods().set_revision(POD, REVISION);
    kernel.pods().set_threshold(POD, THRESHOLD);
    kernel.revisions().set_threshold(REVISION, THRESHOLD);
    let mut events = kernel.events()?;
    let reach = |in_flight: i64| -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while kernel.pods().get(POD).in_flight != in_flight || kernel.revisions().get(REVISION).in_flight != in_flight {
            ensure!(
                Instant::now() < deadline,
                "never {in_flight}: {:?}",
                kernel.pods().get(POD)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    };
    // What is told within a moment in which nothing should be.
    let silent = |events: &mut Events, when: &str| -> Result<()> {
        let told = told(events, Duration::from_millis(50))?;
        ensure!(told.is_empty(), "{when}: {told:?}");
        Ok(())
    };
    let both = |events: &mut Events, when: &str| -> Result<()> {
        let mut all = told(events, LIMIT)?;
        while all.len() < 2 {
            let more = told(events, LIMIT)?;
            ensure!(!more.is_empty(), "{when}: only {all:?}");
            all.extend(more);
        }
        let is_pod = |event: &Event| matches!(event, Event::PodBurst { pod, in_flight: THRESHOLD, .. } if *pod == POD);
        let is_revision = |event: &Event| {
            matches!(
                event,
                Event::RevisionBurst {
                    revision: REVISION,
                    in_flight: THRESHOLD,
                    ..
                }
            )
        };
        ensure!(
            all.len() == 2 && all.iter().any(is_pod) && all.iter().any(is_revision),
            "{when}: {all:?}"
        );
        Ok(())
    };
    for round in 0..3 {
        crossing.dialler.hold(to, 2)?;
        reach(2)?;
        silent(&mut events, "2 in flight")?;
        crossing.dialler.hold(to, 1)?;
        reach(3)?;
        both(&mut events, &format!("crossing {round}"))?;
        second.hold(to, 3)?;
        reach(6)?;
        silent(&mut events, "far above")?;
        second.release()?;
        reach(3)?;
        second.hold(to, 1)?;
        reach(4)?;
        silent(&mut events, "never below since")?;
        crossing.dialler.release()?;
        second.release()?;
        reach(0)?;
        silent(&mut events, "at rest")?;
    }
    Ok(())
}

fn listening(rig: &Rig) -> Result<()> {
    let crossing = Crossing::new(rig, "listening", 1)?;
    crossing.configure(|configuration| Configuration {
        listen_events: true,
        ..configuration
    })?;
    let cookie = Netns::at(&crossing.field.pod.path())?.cookie()?;
    let mut events = crossing.kernel()?.events()?;
    let mut expected: Vec<SocketAddr> = ["10.77.2.2:9100", "[fd77:2::2]:9101", "0.0.0.0:9102", "[::]:9103"]
        .into_iter()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let listeners = expected.iter().map(|at| Listener::new("late", *at)).collect();
    let _late = Hearer::start(rig, Some(crossing.field.cgroup.path()), &crossing.field.pod, listeners)?;
    let mut found: Vec<SocketAddr> = Vec::new();
    while found.len() < expected.len() {
        let told = told(&mut events, LIMIT)?;
        ensure!(!told.is_empty(), "only {found:?}");
        for event in told {
            match event {
                Event::Listen { netns, local, .. } if netns == cookie => found.push(local),
                other => anyhow::bail!("{other:?}, the namespace is {cookie}"),
            }
        }
    }
    found.sort_unstable_by_key(SocketAddr::port);
    // An unspecified IPv6 socket says nothing of its family but that.
    expected.sort_unstable_by_key(SocketAddr::port);
    ensure!(found == expected, "{found:?}, expected {expected:?}");
    Ok(())
}

/// A snapshot, and the times before and after it was taken.
struct Taken {
    counts: Counts,
    before: u64,
    after: u64,
    /// Requests that may be on one CPU's count and not yet on another's: those open when it began, and those sent since.
    slack: u64,
}

fn take(scene: &Scene<'_>, sent: &AtomicU64) -> Result<Taken> {
    let (before, sent_before) = (monotonic(), sent.load(Ordering::SeqCst));
    let counts = scene.counter().kernel()?.counts(POD)?;
    let (after, sent_after) = (monotonic(), sent.load(Ordering::SeqCst));
    Ok(Taken {
        counts,
        before,
        after,
        slack: CLIENTS + sent_after - sent_before,
    })
}

const CLIENTS: u64 = 8;
/// Snapshots that show something.
const ENOUGH: u64 = 10_000;

/// ns between the clock read of an event and its count: a program reads the clock once a packet, and its CPU may be taken
/// away before it counts, a virtual one for long. A torn snapshot would be off by the machine's uptime.
const LAG: i64 = 250_000_000;

/// What two snapshots in a row can say, given that each was taken CPU by CPU between two times.
fn judge(earlier: &Taken, later: &Taken) -> Result<()> {
    let (from, to) = (&earlier.counts, &later.counts);
    ensure!(
        to.core.started >= from.core.started && to.core.ended >= from.core.ended,
        "a count ran backwards: {:?} after {:?}",
        to.core,
        from.core
    );
    let (in_flight, slack) = (to.in_flight_raw(), later.slack);
    ensure!(
        in_flight.unsigned_abs() <= slack && to.in_flight() <= slack,
        "{in_flight} in flight over {CLIENTS} connections (slack {slack})"
    );
    let open = to.open_connections();
    ensure!(open <= CLIENTS, "{open} connections open");
    let area = to.integral(later.after).wrapping_sub(from.integral(earlier.after)) as i64;
    let reading = (later.after - later.before) + (earlier.after - earlier.before);
    let blur = i64::try_from(earlier.slack + later.slack)? * (i64::try_from(reading)? + LAG);
    let most = CLIENTS as i64 * i64::try_from(later.after - earlier.before)?;
    ensure!(
        area >= -blur && area <= most + blur,
        "area {area}, not in {}..={}",
        -blur,
        most + blur
    );
    Ok(())
}

fn possible(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let (answered, reads) = std::thread::scope(|threads| -> Result<_> {
        let traffic = threads.spawn(|| {
            scene.client(async |address, clock| {
                let mut clients = Vec::new();
                for _ in 0..CLIENTS {
                    clients.push(Http1::connect(address, clock).await?);
                }
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    for client in &mut clients {
                        sent.fetch_add(1, Ordering::SeqCst);
                        client.send(get("/")).await?;
                    }
                    for client in &mut clients {
                        client.reply(false).await?;
                        answered += 1;
                    }
                }
                Ok(answered)
            })
        });
        let read = || -> Result<u64> {
            scene.started(CLIENTS)?;
            let begun = Instant::now();
            let length = Duration::from_secs(if is_long() { 60 } else { 2 });
            let (mut reads, mut earlier) = (1, take(scene, &sent)?);
            while begun.elapsed() < length || (reads < ENOUGH && begun.elapsed() < length + LIMIT) {
                let later = take(scene, &sent)?;
                judge(&earlier, &later)?;
                earlier = later;
                reads += 1;
            }
            Ok(reads)
        };
        let reads = read();
        stop.store(true, Ordering::Relaxed);
        let answered = traffic.join().map_err(|_| anyhow::anyhow!("the traffic panicked"))??;
        Ok((answered, reads?))
    })?;
    println!("{reads} snapshots over {answered} requests");
    ensure!(reads >= ENOUGH, "the case itself: {reads} snapshots");
    scene.exact(answered)
}

fn stranger(scene: &mut Scene<'_>) -> Result<()> {
    let settings = scene.counter().settings().clone();
    scene.counter_mut().close();
    // Files on a bpffs are pins; a symbolic link is one that anybody can make.
    let generation = settings.pin_dir.join("v1");
    let places = ["", "v1", "v1/maps", "v1/links", "v1/cgroups", "v1/pods"];
    let strangers = places.map(|place| settings.pin_dir.join(place).join("stranger"));
    ensure!(generation.exists(), "the case itself: no {}", generation.display());
    for stranger in &strangers {
        std::os::unix::fs::symlink("somewhere", stranger)?;
    }
    let cleaned = kernel::cleanup(&settings)?;
    for stranger in &strangers {
        ensure!(stranger.is_symlink(), "{} was removed", stranger.display());
        ensure!(
            cleaned.left.contains(stranger),
            "{} is not named: {:?}",
            stranger.display(),
            cleaned.left
        );
        ensure!(!cleaned.removed.contains(stranger), "{cleaned:?}");
        std::fs::remove_file(stranger)?;
    }
    ensure!(cleaned.left.len() == strangers.len(), "{:?}", cleaned.left);
    kernel::cleanup(&settings)?;
    ensure!(
        !settings.pin_dir.exists(),
        "{} is still there",
        settings.pin_dir.display()
    );
    Ok(())
}
