// SPDX-License-Identifier: Apache-2.0
//! HTTP/1.1 without loss: every shape is counted exactly.

mod bodies;
mod close;
mod heads;
mod pipeline;
mod smuggling;
mod tunnel;

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::client::{Http1, get};
use tests::scene::Scene;
use tests::suite::{Case, case};
use tests::truth::{Protocol, Server};
use tokio::task::JoinSet;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("http1::keep_alive_requests_are_counted_one_by_one", keep_alive),
        case("http1::a_sleeping_handler_is_in_flight_all_the_time", sleeping),
        case("http1::fifty_parallel_connections_are_fifty_in_flight", parallel),
        case("http1::connections_without_a_request_count_nothing", idle),
        case("http1::a_connection_for_every_request_leaves_nothing_behind", churn),
        case("http1::hyper_server_and_kernel_agree", hyper),
        case("http1::other_ports_of_the_pod_are_not_counted", other_port),
    ];
    cases.extend(bodies::cases());
    cases.extend(close::cases());
    cases.extend(heads::cases());
    cases.extend(pipeline::cases());
    cases.extend(smuggling::cases());
    cases.extend(tunnel::cases());
    cases
}

/// Every one of these on one kept-alive connection; each is answered whole.
pub(crate) fn exchange_all(scene: &mut Scene<'_>, requests: Vec<String>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let count = requests.len() as u64;
    scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        for request in &requests {
            client.exchange(request).await?;
        }
        Ok(())
    })?;
    scene.exact(count)
}

fn keep_alive(scene: &mut Scene<'_>) -> Result<()> {
    exchange_all(scene, vec![get("/"); 200])
}

fn sleeping(scene: &mut Scene<'_>) -> Result<()> {
    exchange_all(scene, vec![get("/sleep/50"); 10])
}

fn parallel(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    connections(scene, 50, vec![get("/sleep/300")])?;
    let rest = scene.rest()?;
    ensure!(
        rest.truth.maximum == 50,
        "the case itself: only {} were in flight at once",
        rest.truth.maximum
    );
    scene.exact(50)
}

fn idle(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    connections(scene, 20, Vec::new())?;
    scene.wait(|truth| truth.connections == 20)?;
    scene.exact(0)
}

fn churn(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    for _ in 0..10 {
        connections(scene, 50, vec![get("/")])?;
    }
    scene.exact(500)
}

fn hyper(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Hyper1))?;
    let post = "POST / HTTP/1.1\r\nhost: pod\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned();
    let requests = vec![
        get("/"),
        get("/sleep/20"),
        get("/bytes/100000"),
        post,
        get("/status/204"),
        get("/status/404"),
    ];
    connections(scene, 20, requests)?;
    scene.exact(120)
}

fn other_port(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw).port(9090))?;
    let mut address = scene.address();
    address.set_port(9090);
    scene.client_at(address, async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        client.exchange(get("/")).await?;
        Ok(())
    })?;
    let rest = scene.balanced()?;
    ensure!(rest.truth.started == 1, "the case itself: {:?}", rest.truth);
    ensure!(
        rest.counted.started == 0 && rest.counted.connections == 0,
        "it was counted"
    );
    Ok(())
}

/// So many connections at once, each with these requests one after the other.
pub(crate) fn connections(scene: &Scene<'_>, count: usize, requests: Vec<String>) -> Result<()> {
    scene.client(async |address, clock| {
        let mut clients = JoinSet::new();
        for _ in 0..count {
            let (requests, clock) = (requests.clone(), clock.clone());
            clients.spawn(async move {
                let mut client = Http1::connect(address, &clock).await?;
                for request in requests {
                    client.exchange(request).await?;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(())
            });
        }
        clients.join_all().await.into_iter().collect()
    })
}
