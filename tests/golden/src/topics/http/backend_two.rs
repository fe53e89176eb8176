// SPDX-License-Identifier: Apache-2.0
//! A pod's side of an HTTP/2 connection.
//!
//! Depends on: pod, words.

use super::bytes::{bytes, told};
use super::pod::Pod;
use super::words::{about, headers};
use ::bytes::Bytes;
use anyhow::{Context as _, Result};
use h2::{Reason, RecvStream};
use life::Tasks;
use serde_json::{Value, json};
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// Follows the scripts of all streams.
pub(super) async fn connection(
    pod: Arc<Pod>,
    stream: TcpStream,
    read: Vec<u8>,
    number: u64,
    tasks: Tasks,
) -> Result<()> {
    let (from, to) = stream.into_split();
    // What was read before comes first.
    let stream = tokio::io::join(Cursor::new(read).chain(from), to);
    let mut connection = h2::server::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 20)
        .handshake::<_, Bytes>(stream)
        .await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        let pod = Arc::clone(&pod);
        tasks.spawn("pod's stream", async move {
            drop(one(&pod, request, respond, number).await)
        });
    }
    Ok(())
}

async fn one(
    pod: &Pod,
    request: http::Request<RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    number: u64,
) -> Result<()> {
    let arrived = Instant::now();
    let (head, mut body) = request.into_parts();
    let place = pod.put(number, entry(&head));
    let plain = json!({"h2_headers": [[":status", "200"]], "end": true});
    let script = pod.next_script(plain);
    if script.first().is_none_or(|step| step["read"] != "head") {
        read_body(pod, place, &mut body).await?;
    }
    let mut out = None;
    for step in &script {
        if let Some(wait) = step["delay_ms"].as_u64() {
            sleep(Duration::from_millis(wait)).await;
        }
        let ends = step["end"] == true;
        if step["read_body"] == true {
            read_body(pod, place, &mut body).await?;
        }
        if step["h2_headers"].is_array() {
            out = Some(respond.send_response(response(&step["h2_headers"])?, ends)?);
        }
        if !step["h2_data"].is_null() {
            out.as_mut()
                .context("data before headers")?
                .send_data(bytes(&step["h2_data"]).into(), ends)?;
        }
        if step["h2_trailers"].is_array() {
            out.as_mut()
                .context("trailers before headers")?
                .send_trailers(fields(&step["h2_trailers"])?)?;
        }
        if step["h2_rst"].is_string() {
            match &mut out {
                Some(out) => out.send_reset(Reason::INTERNAL_ERROR),
                None => respond.send_reset(Reason::INTERNAL_ERROR),
            }
        }
        if step["wait_close"] == true {
            let reason = match &mut out {
                Some(out) => std::future::poll_fn(|context| out.poll_reset(context)).await,
                None => std::future::poll_fn(|context| respond.poll_reset(context)).await,
            };
            pod.note(place, |entry| {
                if let Ok(reason) = reason {
                    entry.insert("proxy_reset_stream".to_owned(), format!("{reason:?}").into());
                    entry.insert("proxy_reset_stream_after".to_owned(), about(arrived.elapsed()).into());
                }
            });
        }
    }
    // Kept until the client is done with it.
    drop(
        std::future::poll_fn(|context| match &mut out {
            Some(out) => out.poll_reset(context),
            None => respond.poll_reset(context),
        })
        .await,
    );
    Ok(())
}

/// The head as the data tell it.
fn entry(head: &http::request::Parts) -> Value {
    let pseudo = [
        (":authority", head.uri.authority().map(ToString::to_string)),
        (":method", Some(head.method.to_string())),
        (":path", head.uri.path_and_query().map(ToString::to_string)),
        (":scheme", head.uri.scheme_str().map(ToOwned::to_owned)),
    ];
    let pseudo = pseudo
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_ref()?.as_bytes())));
    let rest = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()));
    json!({"protocol": "h2c", "headers": headers(pseudo.chain(rest))})
}

/// The head of a response.
fn response(lines: &Value) -> Result<http::Response<()>> {
    let mut response = http::Response::new(());
    for (name, value) in pairs(lines) {
        if name == ":status" {
            *response.status_mut() = http::StatusCode::from_bytes(&value)?;
        } else {
            let name = http::HeaderName::try_from(name)?;
            response
                .headers_mut()
                .append(name, http::HeaderValue::from_bytes(&value)?);
        }
    }
    Ok(response)
}

async fn read_body(pod: &Pod, place: usize, body: &mut RecvStream) -> Result<()> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?;
    pod.note(place, |entry| {
        entry.insert("end_stream".to_owned(), true.into());
        if !all.is_empty() {
            entry.insert("body".to_owned(), told(&all));
        }
        if let Some(trailers) = trailers {
            let told = headers(trailers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
            entry.insert("trailers".to_owned(), told);
        }
    });
    Ok(())
}

/// Names and values.
pub(super) fn pairs(value: &Value) -> Vec<(String, Vec<u8>)> {
    let lines = value.as_array().cloned().unwrap_or_default();
    let pair = |line: &Value| (line[0].as_str().unwrap_or_default().to_owned(), bytes(&line[1]));
    lines.iter().map(pair).collect()
}

/// The same as a map.
pub(super) fn fields(value: &Value) -> Result<http::HeaderMap> {
    let mut map = http::HeaderMap::new();
    for (name, value) in pairs(value) {
        map.append(
            http::HeaderName::try_from(name)?,
            http::HeaderValue::from_bytes(&value)?,
        );
    }
    Ok(map)
}
