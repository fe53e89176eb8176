// SPDX-License-Identifier: Apache-2.0
//! Clients of a gateway that ask again and again, and remember what went wrong and when.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::Result;
use tests::rig::Netns;

/// Who waits longer for an answer is starved.
const PATIENCE: Duration = Duration::from_secs(40);

/// A request that came to no good end.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    pub(crate) why: String,
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    pub(crate) failures: Vec<Failure>,
}

/// What a client does.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    Plain,
    /// Goes at any moment.
    Leaves,
    /// Bodies both ways, of which each waits for the other.
    Stream,
    /// What follows the heads is no HTTP.
    Upgrade,
}

impl Shape {
    pub(crate) const ALL: &[Self] = &[Self::Plain, Self::Leaves, Self::Stream, Self::Upgrade];

    fn head(self, host: &str) -> String {
        match self {
            Self::Plain | Self::Leaves => format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"),
            Self::Stream => {
                format!("POST /stream HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            }
            Self::Upgrade => {
                format!("GET /upgrade HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
            }
        }
    }
}

/// Asks until told to stop.
pub(crate) fn ask(netns: &Netns, gateway: SocketAddr, host: &str, stop: &AtomicBool) -> Result<Tally> {
    ask_in(&[Shape::Plain], netns, gateway, host, stop)
}

/// Asks in these shapes, by turns, until told to stop.
pub(crate) fn ask_in(
    shapes: &[Shape],
    netns: &Netns,
    gateway: SocketAddr,
    host: &str,
    stop: &AtomicBool,
) -> Result<Tally> {
    netns.enter(|| {
        let mut tally = Tally::default();
        let mut connection = None;
        for shape in shapes.iter().cycle().skip(fastrand::usize(..shapes.len())) {
            if stop.load(SeqCst) {
                break;
            }
            let begun = Instant::now();
            match once(*shape, &mut connection, gateway, host) {
                Ok(200) => tally.answered += 1,
                other => {
                    connection = None;
                    let why = other.map_or_else(|error| error.to_string(), |status| status.to_string());
                    let ended = Instant::now();
                    tally.failures.push(Failure { begun, ended, why });
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        tally
    })
}

fn once(shape: Shape, connection: &mut Option<TcpStream>, gateway: SocketAddr, host: &str) -> std::io::Result<u16> {
    let mut stream = match connection.take() {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(gateway)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream
        }
    };
    stream.write_all(shape.head(host).as_bytes())?;
    let pause = || std::thread::sleep(Duration::from_micros(fastrand::u64(..4000)));
    let mut said = Vec::new();
    let status = match shape {
        // Ours ends so; any other answer ends the connection here.
        Shape::Plain => until(&mut stream, &mut said, b"\r\n\r\nok\n")?,
        Shape::Leaves => {
            pause();
            return Ok(200);
        }
        Shape::Stream => match until(&mut stream, &mut said, b"5\r\nhello\r\n")? {
            200 => {
                pause();
                stream.write_all(b"0\r\n\r\n")?;
                until(&mut stream, &mut said, b"0\r\n\r\n")?
            }
            status => status,
        },
        Shape::Upgrade => match until(&mut stream, &mut said, b"\r\n\r\n")? {
            101 => {
                pause();
                stream.write_all(b"word")?;
                until(&mut stream, &mut said, b"word")?;
                return Ok(200);
            }
            status => status,
        },
    };
    *connection = Some(stream);
    Ok(status)
}

/// Reads until it ends so, or until it is another status than is due.
fn until(stream: &mut TcpStream, said: &mut Vec<u8>, end: &[u8]) -> std::io::Result<u16> {
    let mut bytes = [0; 4096];
    loop {
        let status = said
            .get(9..12)
            .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        if let Some(status) = status.filter(|status| said.ends_with(end) || ![101, 200].contains(status)) {
            return Ok(status);
        }
        match stream.read(&mut bytes) {
            Ok(length @ 1..) => said.extend_from_slice(&bytes[..length]),
            // After a head nothing can be said but by an end.
            _ if !said.is_empty() => return Err(std::io::Error::other("cut")),
            Ok(_) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Err(error) => return Err(error),
        }
    }
}
