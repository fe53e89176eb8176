// SPDX-License-Identifier: Apache-2.0
//! A client whose number of requests is known.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;

/// One keep-alive connection.
pub(crate) struct Client {
    stream: TcpStream,
}

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    pub(crate) fn ask(&mut self, path: &str) {
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }

    /// The answers of `/hello` and `/sleep`.
    pub(crate) fn answer(&mut self) {
        let mut bytes = Vec::new();
        let mut block = [0; 1024];
        while !bytes.ends_with(b"\r\n\r\nhello\n") {
            let length = self.stream.read(&mut block).unwrap();
            assert_ne!(length, 0, "the server closed");
            bytes.extend_from_slice(&block[..length]);
        }
    }

    pub(crate) fn get(&mut self) {
        self.ask("/hello");
        self.answer();
    }
}

/// `requests` requests on each of `connections` connections.
pub(crate) fn load(port: u16, connections: u64, requests: u64) -> u64 {
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut client = Client::connect(port);
                (0..requests).for_each(|_| client.get());
            });
        }
    });
    connections * requests
}

/// `streams` requests at once on one HTTP/2 connection, in the background.
pub(crate) fn h2_load(port: u16, streams: usize, path: &'static str) -> JoinHandle<()> {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(h2_requests(port, streams, path));
    })
}

async fn h2_requests(port: u16, streams: usize, path: &str) {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut requests = JoinSet::new();
    for _ in 0..streams {
        let mut sender = sender.clone();
        let request = Request::get(format!("http://x{path}"))
            .body(Empty::<Bytes>::new())
            .unwrap();
        requests.spawn(async move {
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await.unwrap();
        });
    }
    requests.join_all().await;
}
