// SPDX-License-Identifier: Apache-2.0
//! A client whose number of requests is known.

use std::{
    convert::Infallible,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{Request, body::Frame, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{sync::watch, task::JoinSet};

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

    /// A request that lasts until its client says its last byte, by `end`.
    pub(crate) fn begin(&mut self) {
        let head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6";
        write!(self.stream, "{head}\r\n\r\nhello").unwrap();
    }

    pub(crate) fn end(&mut self) {
        self.stream.write_all(b"\n").unwrap();
        self.answer();
    }

    /// The answer of `/hello`, and what is echoed.
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

/// Requests at once on one HTTP/2 connection, which last until they are to `end`.
pub(crate) struct Streams {
    over: watch::Sender<bool>,
    asking: JoinHandle<()>,
}

impl Streams {
    pub(crate) fn begin(port: u16, streams: usize) -> Self {
        let (over, is_over) = watch::channel(false);
        let asking = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(echoed(port, streams, &is_over));
        });
        Self { over, asking }
    }

    pub(crate) fn end(self) {
        self.over.send_replace(true);
        self.asking.join().unwrap();
    }
}

async fn echoed(port: u16, streams: usize, is_over: &watch::Receiver<bool>) {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut requests = JoinSet::new();
    for _ in 0..streams {
        let (mut sender, mut is_over) = (sender.clone(), is_over.clone());
        let last = futures::stream::once(async move {
            let _ = is_over.wait_for(|is_over| *is_over).await;
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"hi")))
        });
        let request = Request::post("http://x/echo").body(StreamBody::new(Box::pin(last)));
        requests.spawn(async move {
            let answer = sender.send_request(request.unwrap()).await.unwrap();
            assert_eq!(answer.status(), 200);
            let body = answer.into_body().collect().await.unwrap();
            assert_eq!(body.to_bytes(), "hi");
        });
    }
    requests.join_all().await;
}
