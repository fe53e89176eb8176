// SPDX-License-Identifier: Apache-2.0
//! Networks that lose, repeat, reorder and delay: balance always, truth or a flag.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::client::{Http1, get};
use tests::fault::{Loss, Mischief, OFFLOADS, Relay, dropped, lose, lose_own_output, offload};
use tests::rig::{Netns, POD_PORT, Rig};
use tests::scene::Scene;
use tests::suite::{Case, case, case_on_rig, is_long};
use tests::truth::{Bind, Protocol, Server};
use tokio::task::JoinSet;

use crate::http2::Client;

/// Connections of a case, each to a port of its own.
const CONNECTIONS: u16 = 20;

/// Loss in 1/10 000.
const LOSSES: &[(&str, u32)] = &[
    ("a_tenth_of_a_percent", 10),
    ("one_percent", 100),
    ("five_percent", 500),
];

const PROTOCOLS: [(&str, Protocol); 2] = [("http1", Protocol::Raw), ("http2", Protocol::H2)];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (word, protocol) in PROTOCOLS {
        for (name, loss) in LOSSES {
            let claim = format!("faults::{word}_with_{name}_lost_is_true_or_flagged");
            cases.push(case(claim, move |scene| firewalled(scene, protocol, *loss)));
            for seed in seeds() {
                let claim = format!("faults::{word}_with_{name}_lost_and_reordered_seed_{seed}_is_true_or_flagged");
                cases.push(case(claim, move |scene| {
                    relayed(scene, protocol, *loss, seed).map(drop)
                }));
            }
        }
        for (name, loss) in &LOSSES[..2] {
            let claim = format!("faults::{word}_with_{name}_lost_is_off_by_two_in_a_thousand_at_most");
            cases.push(case_on_rig(claim, move |rig| precise(rig, protocol, *loss)));
        }
        let claim = format!("faults::{word}_lost_in_the_pods_own_output_is_true_or_flagged");
        cases.push(case(claim, move |scene| own_output(scene, protocol)));
        let claim = format!("faults::{word}_whose_handshake_ends_with_data_is_counted");
        cases.push(case(claim, move |scene| handshake(scene, protocol)));
        let claim = format!("faults::{word}_delayed_and_reordered_without_loss_is_true_or_flagged");
        cases.push(case(claim, move |scene| reordered(scene, protocol)));
        let claim = format!("faults::{word}_with_repeated_packets_is_exact");
        cases.push(case(claim, move |scene| repeated(scene, protocol)));
    }
    cases.push(case(
        "faults::programs_that_interrupt_each_other_on_one_cpu_stay_exact",
        nested,
    ));
    cases.push(case(
        "faults::http1_over_ipv6_with_one_percent_lost_is_true_or_flagged",
        six,
    ));
    for (name, segment, receive) in OFFLOADS {
        let claim = format!("faults::segments_with_{name}_are_exact");
        cases.push(case(claim, move |scene| sizes(scene, *segment, *receive)));
    }
    cases
}

fn seeds() -> std::ops::Range<u64> {
    if is_long() { 0..10 } else { 0..2 }
}

fn firewalled(scene: &mut Scene<'_>, protocol: Protocol, loss: u32) -> Result<()> {
    lose(
        &scene.field,
        Loss {
            requests: loss,
            answers: loss,
        },
    )?;
    judged(scene, protocol)?;
    lost(&scene.field.router, loss)
}

fn own_output(scene: &mut Scene<'_>, protocol: Protocol) -> Result<()> {
    lose_own_output(&scene.field.pod, 100)?;
    judged(scene, protocol)?;
    lost(&scene.field.pod, 100)
}

fn relayed(scene: &mut Scene<'_>, protocol: Protocol, loss: u32, seed: u64) -> Result<Off> {
    let mischief = Mischief {
        lose: loss,
        repeat: loss / 2,
        reorder: loss,
        delay: Duration::ZERO,
    };
    let _relay = Relay::start(&scene.field, seed, mischief)?;
    judged(scene, protocol)
}

fn reordered(scene: &mut Scene<'_>, protocol: Protocol) -> Result<()> {
    let reorder = Mischief {
        reorder: 1000,
        delay: Duration::from_millis(1),
        ..Mischief::default()
    };
    let _relay = Relay::start(&scene.field, 7, reorder)?;
    judged(scene, protocol).map(drop)
}

fn repeated(scene: &mut Scene<'_>, protocol: Protocol) -> Result<()> {
    let _relay = Relay::start(
        &scene.field,
        7,
        Mischief {
            repeat: 2000,
            ..Mischief::default()
        },
    )?;
    traffic(scene, protocol)?;
    let off = judge(scene)?;
    ensure!(off.requests == 0, "repeated packets changed the count");
    Ok(())
}

