// SPDX-License-Identifier: Apache-2.0
//! Calls over plain sockets: requests to services, questions to the API, watches with the time of each event.
//!
//! Depends on: nothing of ours.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

pub(super) const SERVICES: &str = "/apis/serving.knative.dev/v1/namespaces/default/services";
pub(super) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(super) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// Nothing takes longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is used again.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(super) fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Status and body; the answer must have a length.
    pub(super) fn ask(&mut self, method: &str, host: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
        let request = format!("{head}Content-Length: {length}\r\n\r\n{body}");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let lower = line.trim().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((
            status.context("no status")?,
            String::from_utf8_lossy(&body).into_owned(),
        ))
    }
}

/// One request on a connection of its own; how long from its first byte to the answer's last.
pub(super) fn timed(gateway: SocketAddr, host: &str, path: &str) -> Result<Duration> {
    let begun = Instant::now();
    let (status, body) = get(gateway, host, path)?;
    ensure!(status == 200, "{host}{path}: {status} {body}");
    Ok(begun.elapsed())
}

/// Status and body.
pub(super) fn get(to: SocketAddr, host: &str, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .with_context(|| format!("{host}{path}"))?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    Ok((status.context("no status")?, body.to_owned()))
}

/// The objects of a list.
pub(super) fn list(api: SocketAddr, path: &str) -> Result<Vec<Value>> {
    let (status, body) = get(api, "api", path)?;
    ensure!(status == 200, "{path}: {status} {body}");
    let list: Value = serde_json::from_str(&body)?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

/// Whether the object's condition `Ready` is True.
pub(super) fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// Objects as they change, with when that was told; it ends with the receiver or the API.
pub(super) fn watch(api: SocketAddr, path: &str) -> Result<Receiver<(Instant, Value)>> {
    let mut stream = TcpStream::connect(api)?;
    // Lines are found in the bytes: the frames of the transfer coding hold whole events.
    write!(stream, "GET {path}?watch=1 HTTP/1.1\r\nHost: api\r\n\r\n")?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        // Who tells the time does not wait for a CPU behind those whose time it tells. Of this thread alone (setpriority(2)).
        // Refused, it waits like others.
        let _ = rustix::process::setpriority_process(None, -20);
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let at = Instant::now();
            if let Ok(event) = serde_json::from_str::<Value>(&line)
                && event["object"].is_object()
                && send.send((at, event)).is_err()
            {
                return;
            }
        }
    });
    Ok(receive)
}

/// When an object was first told of that is as wanted; what does not come in time is an error.
pub(super) fn first(
    events: &Receiver<(Instant, Value)>,
    what: &str,
    mut is_wanted: impl FnMut(&Value) -> bool,
) -> Result<Instant> {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let (at, event) = events
            .recv_timeout(left)
            .with_context(|| format!("waiting for {what}"))?;
        if is_wanted(&event["object"]) {
            return Ok(at);
        }
    }
}
