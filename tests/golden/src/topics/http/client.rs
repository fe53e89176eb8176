// SPDX-License-Identifier: Apache-2.0
//! A client that follows its steps byte by byte, and puts down what it got and when.
//!
//! Depends on: words.

use super::bytes::{bytes, told};
use super::words::{self, Body, Head, about};
use anyhow::Result;
use life::Tasks;
use serde_json::{Map, Value, json};
use socket2::SockRef;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// What has come so far.
#[derive(Clone, Default)]
struct Got {
    raw: Vec<u8>,
    first: Option<Duration>,
    last: Option<Duration>,
    end: Option<(&'static str, Duration)>,
}

/// Follows the steps.
pub(super) async fn play(spec: &Value, address: SocketAddr, tasks: &Tasks) -> Result<Value> {
    let begin = Instant::now();
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let (sender, got) = watch::channel(Got::default());
    tasks.spawn("client's reader", read(reader, sender, begin));
    let methods: Vec<String> = match &spec["methods"] {
        Value::Array(methods) => methods
            .iter()
            .filter_map(|method| Some(method.as_str()?.to_owned()))
            .collect(),
        _ => Vec::new(),
    };
    let wanted = usize::try_from(spec["responses"].as_u64().unwrap_or(1))?;
    let most = Duration::from_millis(spec["max_ms"].as_u64().unwrap_or(8000));
    let has_closed = Arc::new(Mutex::new(None));
    let steps = steps(spec, writer, got.clone(), &methods, Arc::clone(&has_closed));
    let enough = wait_for(got.clone(), |got| parse(got, &methods).complete >= wanted);
    let writer = {
        let both = async {
            let (writer, ()) = tokio::join!(steps, enough);
            writer
        };
        timeout(most, both).await.ok()
    };
    let closed = has_closed.lock().unwrap_or_else(PoisonError::into_inner).take();
    if closed.is_none() {
        let linger = Duration::from_millis(spec["linger_ms"].as_u64().unwrap_or(400));
        drop(timeout(linger, wait_for(got.clone(), |got| got.end.is_some())).await);
    } else {
        sleep(Duration::from_millis(50)).await;
    }
    let got = got.borrow().clone();
    let mut seen = told_of(&got, &methods);
    if closed.is_some() {
        seen.remove("first_byte");
        seen.remove("last_byte");
    }
    let end = closed.or(got.end.map(|(end, _)| end)).unwrap_or("kept");
    seen.insert("connection".to_owned(), end.into());
    if spec["time_close"] == true
        && let Some((_, at)) = got.end
    {
        seen.insert("closed_after".to_owned(), about(at).into());
    }
    drop(writer);
    Ok(Value::Object(seen))
}

async fn read(mut reader: OwnedReadHalf, sender: watch::Sender<Got>, begin: Instant) {
    let mut piece = vec![0; 256 << 10];
    loop {
        let read = reader.read(&mut piece).await;
        let now = begin.elapsed();
        match read {
            Ok(0) => return sender.send_modify(|got| got.end = Some(("closed", now))),
            Ok(count) => sender.send_modify(|got| {
                got.raw.extend_from_slice(piece.get(..count).unwrap_or_default());
                got.first = got.first.or(Some(now));
                got.last = Some(now);
            }),
            Err(_) => return sender.send_modify(|got| got.end = Some(("reset", now))),
        }
    }
}

/// Waits until it holds, or nothing more can come.
async fn wait_for(mut got: watch::Receiver<Got>, holds: impl Fn(&Got) -> bool) {
    drop(got.wait_for(|got| got.end.is_some() || holds(got)).await);
}

async fn steps(
    spec: &Value,
    writer: OwnedWriteHalf,
    got: watch::Receiver<Got>,
    methods: &[String],
    has_closed: Arc<Mutex<Option<&'static str>>>,
) -> Option<OwnedWriteHalf> {
    let mut writer = writer;
    for step in spec["steps"].as_array().into_iter().flatten() {
        if let Some(wait) = step["delay_ms"].as_u64() {
            sleep(Duration::from_millis(wait)).await;
        }
        if let Some(count) = step["wait_responses"].as_u64() {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            wait_for(got.clone(), |got| parse(got, methods).complete >= count).await;
        }
        if step["wait_informational"] == true {
            wait_for(got.clone(), |got| Head::read(&got.raw).is_some()).await;
        }
        if !step["send"].is_null() {
            drop(writer.write_all(&bytes(&step["send"])).await);
        }
        if step["half_close"] == true {
            drop(writer.shutdown().await);
        }
        if step["reset"] == true {
            drop(SockRef::from(writer.as_ref()).set_linger(Some(Duration::ZERO)));
        }
        if step["close"] == true || step["reset"] == true {
            *has_closed.lock().unwrap_or_else(PoisonError::into_inner) = Some("closed by client");
            // Both halves: the reader's is woken by it and ends.
            drop(SockRef::from(writer.as_ref()).shutdown(std::net::Shutdown::Both));
            return None;
        }
    }
    Some(writer)
}

/// Responses as far as they have come.
struct Parsed {
    complete: usize,
    told: Vec<Value>,
}

fn told_of(got: &Got, methods: &[String]) -> Map<String, Value> {
    let mut seen = Map::new();
    let parsed = parse(got, methods);
    if !parsed.told.is_empty() {
        seen.insert("first_byte".to_owned(), got.first.map(about).into());
        seen.insert("last_byte".to_owned(), got.last.map(about).into());
    }
    seen.insert("responses".to_owned(), parsed.told.into());
    seen
}

fn parse(got: &Got, methods: &[String]) -> Parsed {
    let mut parsed = Parsed {
        complete: 0,
        told: Vec::new(),
    };
    let mut rest = got.raw.as_slice();
    let mut informational = Vec::new();
    while let Some(head) = Head::read(rest) {
        let status: u16 = head
            .first
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        rest = rest.get(head.length..).unwrap_or_default();
        if (100..200).contains(&status) && status != 101 {
            informational.push(json!({"status": status, "headers": head.told()}));
            continue;
        }
        let mut response = Map::new();
        response.insert("status".to_owned(), status.into());
        response.insert("status_line".to_owned(), head.first.as_str().into());
        response.insert("headers".to_owned(), head.told());
        if !informational.is_empty() {
            response.insert("informational".to_owned(), std::mem::take(&mut informational).into());
        }
        if status == 101 {
            response.insert("upgraded_data".to_owned(), told(rest));
            response.insert("complete".to_owned(), true.into());
            rest = &[];
            parsed.complete += 1;
        } else {
            let is_head = methods.get(parsed.told.len()).is_some_and(|method| method == "HEAD");
            let framing = match words::framing(&head) {
                _ if is_head || matches!(status, 204 | 304) => "none",
                "none" => "until-close",
                other => other,
            };
            let body: Body = words::body(framing, &head, rest, got.end.is_some());
            words::put_body(&mut response, framing, &body);
            response.insert("complete".to_owned(), body.is_complete.into());
            parsed.complete += usize::from(body.is_complete);
            rest = rest.get(body.length..).unwrap_or_default();
            if !body.is_complete {
                rest = &[];
            }
        }
        parsed.told.push(Value::Object(response));
    }
    parsed
}
