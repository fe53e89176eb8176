// SPDX-License-Identifier: Apache-2.0
//! Pods that fail at any moment of a request, until they are told to be calm.
//!
//! Mechanism: what a pod does to a request follows from the request's number and from how often it was seen. A calm pod
//! answers nobody before so many ask at once: whoever lost a slot on the way waits for ever.
//! Depends on: pods.

use crate::pods;
use bytes::Bytes;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::time::sleep;

/// What all pods of a test have seen and are told.
pub(super) struct Site {
    /// How often each request was seen, by its method and target.
    seen: Mutex<HashMap<String, usize>>,
    is_calm: AtomicBool,
    /// Who must be there at once when all is calm.
    all: Barrier,
}

impl Site {
    pub(super) fn new(at_once: usize) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            is_calm: AtomicBool::new(false),
            all: Barrier::new(at_once),
        })
    }

    pub(super) fn calm(&self) {
        self.is_calm.store(true, Relaxed);
    }

    /// Those that were seen more often than once, of this method.
    pub(super) fn repeated(&self, method: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let repeated = seen
            .iter()
            .filter(|(line, count)| line.starts_with(method) && **count > 1);
        repeated.map(|(line, count)| format!("{line}: {count}")).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// What becomes of this request.
    async fn fate(&self, line: &str) -> Fate {
        if self.is_calm.load(Relaxed) {
            self.all.wait().await;
            return Fate::Answer;
        }
        let times = {
            let mut seen = self.seen.lock().unwrap();
            let times = seen.entry(line.to_owned()).or_default();
            *times += 1;
            *times
        };
        let number = line.bytes().fold(times as u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        sleep(Duration::from_micros(number % 3000)).await;
        match number % 16 {
            0 => Fate::Silence,
            1 => Fate::HalfHead,
            2 => Fate::HalfBody,
            3 => Fate::HalfChunks,
            4 => Fate::AnswerAndEnd,
            5 => Fate::AnswerTwice,
            6 => Fate::Refuse,
            _ => Fate::Answer,
        }
    }
}

/// What a pod does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answer,
    /// The connection ends.
    Silence,
    HalfHead,
    HalfBody,
    HalfChunks,
    /// The connection ends afterwards, and nothing said so.
    AnswerAndEnd,
    /// The second answer is nobody's.
    AnswerTwice,
    /// By HTTP/2: not looked at. By HTTP/1.1 it is silence.
    Refuse,
}

/// What is due to a request.
pub(super) fn due(line: &str) -> String {
    line.repeat(1 + line.len() * 7 % 200)
}

/// A pod of HTTP/1.1.
pub(super) async fn one(site: &Arc<Site>) -> SocketAddr {
    let site = Arc::clone(site);
    pods::listen(move |stream| {
        let site = Arc::clone(&site);
        async move { drop(connection(BufReader::new(stream), &site).await) }
    })
    .await
}

async fn connection(mut stream: BufReader<TcpStream>, site: &Site) -> std::io::Result<()> {
    loop {
        let (mut line, mut length) = (String::new(), 0);
        loop {
            let mut field = String::new();
            if stream.read_line(&mut field).await? == 0 {
                return Ok(());
            }
            if line.is_empty() {
                line = field.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
            } else if let Some(said) = field.to_ascii_lowercase().strip_prefix("content-length:") {
                length = said.trim().parse().unwrap();
            } else if field == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let body = due(&line);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let (answer, half) = (format!("{head}{body}"), &body[..body.len() / 2]);
        let fate = site.fate(&line).await;
        let said = match fate {
            Fate::Answer | Fate::AnswerAndEnd => answer,
            Fate::AnswerTwice => format!("{answer}HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nnobody's"),
            Fate::HalfHead => head[..head.len() / 2].to_owned(),
            Fate::HalfBody => format!("{head}{half}"),
            Fate::HalfChunks => {
                let chunk = half.len();
                format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk:x}\r\n{half}\r\n")
            }
            Fate::Silence | Fate::Refuse => String::new(),
        };
        stream.write_all(said.as_bytes()).await?;
        if !matches!(fate, Fate::Answer | Fate::AnswerTwice) {
            return Ok(());
        }
    }
}

/// A pod of HTTP/2; whole connections end, too, with all that is on them.
pub(super) async fn two(site: &Arc<Site>) -> SocketAddr {
    let site = Arc::clone(site);
    pods::listen(move |stream| {
        let site = Arc::clone(&site);
        async move {
            let mut server = h2::server::Builder::new();
            server.max_pending_accept_reset_streams(100_000);
            let Ok(mut connection) = server.handshake::<_, Bytes>(stream).await else {
                return;
            };
            let (ends, mut end) = tokio::sync::mpsc::channel(1);
            loop {
                let (request, respond) = tokio::select! {
                    accepted = connection.accept() => match accepted {
                        Some(Ok(accepted)) => accepted,
                        _ => return,
                    },
                    _ = end.recv() => return,
                };
                let (site, ends) = (Arc::clone(&site), ends.clone());
                tokio::spawn(async move { drop(stream_of(request, respond, &site, &ends).await) });
            }
        }
    })
    .await
}

async fn stream_of(
    request: hyper::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    site: &Site,
    ends: &tokio::sync::mpsc::Sender<()>,
) -> Result<(), h2::Error> {
    let (head, mut from) = request.into_parts();
    while let Some(data) = from.data().await {
        from.flow_control().release_capacity(data?.len())?;
    }
    let line = format!("{} {}", head.method, head.uri.path());
    let fate = site.fate(&line).await;
    let body = due(&line);
    let mut answer = hyper::Response::new(());
    let length = body.len().into();
    answer.headers_mut().insert(hyper::header::CONTENT_LENGTH, length);
    match fate {
        Fate::Answer | Fate::AnswerTwice | Fate::AnswerAndEnd => {
            let mut out = respond.send_response(answer, false)?;
            out.send_data(body.into(), true)?;
        }
        Fate::HalfBody | Fate::HalfChunks => {
            let mut out = respond.send_response(answer, false)?;
            out.send_data(body[..body.len() / 2].to_owned().into(), false)?;
            sleep(Duration::from_millis(1)).await;
            out.send_reset(h2::Reason::INTERNAL_ERROR);
        }
        Fate::Refuse | Fate::HalfHead => respond.send_reset(h2::Reason::INTERNAL_ERROR),
        Fate::Silence => drop(ends.send(()).await),
    }
    Ok(())
}
