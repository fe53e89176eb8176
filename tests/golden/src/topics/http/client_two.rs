// SPDX-License-Identifier: Apache-2.0
//! An HTTP/2 client that follows its steps.
//!
//! Depends on: backend_two, words.

use super::backend_two::{fields, pairs};
use super::bytes::{bytes, told};
use super::words::{about, headers};
use ::bytes::Bytes;
use anyhow::{Context as _, Result};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use life::Tasks;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

type Streams = Arc<Mutex<BTreeMap<u64, Map<String, Value>>>>;

/// Follows the steps.
pub(super) async fn play(spec: &Value, address: SocketAddr, tasks: &Tasks) -> Result<Value> {
    let begin = Instant::now();
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 20)
        .handshake::<_, Bytes>(stream)
        .await?;
    let (over, mut is_over) = watch::channel(false);
    tasks.spawn("client's connection", async move {
        drop(connection.await);
        over.send_replace(true);
    });
    let most = Duration::from_millis(spec["max_ms"].as_u64().unwrap_or(8000));
    let streams = Streams::default();
    let playing = Tasks::new();
    let steps = steps(spec, sender, Arc::clone(&streams), &playing, begin);
    let sending = timeout(most, async {
        let kept = steps.await;
        playing.gone().await;
        kept
    });
    let kept = sending.await;
    let linger = Duration::from_millis(spec["linger_ms"].as_u64().unwrap_or(400));
    let closed = timeout(linger, is_over.wait_for(|over| *over)).await.is_ok();
    drop(kept);
    playing.stop().await;
    let streams = std::mem::take(&mut *streams.lock().unwrap_or_else(PoisonError::into_inner));
    let told: Vec<Value> = streams
        .into_iter()
        .map(|(number, mut seen)| {
            seen.insert("stream".to_owned(), number.into());
            Value::Object(seen)
        })
        .collect();
    Ok(json!({"streams": told, "connection": if closed { "closed" } else { "kept" }}))
}

async fn steps(
    spec: &Value,
    mut sender: SendRequest<Bytes>,
    streams: Streams,
    playing: &Tasks,
    begin: Instant,
) -> Result<(SendRequest<Bytes>, BTreeMap<u64, SendStream<Bytes>>)> {
    let mut open = BTreeMap::new();
    let (seen, mut has_headers) = watch::channel(0_usize);
    let seen = Arc::new(seen);
    for step in spec["steps"].as_array().context("no steps")? {
        let number = step["stream"].as_u64().unwrap_or(1);
        if step["wait_headers"] == true {
            has_headers.wait_for(|count| *count > 0).await?;
        }
        if let Some(wait) = step["delay_ms"].as_u64() {
            sleep(Duration::from_millis(wait)).await;
        }
        let ends = step["end"] == true;
        if step["headers"].is_array() {
            let head = request(&step["headers"])?;
            sender = sender.ready().await?;
            let (response, out) = sender.send_request(head, ends)?;
            open.insert(number, out);
            let (streams, seen) = (Arc::clone(&streams), Arc::clone(&seen));
            playing.spawn("client's stream", async move {
                receive(number, response, &streams, &seen, begin).await;
            });
        }
        let out = open.get_mut(&number).context("no such stream")?;
        if !step["data"].is_null() {
            send(out, bytes(&step["data"]).into(), ends).await?;
        }
        if step["trailers"].is_array() {
            out.send_trailers(fields(&step["trailers"])?)?;
        }
        if step["rst"].is_string() {
            out.send_reset(Reason::CANCEL);
            note(&streams, number, "reset_by_client", true.into());
            // Its response is not waited for.
            return Ok((sender, open));
        }
    }
    Ok((sender, open))
}

async fn send(out: &mut SendStream<Bytes>, mut data: Bytes, ends: bool) -> Result<()> {
    while !data.is_empty() {
        out.reserve_capacity(data.len());
        let room = std::future::poll_fn(|context| out.poll_capacity(context))
            .await
            .context("closed")??;
        let piece = data.split_to(room.min(data.len()));
        out.send_data(piece, ends && data.is_empty())?;
    }
    Ok(())
}

fn request(lines: &Value) -> Result<http::Request<()>> {
    let mut request = http::Request::builder();
    let mut uri = http::Uri::builder();
    for (name, value) in pairs(lines) {
        match name.as_str() {
            ":method" => request = request.method(value.as_slice()),
            ":scheme" => uri = uri.scheme(value.as_slice()),
            ":authority" => uri = uri.authority(value.as_slice()),
            ":path" => uri = uri.path_and_query(value.as_slice()),
            _ => request = request.header(name, value),
        }
    }
    Ok(request.version(http::Version::HTTP_2).uri(uri.build()?).body(())?)
}

fn note(streams: &Streams, number: u64, key: &str, value: Value) {
    let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
    streams.entry(number).or_default().insert(key.to_owned(), value);
}

async fn receive(
    number: u64,
    response: ResponseFuture,
    streams: &Streams,
    seen: &watch::Sender<usize>,
    begin: Instant,
) {
    let note = |key: &str, value: Value| note(streams, number, key, value);
    let response = match response.await {
        Ok(response) => response,
        Err(fault) => return broken(&fault, &note, begin),
    };
    let (head, mut body) = response.into_parts();
    let status = (":status", head.status.as_str().as_bytes());
    let rest = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    note("headers", headers(std::iter::once(status).chain(rest)));
    note("headers_after", about(begin.elapsed()).into());
    seen.send_modify(|count| *count += 1);
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                drop(body.flow_control().release_capacity(data.len()));
                all.extend_from_slice(&data);
                note("body", told(&all));
            }
            Err(fault) => return broken(&fault, &note, begin),
        }
    }
    match body.trailers().await {
        Ok(Some(trailers)) => {
            let lines = trailers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            note("trailers", headers(lines));
        }
        Ok(None) => {}
        Err(fault) => return broken(&fault, &note, begin),
    }
    note("ended", true.into());
    note("ended_after", about(begin.elapsed()).into());
}

fn broken(fault: &h2::Error, note: &dyn Fn(&str, Value), begin: Instant) {
    if let Some(reason) = fault.reason().filter(|_| fault.is_remote()) {
        note("reset", format!("{reason:?}").into());
        note("ended_after", about(begin.elapsed()).into());
    }
}
