// SPDX-License-Identifier: Apache-2.0
//! The comparison: the plainest relay that hyper allows. No routes, no limiter, no timers, no headers changed.
//!
//! Mechanism: each connection of a client has one of its own to the server.
//! Depends on: hyper.

use std::net::{Ipv4Addr, SocketAddr};

use ::tests::role;
use anyhow::Result;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// What the relay is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(super) port: u16,
    pub(super) pod: SocketAddr,
}

/// The job `bench-relay`.
pub(crate) fn run(orders: Value) -> Result<()> {
    let orders: Orders = serde_json::from_value(orders)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, orders.port)).await?;
        role::answer_questions(|_| Ok(Value::Null))?;
        loop {
            let (stream, _) = listener.accept().await?;
            // A load tool that ends resets its connections.
            tokio::spawn(async move { drop(relay(stream, orders.pod).await) });
        }
    })
}

async fn relay(client: TcpStream, pod: SocketAddr) -> Result<()> {
    client.set_nodelay(true)?;
    let server = TcpStream::connect(pod).await?;
    server.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(server)).await?;
    tokio::spawn(connection);
    let sender = Mutex::new(sender);
    let pass = |request: Request<Incoming>| async {
        let mut sender = sender.lock().await;
        sender.ready().await?;
        sender.send_request(request).await
    };
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(client), service_fn(pass))
        .await?;
    Ok(())
}
