// SPDX-License-Identifier: Apache-2.0
//! The daemon goes and comes while traffic flows: not one request is lost to the count.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tests::client::{Http1, get};
use tests::counter::{Counter, Daemon, POD};
use tests::rig::Rig;
use tests::role::Role;
use tests::scene::Scene;
use tests::suite::{Case, case, case_on_rig, is_long};
use tests::truth::{Protocol, Server};
use tokio::task::JoinSet;

use crate::http2::Client;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("life::restarts_in_the_middle_of_traffic_lose_no_request", restarts),
        case("life::program_swaps_under_http2_lose_no_stream", swaps_http2),
        case_on_rig("life::kill_9_in_the_middle_of_traffic_loses_no_request", kill_9),
        case("life::snapshots_under_load_are_never_torn", snapshots),
        case("life::a_second_daemon_is_refused_while_the_first_lives", second),
    ]
}

/// Keep-alive requests on some connections until told to stop; how many were answered.
async fn until_stopped(scene: &Scene<'_>, stop: &AtomicBool, address: std::net::SocketAddr) -> Result<u64> {
    let paths = ["/", "/chunked/2000/100", "/bytes/20000", "/status/204", "/sleep/2"];
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(Http1::connect(address, scene.clock()).await?);
    }
    let mut answered = 0;
    while !stop.load(Ordering::Relaxed) {
        for (client, path) in clients.iter_mut().zip(paths.iter().cycle()) {
            client.send(get(path)).await?;
        }
        for client in &mut clients {
            client.reply(false).await?;
            answered += 1;
        }
    }
    Ok(answered)
}

/// Runs traffic on a thread of its own while something else happens.
fn meanwhile<T>(scene: &Scene<'_>, act: impl FnOnce() -> Result<T>) -> Result<(u64, T)> {
    let stop = AtomicBool::new(false);
    let address = scene.address();
    std::thread::scope(|threads| {
        let traffic = threads.spawn(|| {
            scene.field.client.block_on(Duration::from_secs(120), async || {
                until_stopped(scene, &stop, address).await
            })
        });
        let acted = scene.started(100).and_then(|()| act());
        stop.store(true, Ordering::Relaxed);
        let answered = traffic.join().map_err(|_| anyhow::anyhow!("the traffic panicked"))??;
        Ok((answered, acted?))
    })
}

fn restarts(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let mut counter = scene.take_counter()?;
    let times = if is_long() { 50 } else { 8 };
    let acted = meanwhile(scene, || {
        for _ in 0..times {
            let before = counter.snapshot()?.started;
            counter.reopen()?;
            let deadline = Instant::now() + Duration::from_secs(60);
            while counter.snapshot()?.started == before {
                ensure!(Instant::now() < deadline, "after a restart nothing is counted any more");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(())
    });
    scene.put_counter(counter);
    let (answered, ()) = acted?;
    scene.exact(answered)
}

fn swaps_http2(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    let mut counter = scene.take_counter()?;
    let stop = AtomicBool::new(false);
    let address = scene.address();
    let (answered, counter) = std::thread::scope(|threads| -> Result<_> {
        let traffic = threads.spawn(|| {
            scene.field.client.block_on(Duration::from_secs(120), async || {
                let client = Client::connect(address).await?;
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let mut streams = JoinSet::new();
                    for (path, body) in [("/", 0), ("/sleep/5", 0), ("/bytes/3000", 0), ("/", 3000)] {
                        streams.spawn(Client::exchange(client.send.clone(), scene.clock().clone(), path, body));
                    }
                    answered += streams.join_all().await.into_iter().collect::<Result<Vec<_>>>()?.len() as u64;
                }
                client.close().await;
                Ok(answered)
            })
        });
        let acted = scene
            .started(50)
            .and_then(|()| (0..8).try_for_each(|_| counter.reopen()));
        stop.store(true, Ordering::Relaxed);
        let answered = traffic.join().map_err(|_| anyhow::anyhow!("the traffic panicked"))??;
        acted?;
        Ok((answered, counter))
    })?;
    scene.put_counter(counter);
    scene.exact(answered)
}

fn kill_9(rig: &Rig) -> Result<()> {
    let mut scene = Scene::with_counter(rig, "kill-9", |rig, _| Ok(Counter::closed(rig)))?;
    let orders = Daemon {
        pins: scene.counter().settings().pin_dir.clone(),
        cgroup: scene.field.cgroup.path().to_owned(),
        netns: scene.field.pod.path(),
        object: None,
    };
    let mut daemon = Role::start(rig, None, None, "daemon", &orders)?;
    scene.serve(Server::of(Protocol::Raw))?;
    let (answered, ()) = meanwhile(&scene, || {
        for _ in 0..if is_long() { 20 } else { 4 } {
            daemon.kill()?;
            std::thread::sleep(Duration::from_millis(50));
            daemon = Role::start(rig, None, None, "daemon", &orders)?;
        }
        Ok(())
    })?;
    daemon.kill()?;
    scene.counter_mut().reopen()?;
    scene.exact(answered)
}

/// A torn snapshot is off by the machine's uptime; the mean between two of them shows it at once.
fn snapshots(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let kernel = scene.counter().kernel()?;
    let (answered, reads) = meanwhile(scene, || {
        let deadline = Instant::now() + Duration::from_secs(if is_long() { 20 } else { 2 });
        let (mut reads, mut then, mut earlier) = (0, kernel::monotonic(), kernel.counts(POD)?);
        let mut earlier_doubt = kernel::monotonic() - then;
        while Instant::now() < deadline {
            for _ in 0..200 {
                let begun = kernel::monotonic();
                let (counts, now) = (kernel.counts(POD)?, kernel::monotonic());
                // Eight connections, one request each: the area can never exceed eight times the time, give or take
                // what happened between the reading of two CPUs and of the clock, of this snapshot and of the one before.
                let area = counts.integral(now).wrapping_sub(earlier.integral(then)) as i64;
                let doubt = now - begun + earlier_doubt;
                let bound = 9 * (now - then + doubt) as i64 + 1_000_000_000;
                ensure!(area.abs() <= bound, "a torn snapshot: area {area} in {} ns", now - then);
                (then, earlier, earlier_doubt) = (now, counts, now - begun);
                reads += 1;
            }
        }
        Ok(reads)
    })?;
    println!("{reads} snapshots over {answered} requests");
    scene.exact(answered)
}

fn second(scene: &mut Scene<'_>) -> Result<()> {
    let second = kernel::Kernel::open(scene.counter().settings().clone());
    ensure!(second.is_err(), "two at once");
    scene.serve(Server::of(Protocol::Raw))?;
    crate::http1::connections(scene, 2, vec![get("/")])?;
    scene.exact(2)
}
