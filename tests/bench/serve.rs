// SPDX-License-Identifier: Apache-2.0
//! The measured server: hyper on one thread, pinned to one CPU.
//!
//! Depends on: hyper, cpu.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as Listener};
use std::pin::Pin;
use std::task::{Context, Poll};

use ::tests::role;
use anyhow::Result;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::cpu;

/// HTTP/1.1, counted when counting.
pub(crate) const HTTP1: u16 = tests::rig::POD_PORT;
/// HTTP/1.1, never tracked.
pub(crate) const UNTRACKED: u16 = HTTP1 + 1;
/// HTTP/2 with prior knowledge, counted when counting.
pub(crate) const HTTP2: u16 = HTTP1 + 2;
/// Stands for the gateway: says `g` and closes.
pub(crate) const GATEWAY: u16 = HTTP1 + 3;
/// Stands for a pod: says `p` and closes.
pub(crate) const POD: u16 = HTTP1 + 4;

/// Where connections wait unaccepted until the question `drain`: no connect() wakes anybody up.
pub(crate) const SILENT: u16 = HTTP1 + 5;

const MEGABYTE: usize = 1 << 20;
const CHUNK: usize = 1 << 10;
/// Chunks of an answer to `/chunks`.
pub(crate) const CHUNKS: usize = 100;

/// The job `bench-serve`.
pub(crate) fn serve(_: Value) -> Result<()> {
    cpu::pin(cpu::server_cpu())?;
    speak(GATEWAY, b"g")?;
    speak(POD, b"p")?;
    let silent = listen_silently()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let [first, untracked, second] = [listen(HTTP1)?, listen(UNTRACKED)?, listen(HTTP2)?];
        role::answer_questions(move |_| Ok(Value::from(drain(&silent))))?;
        loop {
            tokio::select! {
                Ok((stream, _)) = first.accept() => { tokio::spawn(talk1(stream)); }
                Ok((stream, _)) = untracked.accept() => { tokio::spawn(talk1(stream)); }
                Ok((stream, _)) = second.accept() => { tokio::spawn(talk2(stream)); }
            }
        }
    })
}

/// Nobody accepts there unless asked to.
fn listen_silently() -> Result<Listener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, SILENT)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts all that wait, and how many they were.
fn drain(listener: &Listener) -> u64 {
    std::iter::from_fn(|| listener.accept().ok()).count() as u64
}

/// With room for all connections of a load tool at once.
fn listen(port: u16) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::UNSPECIFIED, port).into())?;
    Ok(socket.listen(1024)?)
}

/// Accepts, says one letter and closes.
fn speak(port: u16, letter: &'static [u8]) -> Result<()> {
    let listener = Listener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    std::thread::Builder::new().name("listener".into()).spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A client that has what it wanted resets.
            let _ = stream.write_all(letter);
        }
    })?;
    Ok(())
}

async fn talk1(stream: TcpStream) {
    // A load tool that ends resets its connections.
    let _ = stream.set_nodelay(true);
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn talk2(stream: TcpStream) {
    // As above.
    let _ = stream.set_nodelay(true);
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .await;
}

async fn answer(mut request: hyper::Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    if request.uri().path() == "/sink" {
        // A body that breaks off: nobody reads the answer.
        while let Some(Ok(_)) = request.body_mut().frame().await {}
    }
    Ok(Response::new(match request.uri().path() {
        "/large" => Answer::new(MEGABYTE, 64 << 10, true),
        "/chunks" => Answer::new(CHUNKS * CHUNK, CHUNK, false),
        _ => Answer::new(13, 13, true),
    }))
}

/// A body in pieces of one size.
struct Answer {
    left: usize,
    piece: usize,
    is_length_known: bool,
}

impl Answer {
    fn new(left: usize, piece: usize, is_length_known: bool) -> Self {
        Self {
            left,
            piece,
            is_length_known,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static LETTERS: [u8; 64 << 10] = [b'x'; 64 << 10];
        let size = self.left.min(self.piece).min(LETTERS.len());
        if size == 0 {
            return Poll::Ready(None);
        }
        self.left -= size;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&LETTERS[..size])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_length_known {
            SizeHint::with_exact(self.left as u64)
        } else {
            SizeHint::default()
        }
    }
}
