// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 between h2's own client and server, recorded, with what h2 holds to be in flight after every step.
//!
//! Mechanism: both ends sit on pipes and are run until neither has anything to say; then the client's number of
//! active streams (h2 counts them, nobody here does) is the truth at that point of both byte streams. [`Session::replay`]
//! gives the same bytes to the machine.

use crate::machine::Connection;
use crate::network::Dialogue;
use crate::pipe::{Pipe, Task};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use std::cell::RefCell;
use std::rc::Rc;

struct Point {
    pieces: usize,
    started: u64,
    in_flight: u64,
}

/// A stream as the server has it.
pub struct Served {
    pub request: Request<RecvStream>,
    pub response: SendResponse<Bytes>,
}

/// A stream as the client has it.
pub struct Asked {
    /// Held, since h2 resets a stream whose handles are gone.
    _response: ResponseFuture,
    pub body: SendStream<Bytes>,
}

type Shutdown = Rc<RefCell<Option<bool>>>;

pub struct Session {
    sender: SendRequest<Bytes>,
    client: (Pipe, Task<()>),
    server: (Pipe, Task<()>),
    served: Rc<RefCell<Vec<Served>>>,
    shutdown: Shutdown,
    opened: u64,
    /// True = of the client.
    pieces: Vec<(bool, Vec<u8>)>,
    points: Vec<Point>,
}

async fn serve(pipe: Pipe, most: u32, served: Rc<RefCell<Vec<Served>>>, shutdown: Shutdown) {
    let Ok(mut connection) = h2::server::Builder::new()
        .max_concurrent_streams(most)
        .handshake::<_, Bytes>(pipe)
        .await
    else {
        return;
    };
    std::future::poll_fn(|context| {
        match shutdown.borrow_mut().take() {
            Some(true) => connection.graceful_shutdown(),
            Some(false) => connection.abrupt_shutdown(h2::Reason::INTERNAL_ERROR),
            None => {}
        }
        loop {
            match connection.poll_accept(context) {
                std::task::Poll::Ready(Some(Ok((request, response)))) => {
                    served.borrow_mut().push(Served { request, response })
                }
                std::task::Poll::Ready(_) => return std::task::Poll::Ready(()),
                // Polled again at every settling: the script's doings wake nobody.
                std::task::Poll::Pending => return std::task::Poll::Pending,
            }
        }
    })
    .await;
}

impl Session {
    pub fn new() -> Self {
        Self::with_streams(1000)
    }

    /// The server allows this many streams at once.
    pub fn with_streams(most: u32) -> Self {
        let (client, server) = (Pipe::default(), Pipe::default());
        let served = Rc::new(RefCell::new(Vec::new()));
        let shutdown = Shutdown::default();
        let mut handshake = Task::new(
            h2::client::Builder::new()
                .initial_max_send_streams(1000)
                .max_concurrent_reset_streams(0)
                .handshake(client.clone()),
        );
        assert!(handshake.run());
        let (sender, connection) = handshake.output().unwrap().unwrap();
        let client_task = Task::new(async move {
            let _ = connection.await;
        });
        let server_task = Task::new(serve(server.clone(), most, served.clone(), shutdown.clone()));
        let mut session = Self {
            sender,
            client: (client, client_task),
            server: (server, server_task),
            served,
            shutdown,
            opened: 0,
            pieces: Vec::new(),
            points: Vec::new(),
        };
        session.settle();
        session
    }

    /// Lets both ends talk until they have nothing to say, and notes what is in flight then.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            self.client.1.run();
            let said = self.client.0.take();
            self.server.0.feed(&said);
            self.server.1.run();
            let answered = self.server.0.take();
            self.client.0.feed(&answered);
            let silent = said.is_empty() && answered.is_empty();
            for (is_client, piece) in [(true, said), (false, answered)] {
                if !piece.is_empty() {
                    self.pieces.push((is_client, piece));
                }
            }
            if silent {
                let in_flight = self.sender.num_active_streams() as u64;
                self.points.push(Point {
                    pieces: self.pieces.len(),
                    started: self.opened,
                    in_flight,
                });
                return;
            }
        }
        panic!("a session that never rests");
    }

    /// Sends a request's head; `end`: it has no body.
    pub fn ask(&mut self, end: bool) -> Asked {
        self.ask_with(HeaderMap::new(), end)
    }

    pub fn ask_with(&mut self, fields: HeaderMap, end: bool) -> Asked {
        let mut request = Request::builder().method("POST").uri("http://a/").body(()).unwrap();
        *request.headers_mut() = fields;
        let (response, body) = self.sender.send_request(request, end).unwrap();
        self.opened += 1;
        Asked {
            _response: response,
            body,
        }
    }

    /// The oldest stream the server has not been given yet.
    pub fn take_served(&mut self) -> Served {
        self.settle();
        self.served.borrow_mut().remove(0)
    }

    pub fn waiting(&self) -> usize {
        self.served.borrow().len()
    }

    /// A GOAWAY, graceful in two steps or at once.
    pub fn shut(&mut self, graceful: bool) {
        *self.shutdown.borrow_mut() = Some(graceful);
        self.settle();
    }

    pub fn dialogue(&self) -> Dialogue {
        let mut dialogue = Dialogue::new();
        for (is_client, piece) in &self.pieces {
            dialogue = if *is_client {
                dialogue.client(piece)
            } else {
                dialogue.server(piece)
            };
        }
        dialogue.only_at_rest = true;
        dialogue
    }

    /// How many streams began, and are in flight at the end.
    pub fn at_rest(&self) -> (u64, u64) {
        let last = self.points.last().unwrap();
        (last.started, last.in_flight)
    }

    /// Gives the same bytes to the machine in segments of `size` bytes.
    pub fn replay(&self, size: usize) -> Connection {
        let mut connection = Connection::established();
        let (mut client, mut server) = (0, 0);
        let mut pieces = self.pieces.iter();
        let mut given = 0;
        for point in &self.points {
            for (is_client, piece) in pieces.by_ref().take(point.pieces - given) {
                for segment in piece.chunks(size) {
                    if *is_client {
                        connection.client(client, segment);
                        client += segment.len();
                        connection.stack_has(client);
                    } else {
                        connection.server(server, segment, false);
                        server += segment.len();
                    }
                }
            }
            given = point.pieces;
            if !connection.is_uncertain() {
                let seen = (connection.host.started, connection.in_flight());
                assert_eq!(
                    seen,
                    (point.started, point.in_flight),
                    "segments of {size} bytes, after {client} and {server} bytes"
                );
            }
        }
        connection
    }

    /// Replays in segments of every size worth it; nothing may be uncertain.
    pub fn assert_exact(&self) {
        for size in (1..12).chain([16, 17, 33, 64, 100, 1000, 60_000]) {
            let mut connection = self.replay(size);
            assert!(
                !connection.is_uncertain(),
                "uncertain without loss: {:?}",
                connection.host.events
            );
            connection.assert_closed();
        }
    }
}

pub fn ok() -> Response<()> {
    Response::builder().status(200).body(()).unwrap()
}

pub fn trailers() -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", HeaderValue::from_static("0"));
    fields
}
