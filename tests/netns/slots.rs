// SPDX-License-Identifier: Apache-2.0
//! Slots of pods that several daemons use: whoever comes, goes and dies, no application sees more than its limit.
//!
//! Two or three nodes in namespaces of their own, each with the built daemon and a pod of each revision, and clients at
//! every gateway; who is whose peer changes every second, and daemons are killed and come back.

mod app;
mod client;
mod node;
mod shapes;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
pub(crate) use app::App;
use client::{Shape, ask_in};
pub(crate) use client::{Tally, ask};
pub(crate) use node::Node;
use tests::rig::{Field, Rig};
use tests::suite::{Case, case_on_rig, is_long};

const GATEWAY: u16 = 8000;
/// containerConcurrency, and clients of each gateway.
const REVISIONS: [(u32, usize); 3] = [(1, 3), (3, 6), (10, 14)];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case_on_rig("slots::of_two_nodes_are_never_overrun", |rig| {
            run(rig, 2, &[Shape::Plain])
        }),
        case_on_rig("slots::of_three_nodes_are_never_overrun", |rig| {
            run(rig, 3, &[Shape::Plain])
        }),
        case_on_rig(
            "slots::of_two_nodes_are_never_overrun_by_streams_upgrades_and_clients_that_leave",
            |rig| run(rig, 2, Shape::ALL),
        ),
        case_on_rig(
            "slots::of_another_node_carry_streams_and_upgrades_and_come_back",
            shapes::carry,
        ),
        case_on_rig(
            "slots::of_another_node_are_all_used_while_others_wait",
            shapes::are_used,
        ),
    ]
}

/// From a kill to the first moment that all is well again.
struct Outage {
    node: usize,
    begun: Instant,
    ended: Instant,
}

fn run(rig: &Rig, count: usize, shapes: &'static [Shape]) -> Result<()> {
    let field = rig.field("slots")?;
    let mut nodes = nodes(rig, &field)?;
    nodes.truncate(count);
    let apps = apps(&nodes)?;
    for place in 0..count {
        nodes[place].write(&file(&nodes, place, None))?;
        let gateway = gateway(&nodes[place], place);
        nodes[place].run(gateway)?;
    }
    alone(&nodes, &apps)?;
    let stop = AtomicBool::new(false);
    let places: Vec<_> = nodes.iter().map(|node| node.netns).zip(gateways(&nodes)).collect();
    let (tallies, outages) = std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for (place, (netns, gateway)) in places.iter().enumerate() {
            for (limit, clients_of_it) in REVISIONS {
                for _ in 0..clients_of_it {
                    let (netns, gateway, stop) = (*netns, *gateway, &stop);
                    let client = scope.spawn(move || ask_in(shapes, netns, gateway, &host(limit), stop));
                    clients.push((place, limit, client));
                }
            }
        }
        let outages = unrest(&mut nodes);
        stop.store(true, SeqCst);
        let tallies = clients.into_iter().map(|(place, limit, client)| match client.join() {
            Ok(tally) => tally.map(|tally| (place, limit, tally)),
            Err(_) => Err(anyhow::anyhow!("a client panicked")),
        });
        let tallies: Result<Vec<_>> = tallies.collect();
        Ok::<_, anyhow::Error>((tallies?, outages?))
    })?;
    judge(&tallies, &outages)?;
    limits(&apps)
}

/// Client, pod and router of a field are three nodes that reach each other.
fn nodes<'f>(rig: &'f Rig, field: &'f Field) -> Result<Vec<Node<'f>>> {
    let (a, b) = ("10.77.1.2", "10.77.2.2");
    Ok(vec![
        Node::new(rig, "a", &field.client, [a; 3])?,
        Node::new(rig, "b", &field.pod, [b; 3])?,
        Node::new(rig, "c", &field.router, ["10.77.1.1", "10.77.2.1", "10.77.1.1"])?,
    ])
}

