// SPDX-License-Identifier: Apache-2.0
//! Clients of a gateway that ask again and again, and remember what went wrong and when.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::Result;
use tests::rig::Netns;

/// Who waits longer for an answer is starved.
const PATIENCE: Duration = Duration::from_secs(15);

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

/// Asks until told to stop.
pub(crate) fn ask(netns: &Netns, gateway: SocketAddr, host: &str, stop: &AtomicBool) -> Result<Tally> {
    netns.enter(|| {
        let mut tally = Tally::default();
        let mut connection = None;
        while !stop.load(SeqCst) {
            let begun = Instant::now();
            match once(&mut connection, gateway, host) {
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

fn once(connection: &mut Option<TcpStream>, gateway: SocketAddr, host: &str) -> std::io::Result<u16> {
    let stream = match connection {
        Some(stream) => stream,
        none => {
            let stream = TcpStream::connect(gateway)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            none.insert(stream)
        }
    };
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())?;
    let (mut head, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut bytes)?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&bytes[..length]);
        // Ours ends so; any other answer ends the connection here.
        if head.ends_with(b"\r\n\r\nok\n") {
            return Ok(200);
        }
        let status = head
            .get(9..12)
            .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        if let Some(status) = status.filter(|status| *status != 200) {
            return Ok(status);
        }
    }
}
