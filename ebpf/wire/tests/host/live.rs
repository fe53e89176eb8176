// SPDX-License-Identifier: Apache-2.0
//! The machine and hyper's server on the very same bytes of a client, hyper's answers being the server's bytes.
//!
//! Invariants checked after every segment: what is in flight is what hyper has been given and not answered, or the
//! connection is flagged. Depends on: machine, oracle.

use crate::machine::Connection;
use crate::network::Cut;
use crate::oracle::{Server, Understood};
use wire::Note;

/// A machine and hyper's server on the same bytes.
pub struct Live {
    pub connection: Connection,
    server: Server,
    client: usize,
    answered: Vec<u8>,
    finished: bool,
}

impl Live {
    pub fn new() -> Self {
        Self {
            connection: Connection::established(),
            server: Server::new(),
            client: 0,
            answered: Vec::new(),
            finished: false,
        }
    }

    pub fn feed(&mut self, piece: &[u8]) {
        self.connection.client(self.client, piece);
        self.client += piece.len();
        self.connection.stack_has(self.client);
        if self.finished {
            return;
        }
        let answer = self.server.feed(piece);
        self.finished = self.server.is_finished();
        self.connection.server(self.answered.len(), &answer, self.finished);
        self.answered.extend(answer);
        self.compare();
    }

    /// Probes are answered by hyper and not counted.
    fn is_comparable(&self) -> bool {
        !self.connection.is_uncertain() && !self.connection.has(Note::Probe)
    }

    /// Requests in flight are those hyper reads the body of; all others it has answered.
    fn compare(&self) {
        let Understood {
            methods,
            bodies,
            broken,
            ..
        } = self.server.understood();
        // What is no HTTP is one until close; hyper refuses it a little later.
        let opaque = usize::from(self.connection.has(Note::Opaque));
        let open = if self.finished {
            0
        } else {
            (methods.len() - bodies - broken).max(opaque)
        };
        if self.is_comparable() {
            assert_eq!(
                self.connection.in_flight(),
                open as u64,
                "silently wrong; answers: {}",
                String::from_utf8_lossy(&self.answered)
            );
        }
    }
}

/// Feeds `bytes`, checks every moment, closes; how often hyper called its service.
pub fn check(bytes: &[u8], cut: Cut) -> (usize, bool) {
    let mut live = Live::new();
    let size = match cut {
        Cut::Every(size) => size,
        _ => bytes.len().max(1),
    };
    for piece in bytes.chunks(size) {
        live.feed(piece);
    }
    let calls = live.server.understood().methods.len() as u64;
    let finished = live.finished;
    live.connection.assert_closed();
    let started = live.connection.host.started;
    if live.is_comparable() {
        // What hyper refuses, and what comes behind it, ends with the connection and without a call.
        let over = finished || live.connection.has(Note::Opaque);
        assert!(
            started == calls || (over && started > calls),
            "{started} started, hyper called {calls}"
        );
    }
    (calls as usize, live.connection.is_uncertain())
}