#[expect(clippy::unwrap_used, reason = "the addresses of the rig are addresses")]
fn address(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

fn gateway(node: &Node<'_>, place: usize) -> SocketAddr {
    address(node.addresses[place], GATEWAY)
}

fn gateways(nodes: &[Node<'_>]) -> Vec<SocketAddr> {
    nodes
        .iter()
        .enumerate()
        .map(|(place, node)| gateway(node, place))
        .collect()
}

fn port(limit: u32) -> u16 {
    9000 + limit as u16
}

fn host(limit: u32) -> String {
    format!("r{limit}.test")
}

fn apps(nodes: &[Node<'_>]) -> Result<Vec<(u32, &'static str, App)>> {
    let mut apps = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        for (limit, _) in REVISIONS {
            let app = App::start(node.netns, address(node.addresses[place], port(limit)))?;
            apps.push((limit, node.name, app));
        }
    }
    Ok(apps)
}

/// The file of a node that knows all peers but one.
fn file(nodes: &[Node<'_>], place: usize, but: Option<usize>) -> String {
    let others = nodes
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != place && Some(*other) != but);
    let peers: Vec<_> = others
        .map(|(_, node)| format!("{{name: {}, address: '{}'}}", node.name, gateway(node, place)))
        .collect();
    let mut text = format!(
        "listen: ['0.0.0.0:{GATEWAY}']\nnode: {}\npeers: [{}]\nrevisions:\n",
        nodes[place].name,
        peers.join(", ")
    );
    let mut routes = String::from("routes:\n");
    for (limit, _) in REVISIONS {
        let pods: Vec<_> = nodes
            .iter()
            .enumerate()
            // One address a pod, the same everywhere.
            .map(|(at, node)| {
                format!(
                    "{{address: '{}', node: {}}}",
                    address(node.addresses[at], port(limit)),
                    node.name
                )
            })
            .collect();
        text += &format!(
            "  r{limit}: {{container_concurrency: {limit}, pods: [{}]}}\n",
            pods.join(", ")
        );
        routes += &format!("  - {{hosts: [{}], to: {{r{limit}: 100}}}}\n", host(limit));
    }
    text + &routes
}

/// Clients of one gateway only: the pods of all nodes serve them.
fn alone(nodes: &[Node<'_>], apps: &[(u32, &'static str, App)]) -> Result<()> {
    let stop = AtomicBool::new(false);
    let begun = Instant::now();
    let all_serve = || apps.iter().all(|(.., app)| app.seen.all.load(SeqCst) > 20);
    std::thread::scope(|scope| {
        for (limit, clients) in REVISIONS {
            for _ in 0..clients + limit as usize * nodes.len() {
                let (netns, gateway, stop) = (nodes[0].netns, gateway(&nodes[0], 0), &stop);
                scope.spawn(move || ask(netns, gateway, &host(limit), stop));
            }
        }
        while !all_serve() && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, SeqCst);
    });
    ensure!(all_serve(), "one gateway does not reach the pods of all nodes");
    limits(apps)
}

/// Every second somebody loses a peer or finds it again; every third a daemon dies.
fn unrest(nodes: &mut [Node<'_>]) -> Result<Vec<Outage>> {
    let seconds = if is_long() { 120 } else { 9 };
    let mut outages = Vec::new();
    for second in 0..seconds {
        for place in 0..nodes.len() {
            // One knows all, another misses one.
            let but = match (second + place) % 3 {
                0 => None,
                _ => Some((place + 1 + second % 2) % nodes.len()),
            };
            nodes[place].write(&file(nodes, place, but))?;
        }
        if second % 3 == 1 {
            let node = second / 3 % nodes.len();
            let begun = Instant::now();
            nodes[node].kill()?;
            std::thread::sleep(Duration::from_millis(200));
            let gateway = gateway(&nodes[node], node);
            nodes[node].run(gateway)?;
            let ended = Instant::now();
            outages.push(Outage { node, begun, ended });
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    // Calm again: all know each other.
    for place in 0..nodes.len() {
        nodes[place].write(&file(nodes, place, None))?;
    }
    std::thread::sleep(Duration::from_secs(2));
    Ok(outages)
}

/// Nothing fails but what was in flight at a daemon that died, and nobody is starved.
fn judge(tallies: &[(usize, u32, Tally)], outages: &[Outage]) -> Result<()> {
    for (place, limit, tally) in tallies {
        for failure in &tally.failures {
            let died = outages
                .iter()
                .find(|outage| failure.begun <= outage.ended && outage.begun <= failure.ended);
            let is_fair =
                died.is_some_and(|died| died.node == *place || ["502", "503", "cut"].contains(&&*failure.why));
            ensure!(
                is_fair,
                "gateway {place}, limit {limit}: {} after {:?}",
                failure.why,
                failure.ended - failure.begun
            );
        }
        ensure!(
            tally.answered > 20,
            "a client of gateway {place}, limit {limit}, was answered {} times",
            tally.answered
        );
    }
    Ok(())
}

/// No application saw more than its limit, and each was made good use of; nothing is left.
fn limits(apps: &[(u32, &'static str, App)]) -> Result<()> {
    let begun = Instant::now();
    while apps.iter().any(|(.., app)| app.seen.now.load(SeqCst) > 0) {
        ensure!(begun.elapsed() < Duration::from_secs(60), "in flight does not end at 0");
        std::thread::sleep(Duration::from_millis(20));
    }
    for (limit, node, app) in apps {
        let most = app.seen.most.load(SeqCst);
        let is_well = most <= *limit && most * 2 >= *limit;
        ensure!(is_well, "an application on {node} with the limit {limit} saw {most}");
    }
    Ok(())
}
