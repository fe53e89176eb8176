// SPDX-License-Identifier: Apache-2.0
//! How all stands, as JSON over HTTP: for tests, and for people who wonder why a target is not direct.
//!
//! Depends on: steer, node.

use super::steer::Shared;
use crate::node::Standing;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, body::Incoming, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use life::Tasks;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Answers until the tasks are drained, one request a connection.
pub(super) fn serve(listener: TcpListener, shared: Arc<Shared>, tasks: &Tasks) {
    let of_it = tasks.clone();
    tasks.spawn("status", async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = of_it.draining() => return,
            };
            match accepted {
                Ok((stream, _)) => of_it.spawn("status connection", answer(stream, Arc::clone(&shared))),
                // Out of descriptors, or the client has gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
}

async fn answer(stream: TcpStream, shared: Arc<Shared>) {
    let tell = |_: Request<Incoming>| {
        let body = Bytes::from(tell(&shared).to_string());
        async move {
            let mut response = Response::new(Full::new(body));
            let json = header::HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            Ok::<_, Infallible>(response)
        }
    };
    let mut one = hyper::server::conn::http1::Builder::new();
    let served = one
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(5))
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service_fn(tell));
    // A client that goes away in the middle is no news.
    drop(served.await);
}

fn tell(shared: &Shared) -> Value {
    let revisions = shared.revisions.lock().unwrap_or_else(PoisonError::into_inner);
    let bursts = shared.bursts.lock().unwrap_or_else(PoisonError::into_inner);
    let revision = |(name, path): (&String, &Arc<proxy::Revision>)| {
        let reading = shared.node.reading(name)?;
        Some(json!({
            "name": name,
            "in_flight": reading.in_flight + reading.held,
            "on_pods": reading.in_flight,
            "held": reading.held,
            "integral_ns": reading.integral,
            "at_ns": reading.at,
            "started": reading.started,
            "counted_by": if reading.is_counted { "kernel" } else { "gateway" },
            "pods": reading.pods,
            "through_gateway": path.counters.requests.load(Relaxed),
            "bursts": bursts.get(name).copied().unwrap_or(0),
        }))
    };
    json!({
        "revisions": revisions.iter().filter_map(revision).collect::<Vec<_>>(),
        "targets": shared.node.targets().iter().map(target).collect::<Vec<_>>(),
        "obstacle": shared.node.obstacle(),
    })
}

fn target(standing: &Standing) -> Value {
    json!({
        "address": standing.address,
        "data_path": standing.path.word(),
        "reason": standing.path.reason(),
        "message": standing.path.message(),
        "connections": standing.connections,
    })
}
