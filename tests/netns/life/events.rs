// SPDX-License-Identifier: Apache-2.0
//! What the kernel tells at once: bursts and listening sockets; and what it leaves out: probes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kernel::{Configuration, Event, Events, Netns, RevisionId};
use tests::client::{Http1, get};
use tests::counter::POD;
use tests::rig::POD_PORT;
use tests::scene::Scene;
use tests::suite::{Case, case};
use tests::truth::{Bind, Protocol, Server};

use crate::http1::connections;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("life::a_burst_over_the_threshold_raises_an_event", burst),
        case("life::below_the_threshold_no_event_is_raised", no_burst),
        case("life::a_revisions_burst_raises_an_event", revision),
        case("life::a_listening_socket_raises_an_event", listen4),
        case("life::a_listening_socket_of_both_families_raises_an_event", listen_dual),
        case("life::probes_by_their_user_agent_are_not_counted", probes),
    ]
}

/// The first event of a kind.
fn first<T>(events: &mut Events, wanted: impl Fn(Event) -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        while let Some(event) = events.next() {
            if let Some(found) = wanted(event) {
                return Ok(found);
            }
        }
        ensure!(Instant::now() < deadline, "no event came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn burst(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let kernel = scene.counter().kernel()?;
    let mut events = kernel.events()?;
    ensure!(kernel.pods().set_threshold(POD, 10), "no such pod");
    connections(scene, 20, vec![get("/sleep/100")])?;
    let (in_flight, time) = first(&mut events, |event| match event {
        Event::PodBurst { pod, in_flight, time } if pod == POD => Some((in_flight, time)),
        _ => None,
    })?;
    ensure!((10..=20).contains(&in_flight), "raised at {in_flight}");
    ensure!(time <= kernel::monotonic(), "raised in the future");
    scene.exact(20)
}

fn no_burst(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let kernel = scene.counter().kernel()?;
    let mut events = kernel.events()?;
    kernel.pods().set_threshold(POD, 50);
    connections(scene, 20, vec![get("/sleep/50")])?;
    scene.exact(20)?;
    let event = events.next();
    ensure!(event.is_none(), "{event:?}");
    Ok(())
}

fn revision(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let kernel = scene.counter().kernel()?;
    let mut events = kernel.events()?;
    kernel.pods().set_revision(POD, RevisionId(3));
    kernel.revisions().set_threshold(RevisionId(3), 5);
    connections(scene, 10, vec![get("/sleep/100")])?;
    let in_flight = first(&mut events, |event| match event {
        Event::RevisionBurst {
            revision: RevisionId(3),
            in_flight,
            ..
        } => Some(in_flight),
        _ => None,
    })?;
    ensure!(in_flight >= 5, "raised at {in_flight}");
    scene.exact(10)?;
    let after = scene.counter().kernel()?.revisions().get(RevisionId(3));
    ensure!(after.in_flight == 0, "{after:?}");
    Ok(())
}

fn listen4(scene: &mut Scene<'_>) -> Result<()> {
    listening(scene, Bind::V4)
}

fn listen_dual(scene: &mut Scene<'_>) -> Result<()> {
    listening(scene, Bind::Dual)
}

fn listening(scene: &mut Scene<'_>, bind: Bind) -> Result<()> {
    let cookie = Netns::at(&scene.field.pod.path())?.cookie()?;
    let kernel = scene.counter().kernel()?;
    let mut events = kernel.events()?;
    kernel.configure(&Configuration {
        listen_events: true,
        ..Configuration::default()
    })?;
    scene.serve(Server::of(Protocol::Raw).bind(bind))?;
    let (netns, local) = first(&mut events, |event| match event {
        Event::Listen { netns, local, .. } => Some((netns, local)),
        _ => None,
    })
    .context("LISTEN")?;
    ensure!(netns == cookie, "namespace {netns}, expected {cookie}");
    ensure!(local.port() == POD_PORT && local.ip().is_unspecified(), "{local}");
    Ok(())
}

fn probes(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for _ in 0..5 {
            let mut probe = Http1::connect(address, clock).await?;
            let request =
                "GET / HTTP/1.1\r\nHost: pod:8080\r\nUser-Agent: kube-probe/1.30\r\nConnection: close\r\n\r\n";
            probe.exchange(request).await?;
            probe.rest().await;
            let mut client = Http1::connect(address, clock).await?;
            client.exchange(get("/")).await?;
        }
        Ok(())
    })?;
    let rest = scene.balanced()?;
    ensure!(rest.counted.started == 5 && rest.counted.probes == 5, "{rest:?}");
    Ok(())
}
