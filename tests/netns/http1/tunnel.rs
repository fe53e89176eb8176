// SPDX-License-Identifier: Apache-2.0
//! Tunnels: one request until the connection closes, whatever flows through.

use anyhow::{Result, ensure};
use tests::client::{Http1, get};
use tests::scene::Scene;
use tests::suite::{Case, case};
use tests::truth::{Protocol, Server};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("http1::an_upgrade_is_in_flight_until_the_connection_closes", upgrade),
        case(
            "http1::a_connect_tunnel_is_in_flight_until_the_connection_closes",
            connect,
        ),
        case("http1::a_refused_upgrade_is_an_ordinary_request", refused),
    ]
}

const UPGRADE: &str = "GET /upgrade HTTP/1.1\r\nhost: pod\r\nconnection: Upgrade\r\nupgrade: echo\r\n\r\n";

fn upgrade(scene: &mut Scene<'_>) -> Result<()> {
    tunnels(scene, UPGRADE, 101)
}

fn connect(scene: &mut Scene<'_>) -> Result<()> {
    tunnels(scene, "CONNECT other:443 HTTP/1.1\r\nhost: other\r\n\r\n", 200)
}

/// Through the tunnel goes what looks like requests and answers, both ways.
fn tunnels(scene: &mut Scene<'_>, request: &str, status: u16) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for _ in 0..5 {
            let mut client = Http1::connect(address, clock).await?;
            client.exchange(get("/")).await?;
            client.write(request).await?;
            ensure!(
                tunnel_status(&mut client).await? == status,
                "the case itself: no tunnel"
            );
            for _ in 0..20 {
                let like = format!("{}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", get("/"));
                client.write(&like).await?;
                ensure!(
                    client.read_exact(like.len()).await? == like.as_bytes(),
                    "the echo differs"
                );
            }
            client.half_close().await?;
            client.rest().await;
        }
        Ok(())
    })?;
    scene.exact(10)
}

/// The head of an answer that opens a tunnel, read byte by byte so that nothing of the tunnel is taken.
async fn tunnel_status(client: &mut Http1) -> Result<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(client.read_exact(1).await?);
    }
    let status = head.get(9..12).map(String::from_utf8_lossy).unwrap_or_default();
    Ok(status.parse()?)
}

fn refused(scene: &mut Scene<'_>) -> Result<()> {
    let asks = "GET / HTTP/1.1\r\nhost: pod\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";
    super::exchange_all(scene, vec![asks.into(), get("/"), asks.into(), get("/sleep/10")])
}
