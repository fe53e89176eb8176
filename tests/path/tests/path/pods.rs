// SPDX-License-Identifier: Apache-2.0
//! Pods that record what they saw, read by three readers: a strict one of ours, hyper's and Python's.
//!
//! Mechanism: each request that was read to its end is one line `METHOD TARGET BODY-IN-HEX`; the answer repeats method, target
//! and body. What the strict reader does not understand to the letter is a line that begins with `BROKEN`.
//! Depends on: program; python3.

use crate::program::{self, Pod};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a pod saw.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// As a pod writes it down.
pub(crate) fn line(method: &str, target: &str, body: &[u8]) -> String {
    let hex: String = body.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{method} {target} {hex}").trim_end().to_owned()
}

fn said(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    [format!("{method} {target}\n").as_bytes(), body].concat()
}

/// Its own process; ends with the test.
pub(crate) struct Python {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    _process: Pod,
}

pub(crate) fn python() -> Python {
    let mut process = Pod::start("python3", &[&program::script("pod.py")]);
    let lines = process.lines.take().unwrap();
    let seen = Seen::default();
    let into = seen.clone();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            into.add(line.trim_end().to_owned());
        }
    });
    Python {
        address: process.address,
        seen,
        _process: process,
    }
}

/// Does this with every connection.
pub(crate) async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// hyper's server.
pub(crate) async fn hyper() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let into = seen.clone();
    let address = listen(move |stream| {
        let service = hyper::service::service_fn(answering(into.clone()));
        async move {
            let server = hyper::server::conn::http1::Builder::new();
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        }
    })
    .await;
    (address, seen)
}

/// hyper's server of HTTP/2.
pub(crate) async fn hyper_two() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let into = seen.clone();
    (listen(move |stream| two(stream, into.clone())).await, seen)
}

/// One connection of that.
pub(crate) async fn two(stream: TcpStream, seen: Seen) {
    let service = hyper::service::service_fn(answering(seen));
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // By itself it ends a connection, with all that others have on it, after 20 requests that were given up at once.
    server.max_pending_accept_reset_streams(100_000);
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

type Answer = hyper::Result<hyper::Response<Full<Bytes>>>;

fn answering(seen: Seen) -> impl Fn(hyper::Request<Incoming>) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    move |request| {
        let seen = seen.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let (method, target) = (head.method.as_str(), head.uri.path_and_query().unwrap().as_str());
            seen.add(line(method, target, &body));
            let answer = Full::new(Bytes::from(said(method, target, &body)));
            Ok(hyper::Response::new(answer))
        })
    }
}

/// Takes nothing but what RFC 9112 calls for, letter by letter.
pub(crate) async fn strict() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let into = seen.clone();
    let address = listen(move |stream| {
        let seen = into.clone();
        async move {
            let mut stream = tokio::io::BufReader::new(stream);
            loop {
                match strictly(&mut stream).await {
                    Ok((method, target, body)) => {
                        seen.add(line(&method, &target, &body));
                        let mut said = said(&method, &target, &body);
                        let mut head =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", said.len()).into_bytes();
                        if method != "HEAD" {
                            head.append(&mut said);
                        }
                        if stream.write_all(&head).await.is_err() {
                            return;
                        }
                    }
                    Err(fault) if fault.kind() == io::ErrorKind::InvalidData => {
                        return seen.add(format!("BROKEN {fault}"));
                    }
                    Err(_) => return,
                }
            }
        }
    })
    .await;
    (address, seen)
}

fn broken(what: &str, bytes: &[u8]) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {}", bytes.escape_ascii()))
}

type Stream = tokio::io::BufReader<TcpStream>;

/// Up to CRLF; a connection that ends within is no fault.
async fn strict_line(stream: &mut Stream) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    if !line.ends_with(b"\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = line.strip_suffix(b"\r\n").ok_or_else(|| broken("bare LF", &line))?;
    if text.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 127) {
        return Err(broken("control character", &line));
    }
    String::from_utf8(text.to_vec()).map_err(|_| broken("not ASCII", &line))
}

async fn strict_fields(stream: &mut Stream) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = strict_line(stream).await?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(": ").ok_or_else(|| broken("field", line.as_bytes()))?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) || value.trim() != value {
            return Err(broken("field", line.as_bytes()));
        }
        fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
}

async fn strictly(stream: &mut Stream) -> io::Result<(String, String, Vec<u8>)> {
    let line = strict_line(stream).await?;
    let words: Vec<_> = line.split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else {
        return Err(broken("request line", line.as_bytes()));
    };
    let fields = strict_fields(stream).await?;
    let all = |name: &str| {
        fields
            .iter()
            .filter(|field| field.0 == name)
            .map(|field| field.1.as_str())
            .collect::<Vec<_>>()
    };
    if all("host").len() != 1 {
        return Err(broken("Host", format!("{fields:?}").as_bytes()));
    }
    let body = match (&all("transfer-encoding")[..], &all("content-length")[..]) {
        ([], []) => Vec::new(),
        ([], [length]) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length = length.parse().map_err(|_| broken("length", length.as_bytes()))?;
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            body
        }
        (["chunked"], []) => strict_chunks(stream).await?,
        _ => return Err(broken("framing", format!("{fields:?}").as_bytes())),
    };
    Ok((method.to_owned(), target.to_owned(), body))
}

async fn strict_chunks(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = strict_line(stream).await?;
        if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(broken("chunk size", line.as_bytes()));
        }
        let size = usize::from_str_radix(&line, 16).map_err(|_| broken("chunk size", line.as_bytes()))?;
        if size == 0 {
            let trailers = strict_fields(stream).await?;
            let forbidden = ["host", "content-length", "transfer-encoding", "trailer"];
            return match trailers.iter().find(|field| forbidden.contains(&field.0.as_str())) {
                Some(field) => Err(broken("trailer", field.0.as_bytes())),
                None => Ok(body),
            };
        }
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).await?;
        let data = chunk
            .strip_suffix(b"\r\n")
            .ok_or_else(|| broken("end of chunk", &chunk))?;
        body.extend_from_slice(data);
    }
}
