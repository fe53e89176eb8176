// SPDX-License-Identifier: Apache-2.0
//! The comparison: the plainest relay that hyper allows. No routes, no limiter, no timers, no headers changed.
//!
//! Mechanism: either each connection of a client has one of its own to the server, which no gateway can afford that chooses
//! a pod for each request, or all share hyper-util's pool.
//! Depends on: hyper.

use std::net::{Ipv4Addr, SocketAddr};

use ::tests::role;
use anyhow::Result;
use hyper::body::Incoming;
use hyper::http::uri::{Authority, Scheme};
use hyper::service::service_fn;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// What the relay is told.
#[derive(Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(super) port: u16,
    pub(super) pod: SocketAddr,
    pub(super) is_pooled: bool,
}

/// The job `bench-relay`.
pub(crate) fn run(orders: Value) -> Result<()> {
    let orders: Orders = serde_json::from_value(orders)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, orders.port)).await?;
        role::answer_questions(|_| Ok(Value::Null))?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool: Pool = Client::builder(TokioExecutor::new()).build(connector);
        loop {
            let (stream, _) = listener.accept().await?;
            let (pool, pod) = (orders.is_pooled.then(|| pool.clone()), orders.pod);
            // A load tool that ends resets its connections.
            tokio::spawn(async move {
                match pool {
                    Some(pool) => drop(relay_by_pool(stream, pool, pod).await),
                    None => drop(relay(stream, pod).await),
                }
            });
        }
    })
}

type Pool = Client<HttpConnector, Incoming>;

async fn relay_by_pool(client: TcpStream, pool: Pool, pod: SocketAddr) -> Result<()> {
    client.set_nodelay(true)?;
    let authority = Authority::try_from(pod.to_string())?;
    let pass = |mut request: Request<Incoming>| {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(authority.clone());
        let pool = &pool;
        async move {
            *request.uri_mut() = Uri::from_parts(parts)?;
            anyhow::Ok(pool.request(request).await?)
        }
    };
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(client), service_fn(pass))
        .await?;
    Ok(())
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
