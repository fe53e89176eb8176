// SPDX-License-Identifier: Apache-2.0
//! hyper's HTTP/1 server and client, fed byte by byte: who nobody here wrote says where messages begin and end.
//!
//! Mechanism: [`Server`] answers every request by itself once its body is read, so that a pipeline moves on; the
//! moments of its service calls are the heads. [`Client`] sends the requests the server saw and is fed the bytes of
//! the dialogue's server; the moments its bodies end are the ends.

use crate::pipe::{Pipe, Task};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

/// What hyper's server understood.
#[derive(Clone, Debug, Default)]
pub struct Understood {
    /// Methods, in order of the service calls.
    pub methods: Vec<Method>,
    /// Targets, likewise.
    pub targets: Vec<String>,
    /// Request bodies read to their end.
    pub bodies: usize,
    /// Request bodies that broke.
    pub broken: usize,
}

/// hyper's HTTP/1 server.
pub struct Server {
    pipe: Pipe,
    task: Task<hyper::Result<()>>,
    log: Rc<RefCell<Understood>>,
}

async fn answer(request: Request<Incoming>, log: Rc<RefCell<Understood>>) -> Result<Response<Full<Bytes>>, Infallible> {
    log.borrow_mut().methods.push(request.method().clone());
    log.borrow_mut().targets.push(request.uri().to_string());
    let upgrade = request.headers().contains_key("upgrade");
    let path = request.uri().path().to_owned();
    let read = request.into_body().collect().await.is_ok();
    if read {
        log.borrow_mut().bodies += 1;
    } else {
        log.borrow_mut().broken += 1;
    }
    let mut response = Response::new(Full::new(Bytes::from_static(b"hello")));
    if upgrade {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("upgrade", "test".parse().unwrap());
        response.headers_mut().insert("connection", "upgrade".parse().unwrap());
        *response.body_mut() = Full::default();
    } else if path.starts_with("/204") {
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.body_mut() = Full::default();
    } else if let Some(size) = path.strip_prefix("/n/") {
        *response.body_mut() = Full::new(Bytes::from(vec![b'G'; size.parse().unwrap_or(0)]));
    }
    Ok(response)
}

impl Server {
    pub fn new() -> Self {
        let pipe = Pipe::default();
        let log = Rc::new(RefCell::new(Understood::default()));
        let shared = log.clone();
        let service = service_fn(move |request| answer(request, shared.clone()));
        let connection = hyper::server::conn::http1::Builder::new()
            .max_buf_size(4 << 20)
            .half_close(true)
            .serve_connection(pipe.clone(), service)
            .with_upgrades();
        let mut task = Task::new(connection);
        task.run();
        Self { pipe, task, log }
    }

    /// Reads bytes of the client; what it answers.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pipe.feed(bytes);
        self.task.run();
        self.pipe.take()
    }

    pub fn understood(&self) -> Understood {
        self.log.borrow().clone()
    }

    /// The connection is over for it.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished() || self.pipe.is_shut()
    }
}

/// Offsets at which hyper calls its service, and what it understood in all.
pub fn heads(client: &[u8]) -> (Vec<usize>, Understood) {
    let mut server = Server::new();
    let mut heads = Vec::new();
    for (i, byte) in client.iter().enumerate() {
        if server.is_finished() {
            break;
        }
        server.feed(&[*byte]);
        while heads.len() < server.log.borrow().methods.len() {
            heads.push(i + 1);
        }
    }
    (heads, server.understood())
}

/// How hyper's client saw a response end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the byte before this offset.
    At(usize),
    /// With the connection.
    Close,
    /// It is no response hyper takes.
    Broken,
}

struct Exchange {
    task: Task<Result<bool, hyper::Error>>,
}

fn send(sender: &mut SendRequest<Empty<Bytes>>, method: &Method) -> Exchange {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = method.clone();
    *request.uri_mut() = if *method == Method::CONNECT {
        "a:80".parse().unwrap()
    } else {
        "/".parse().unwrap()
    };
    let connect = *method == Method::CONNECT;
    let response = sender.send_request(request);
    let task = Task::new(async move {
        let response = response.await?;
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS || (connect && status.is_success()) {
            return Ok(true);
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame?;
        }
        Ok(false)
    });
    Exchange { task }
}

/// How hyper's client sees `server` answer requests of these methods.
pub fn ends(server: &[u8], methods: &[Method]) -> Vec<End> {
    let pipe = Pipe::default();
    let shake = hyper::client::conn::http1::Builder::new()
        .max_buf_size(4 << 20)
        .handshake::<_, Empty<Bytes>>(pipe.clone());
    let mut shake = Task::new(shake);
    assert!(shake.run());
    let (mut sender, connection) = shake.output().unwrap().unwrap();
    let mut connection = Task::new(connection.with_upgrades());
    let mut ends = Vec::new();
    let mut at = 0;
    for method in methods {
        connection.run();
        let mut exchange = send(&mut sender, method);
        let mut finished = exchange.task.run();
        connection.run();
        while !finished && at < server.len() {
            pipe.feed(&server[at..=at]);
            at += 1;
            for _ in 0..3 {
                connection.run();
                finished = exchange.task.run();
            }
        }
        let mut end = End::At(at);
        if !finished {
            pipe.end();
            for _ in 0..3 {
                connection.run();
                finished = exchange.task.run();
            }
            assert!(finished, "a client that outlives its connection");
            end = End::Close;
        }
        match exchange.task.output() {
            Some(Ok(false)) => ends.push(end),
            Some(Ok(true)) => ends.push(End::Close),
            _ => ends.push(End::Broken),
        }
        if ends.last() != Some(&end) || end == End::Close {
            break;
        }
    }
    ends
}