/// T13, over all seeds together.
fn precise(rig: &Rig, protocol: Protocol, loss: u32) -> Result<()> {
    let (mut requests, mut of) = (0, 0);
    for seed in 100..if is_long() { 110 } else { 104 } {
        let off = relayed(&mut Scene::new(rig, "precise")?, protocol, loss, seed)?;
        requests += off.requests;
        of += off.of;
    }
    println!("off {requests} of {of}");
    ensure!(requests * 500 <= of, "off by {requests} of {of}");
    Ok(())
}

/// By how many requests the counts of all connections differ, of how many.
struct Off {
    requests: u64,
    of: u64,
}

fn judged(scene: &mut Scene<'_>, protocol: Protocol) -> Result<Off> {
    traffic(scene, protocol)?;
    judge(scene)
}

/// In flight at rest exactly 0, started = ended, and no connection whose count differs without being flagged: every
/// connection has a port of its own.
fn judge(scene: &Scene<'_>) -> Result<Off> {
    let all = scene.balanced()?;
    let mut off = 0;
    for rest in scene.by_port()? {
        let difference = rest.counted.started.abs_diff(rest.truth.started);
        ensure!(
            difference == 0 || rest.counted.uncertain > 0,
            "silently different by {difference}: {rest:?}"
        );
        off += difference;
        if difference > 0 {
            println!("flagged: {rest:?}");
        }
    }
    let (counted, truth) = (&all.counted, &all.truth);
    println!(
        "off {off} of {}, uncertain {} of {} connections, late {}, resyncs {}, gaps {}",
        truth.started, counted.uncertain, truth.connections, counted.late, counted.resyncs, counted.gaps
    );
    // A request that hangs until its connection closes shows here; a late start only makes the sum smaller.
    let (measured, outer) = scene.clock().sum();
    let too_long = measured == truth.started && counted.uncertain == 0 && counted.integral > outer;
    ensure!(
        !too_long,
        "integral {} ns, more than the clients' {outer}",
        counted.integral
    );
    Ok(Off {
        requests: off,
        of: truth.started,
    })
}

/// The firewall really dropped something, else the case shows nothing.
fn lost(netns: &Netns, loss: u32) -> Result<()> {
    let dropped = dropped(netns)?;
    println!("{dropped} packets dropped");
    ensure!(dropped > 0 || loss < 100, "the case itself: nothing was lost");
    Ok(())
}

/// Every request is answered, so the application must have seen each exactly once.
fn traffic(scene: &mut Scene<'_>, protocol: Protocol) -> Result<()> {
    // Segments as small as on a wire: each can be lost or overtaken alone.
    offload(&scene.field, false, false)?;
    scene.serve(Server::of(protocol).ports(CONNECTIONS))?;
    let rounds = if is_long() { 20 } else { 4 };
    let expected = if protocol == Protocol::H2 {
        multiplexed(scene, rounds)?
    } else {
        pipelined(scene, rounds)?
    };
    scene.wait(|truth| truth.open == 0)?;
    let truth = scene.truth()?;
    ensure!(
        truth.started == expected as u64,
        "the case itself: {expected} requests, but {truth:?}"
    );
    Ok(())
}

/// One by one and pipelined by turns, so that heads lie behind lost segments.
fn pipelined(scene: &Scene<'_>, rounds: usize) -> Result<usize> {
    let requests = mix();
    scene.client(async |address, clock| {
        let mut clients = JoinSet::new();
        for port in 0..CONNECTIONS {
            let (requests, clock) = (requests.clone(), clock.clone());
            let address = SocketAddr::new(address.ip(), address.port() + port);
            clients.spawn(async move {
                let mut client = Http1::connect(address, &clock).await?;
                for _ in 0..rounds {
                    for request in &requests {
                        client.exchange(request).await?;
                    }
                    requests.iter().for_each(|_| client.begins());
                    client.write(requests.concat()).await?;
                    for request in &requests {
                        client.reply(request.starts_with("HEAD ")).await?;
                    }
                }
                Ok(())
            });
        }
        clients.join_all().await.into_iter().collect::<Result<()>>()
    })?;
    Ok(usize::from(CONNECTIONS) * rounds * requests.len() * 2)
}

fn mix() -> Vec<String> {
    let head = "h".repeat(1000);
    let big = "b".repeat(20_000);
    vec![
        get("/"),
        format!("GET /bytes/5000 HTTP/1.1\r\nx: {head}\r\n\r\n"),
        format!("POST / HTTP/1.1\r\ncontent-length: 20000\r\n\r\n{big}"),
        get("/chunked/20000/1000"),
        format!("POST /bytes/100 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n{big}\r\n0\r\n\r\n"),
        get("/status/204"),
        "HEAD / HTTP/1.1\r\n\r\n".into(),
    ]
}

