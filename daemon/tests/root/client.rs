// SPDX-License-Identifier: Apache-2.0
//! A client whose number of requests is known.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
};

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
