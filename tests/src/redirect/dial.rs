// SPDX-License-Identifier: Apache-2.0
//! Clients as children inside a cgroup: every way to connect, and many at once without a pause.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use kernel::monotonic;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::rig::{Field, Rig};
use crate::role::{self, Role};

const LIMIT: Duration = Duration::from_secs(60);
/// include/linux/socket.h
const MSG_FASTOPEN: i32 = 0x2000_0000;
const REQUEST: &str = "GET / HTTP/1.1\r\nhost: pod\r\n\r\n";
const HOLD: &str = "GET /hold HTTP/1.1\r\nhost: pod\r\n\r\n";

/// The way of a connect().
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// It waits.
    Blocking,
    /// EINPROGRESS, poll, SO_ERROR.
    NonBlocking,
    /// `sendto(MSG_FASTOPEN)` without connect().
    FastOpenSend,
    /// `TCP_FASTOPEN_CONNECT`: the SYN waits for the first write.
    FastOpenConnect,
}

/// One connection to be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Dial {
    /// The address to ask for.
    pub to: SocketAddr,
    /// IPv4 over an AF_INET6 socket, as `::ffff:a.b.c.d`.
    pub mapped: bool,
    /// How.
    pub how: How,
    /// SO_MARK.
    pub mark: u32,
}

impl Dial {
    /// A plain one.
    pub fn to(to: SocketAddr) -> Self {
        Self {
            to,
            mapped: false,
            how: How::Blocking,
            mark: 0,
        }
    }

    /// In another way.
    pub fn how(self, how: How) -> Self {
        Self { how, ..self }
    }

    /// Over an AF_INET6 socket.
    pub fn mapped(self) -> Self {
        Self { mapped: true, ..self }
    }

    /// With a mark.
    pub fn mark(self, mark: u32) -> Self {
        Self { mark, ..self }
    }

    fn address(&self) -> SocketAddr {
        match self.to.ip() {
            IpAddr::V4(ip) if self.mapped => (ip.to_ipv6_mapped(), self.to.port()).into(),
            ip => (ip, self.to.port()).into(),
        }
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialled {
    /// Who answered, or `error: …`.
    pub answer: String,
    /// What getpeername() said once it stood.
    pub peer: Option<SocketAddr>,
    /// Its own end.
    pub local: Option<SocketAddr>,
}

/// One connection of a storm.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Before connect() was called.
    pub began: u64,
    /// After it returned.
    pub connected: u64,
    /// Who answered, or `error: …`.
    pub answer: String,
}

#[derive(Serialize, Deserialize)]
enum Order {
    Dial(Dial, u32),
    Hold(Dial, u32),
    Release,
    Datagram(SocketAddr, bool),
    Storm(Vec<SocketAddr>, u32),
    Calm,
}

/// A client process.
pub struct Dialler(Role);

impl Dialler {
    /// Starts it inside a cgroup and the client's namespace.
    pub fn start(rig: &Rig, field: &Field, cgroup: &Path) -> Result<Self> {
        Role::start(rig, Some(cgroup), Some(&field.client), "dial", Value::Null).map(Self)
    }

    /// One connection, one request.
    pub fn dial(&self, dial: Dial) -> Result<Dialled> {
        self.dial_times(dial, 1)?.pop().ok_or_else(|| anyhow!("no answer"))
    }

    /// So many, one after the other.
    pub fn dial_times(&self, dial: Dial, times: u32) -> Result<Vec<Dialled>> {
        self.order(&Order::Dial(dial, times))
    }

    /// So many requests that stay without an answer until [`Dialler::release`].
    pub fn hold(&self, to: SocketAddr, times: u32) -> Result<()> {
        self.order(&Order::Hold(Dial::to(to), times))
    }

    /// Closes what is held.
    pub fn release(&self) -> Result<()> {
        self.order(&Order::Release)
    }

    /// One datagram and who answered it; over a connected socket or by `sendto`.
    pub fn datagram(&self, to: SocketAddr, connected: bool) -> Result<String> {
        self.order(&Order::Datagram(to, connected))
    }

    /// Connects without a pause on so many threads, each target in turn, until [`Dialler::calm`].
    pub fn storm(&self, to: &[SocketAddr], threads: u32) -> Result<()> {
        self.order(&Order::Storm(to.to_vec(), threads))
    }

    /// Ends the storm; every connection of it.
    pub fn calm(&self) -> Result<Vec<Attempt>> {
        self.order(&Order::Calm)
    }