/// Streams of every kind, some of them together.
fn multiplexed(scene: &Scene<'_>, rounds: usize) -> Result<usize> {
    const KINDS: [(&str, usize); 5] = [
        ("/", 0),
        ("/bytes/3000", 0),
        ("/", 5000),
        ("/trailers/10", 0),
        ("/sleep/3", 0),
    ];
    scene.client(async |address, clock| {
        let mut clients = JoinSet::new();
        for port in 0..CONNECTIONS {
            let clock = clock.clone();
            let address = SocketAddr::new(address.ip(), address.port() + port);
            clients.spawn(async move {
                let client = Client::connect(address).await?;
                for _ in 0..rounds {
                    let mut streams = JoinSet::new();
                    for (path, body) in KINDS.repeat(3) {
                        streams.spawn(Client::exchange(client.send.clone(), clock.clone(), path, body));
                    }
                    streams.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
                }
                client.close().await;
                Ok(())
            });
        }
        clients.join_all().await.into_iter().collect::<Result<()>>()
    })?;
    Ok(usize::from(CONNECTIONS) * rounds * KINDS.len() * 3)
}

fn sizes(scene: &mut Scene<'_>, segment: bool, receive: bool) -> Result<()> {
    offload(&scene.field, segment, receive)?;
    scene.serve(Server::of(Protocol::Raw))?;
    let body = "GET / HTTP/1.1\r\n\r\n".repeat(100_000);
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        for _ in 0..5 {
            client.exchange(get("/bytes/3000000")).await?;
            client.exchange(get("/chunked/1000000/333")).await?;
            client
                .send(format!(
                    "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                ))
                .await?;
            client.reply(false).await?;
            client.exchange(get("/")).await?;
        }
        Ok(())
    })?;
    scene.exact(20)
}

/// The client's pure ACKs are lost until its first data came: the handshake ends with a segment of data, which passes
/// the hook with the listener as its socket.
fn handshake(scene: &mut Scene<'_>, protocol: Protocol) -> Result<()> {
    scene.serve(Server::of(protocol))?;
    scene.field.router.nft(
        "table inet fault {\n chain forward {\n  type filter hook forward priority 0; policy accept;\n\
         \x20 iifname \"r0\" tcp flags & (syn | fin | rst | psh) == 0 meta length < 80 counter drop\n }\n}\n",
    )?;
    let count = 40;
    scene.client(async |address, clock| {
        for _ in 0..count {
            if protocol == Protocol::H2 {
                let client = Client::connect(address).await?;
                Client::exchange(client.send.clone(), clock.clone(), "/", 0).await?;
                client.close().await;
            } else {
                let mut client = Http1::connect(address, clock).await?;
                client.exchange(get("/")).await?;
            }
        }
        Ok(())
    })?;
    ensure!(dropped(&scene.field.router)? > 0, "the case itself: no ACK was lost");
    scene.field.router.nft("flush ruleset\n")?;
    let rest = scene.balanced()?;
    ensure!(rest.counted.started == count, "{rest:?}");
    Ok(())
}

/// Softirq receives on the CPU that sends: both programs nest in one connection, over loopback and many of them.
fn nested(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let local = SocketAddr::from(([127, 0, 0, 1], POD_PORT));
    let clock = scene.clock();
    scene.field.pod.block_on(Duration::from_secs(60), async move || {
        let mut clients = JoinSet::new();
        for _ in 0..30 {
            let clock = clock.clone();
            clients.spawn(async move {
                let mut client = Http1::connect(local, &clock).await?;
                for request in mix().iter().cycle().take(140) {
                    client.exchange(request).await?;
                }
                Ok(())
            });
        }
        clients.join_all().await.into_iter().collect::<Result<()>>()
    })?;
    scene.exact(30 * 140)
}

/// Loss over IPv6: the same machines behind another header.
fn six(scene: &mut Scene<'_>) -> Result<()> {
    lose(
        &scene.field,
        Loss {
            requests: 100,
            answers: 100,
        },
    )?;
    offload(&scene.field, false, false)?;
    scene.serve(Server::of(Protocol::Raw).bind(Bind::V6))?;
    let requests = mix();
    scene.client_at(scene.address6(), async |address, clock| {
        for _ in 0..10 {
            let mut client = Http1::connect(address, clock).await?;
            for _ in 0..3 {
                requests.iter().for_each(|_| client.begins());
                client.write(requests.concat()).await?;
                for request in &requests {
                    client.reply(request.starts_with("HEAD ")).await?;
                }
            }
        }
        Ok(())
    })?;
    judge(scene)?;
    lost(&scene.field.router, 100)
}