    fn order<T: serde::de::DeserializeOwned>(&self, order: &Order) -> Result<T> {
        self.0.ask(&serde_json::to_string(order)?)
    }
}

/// The job `dial`.
pub fn job(_: Value) -> Result<()> {
    let mut held: Vec<Socket> = Vec::new();
    let mut storm = Storm::default();
    role::answer_questions(move |question| {
        Ok(match serde_json::from_str(question)? {
            Order::Dial(dial, times) => {
                let dialled: Vec<Dialled> = (0..times).map(|_| ask(&dial)).collect();
                serde_json::to_value(dialled)?
            }
            Order::Hold(dial, times) => {
                for _ in 0..times {
                    let (socket, sent) = connect(&dial, HOLD)?;
                    write(&socket, &HOLD.as_bytes()[sent..])?;
                    held.push(socket);
                }
                Value::Null
            }
            Order::Release => {
                held.clear();
                Value::Null
            }
            Order::Datagram(to, connected) => serde_json::to_value(datagram(to, connected)?)?,
            Order::Storm(to, threads) => {
                storm.rage(&to, threads);
                Value::Null
            }
            Order::Calm => serde_json::to_value(storm.calm()?)?,
        })
    })?;
    loop {
        std::thread::park();
    }
}

/// One request; what goes wrong is the answer.
fn ask(dial: &Dial) -> Dialled {
    let mut dialled = Dialled {
        answer: String::new(),
        peer: None,
        local: None,
    };
    let asked = connect(dial, REQUEST).and_then(|(socket, sent)| {
        write(&socket, &REQUEST.as_bytes()[sent..])?;
        let address = |address: std::io::Result<SockAddr>| address.ok().and_then(|address| address.as_socket());
        dialled.local = address(socket.local_addr());
        dialled.peer = address(socket.peer_addr());
        answer(socket)
    });
    dialled.answer = asked.unwrap_or_else(|error| format!("error: {error:#}"));
    dialled
}

/// A connected socket, and how many bytes of the request went with it.
fn connect(dial: &Dial, request: &str) -> Result<(Socket, usize)> {
    let address: SocketAddr = dial.address();
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_write_timeout(Some(LIMIT))?;
    if dial.mark != 0 {
        socket.set_mark(dial.mark)?;
    }
    let mut sent = 0;
    match dial.how {
        How::Blocking => socket.connect(&address.into())?,
        How::NonBlocking => connect_later(&socket, address)?,
        How::FastOpenSend => {
            sent = socket.send_to_with_flags(request.as_bytes(), &address.into(), MSG_FASTOPEN)?;
        }
        How::FastOpenConnect => {
            setsockopt(&socket.as_fd(), sockopt::TcpFastOpenConnect, &true)?;
            socket.connect(&address.into())?;
        }
    }
    Ok((socket, sent))
}

fn connect_later(socket: &Socket, address: SocketAddr) -> Result<()> {
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(nix::libc::EINPROGRESS) => {}
        Err(error) => return Err(error.into()),
        Ok(()) => bail!("the case itself: a non-blocking connect() stood at once"),
    }
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::try_from(LIMIT)?)?;
    if let Some(error) = socket.take_error()? {
        return Err(error.into());
    }
    Ok(socket.set_nonblocking(false)?)
}

fn write(mut socket: &Socket, bytes: &[u8]) -> Result<()> {
    Ok(std::io::Write::write_all(&mut socket, bytes)?)
}

/// The body of the answer: a name.
fn answer(mut socket: Socket) -> Result<String> {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (_, name) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| anyhow!("answered {text:?}"))?;
    Ok(name.to_owned())
}

fn datagram(to: SocketAddr, connected: bool) -> Result<String> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => [0; 4].into(),
        SocketAddr::V6(_) => [0_u16; 8].into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_read_timeout(Some(LIMIT))?;
    if connected {
        socket.connect(to)?;
        socket.send(b"who")?;
    } else {
        socket.send_to(b"who", to)?;
    }
    let mut name = [0; 64];
    let (size, from) = socket.recv_from(&mut name)?;
    if from != to {
        bail!("{from} answered for {to}");
    }
    Ok(String::from_utf8_lossy(&name[..size]).into_owned())
}

#[derive(Default)]
struct Storm {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Vec<Attempt>>>,
}

impl Storm {
    fn rage(&mut self, to: &[SocketAddr], threads: u32) {
        self.stop.store(false, Ordering::Relaxed);
        for thread in 0..threads as usize {
            let (stop, to) = (Arc::clone(&self.stop), to.to_vec());
            self.threads.push(std::thread::spawn(move || {
                let mut attempts = Vec::new();
                for target in to.iter().cycle().skip(thread) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    attempts.push(attempt(&Dial::to(*target)));
                }
                attempts
            }));
        }
    }

    fn calm(&mut self) -> Result<Vec<Attempt>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for thread in self.threads.drain(..) {
            all.extend(thread.join().map_err(|_| anyhow!("a thread of the storm panicked"))?);
        }
        Ok(all)
    }
}

fn attempt(dial: &Dial) -> Attempt {
    let began = monotonic();
    let connected = connect(dial, REQUEST);
    let after = monotonic();
    let asked = connected.and_then(|(socket, _)| {
        write(&socket, REQUEST.as_bytes())?;
        // No TIME_WAIT: thousands a second would run out of ports.
        socket.set_linger(Some(Duration::ZERO))?;
        answer(socket)
    });
    Attempt {
        began,
        connected: after,
        answer: asked.unwrap_or_else(|error| format!("error: {error:#}")),
    }
}
