// SPDX-License-Identifier: Apache-2.0
//! Real requests through a cgroup of our own: whether what is loaded counts them.
//!
//! Problem: programs that load and attach may still not see a packet; only a request shows that they do.
//! Mechanism: a cgroup below the cgroup root, `sluice sample` in it from its first socket on, one request over HTTP/1.1 and
//! one over HTTP/2 through the loopback, and then the counters: each must have started and ended once, and nothing be in
//! flight.
//! Invariants: whatever happens, the server and the cgroup go when [`Place`] is dropped; no wait is unbounded. Where the
//! test could not be made (no cgroup may be made, no loopback) the answer is unknown, not a failure of the kernel.
//! Depends on: `session`, kernel.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use kernel::{AttachError, Counts, Hooks, Kernel, Netns, PodId, PodKey, Settings, Tier};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long anything may take: starting the server, an answer, the end of a count.
const PATIENCE: Duration = Duration::from_secs(3);
const POD: PodId = PodId(0);
const PATH: &str = "/hello";

/// What came of it.
#[derive(Debug)]
pub(crate) enum Loopback {
    /// As many as were made.
    Exact { made: u64 },
    /// Requests went through and the counters say something else.
    Wrong { made: u64, why: String },
    /// The kernel did not let us attach, or what is attached does not run.
    NotAttached { why: String },
    /// The test could not be made.
    NotMade { why: String },
}

/// Makes the requests with what `kernel` has loaded.
pub(crate) fn run(kernel: &Kernel, settings: &Settings) -> Loopback {
    attempt(kernel, settings).unwrap_or_else(|other| other)
}

fn attempt(kernel: &Kernel, settings: &Settings) -> Result<Loopback, Loopback> {
    let mut place = Place::make(kernel.cgroup_root()).map_err(not_made("making a cgroup"))?;
    attach(kernel, &place.cgroup)?;
    let port = place
        .serve(&settings.proc_root)
        .map_err(not_made("starting a server in it"))?;
    let key = key(kernel, settings, port)?;
    kernel.track(key, POD, 0).map_err(|error| not_attached(&error))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    over_http1(address).map_err(not_made("a request over HTTP/1.1"))?;
    let first = settled(kernel, 1)?;
    over_http2(address).map_err(not_made("a request over HTTP/2"))?;
    let made = 2;
    let second = settled(kernel, made)?;
    let is_exact = is_count(&first, 1) && is_count(&second, made) && is_known(kernel, &second);
    Ok(if is_exact {
        Loopback::Exact { made }
    } else {
        let why = format!(
            "{} started, {} ended, {} in flight, {} not read as HTTP",
            second.core.started,
            second.core.ended,
            second.in_flight(),
            second.opaque
        );
        Loopback::Wrong { made, why }
    })
}

fn not_made(what: &'static str) -> impl FnOnce(io::Error) -> Loopback {
    move |error| Loopback::NotMade {
        why: format!("{what}: {error}"),
    }
}

fn not_attached(error: &dyn std::error::Error) -> Loopback {
    Loopback::NotAttached {
        why: crate::failure::chain(error),
    }
}

fn attach(kernel: &Kernel, cgroup: &Path) -> Result<(), Loopback> {
    let hooks = Hooks {
        account: true,
        redirect: false,
    };
    kernel.attach(cgroup, hooks).map_err(|error| match error {
        AttachError::Gone { .. } | AttachError::NotCgroup2 { .. } => Loopback::NotMade { why: error.to_string() },
        _ => not_attached(&error),
    })?;
    let found = kernel.verify().map_err(|error| not_attached(&error))?;
    if found.is_complete() {
        return Ok(());
    }
    let idle = found.links.iter().filter(|link| !link.is_effective);
    let words: Vec<&str> = idle.map(|link| link.hook.word()).collect();
    let why = format!("attached, but the cgroup does not run {}", words.join(", "));
    Err(Loopback::NotAttached { why })
}

/// The server is in our own network namespace.
fn key(kernel: &Kernel, settings: &Settings, port: u16) -> Result<PodKey, Loopback> {
    if !kernel.is_by_netns() {
        return Ok(PodKey {
            addr: kernel::words(Ipv4Addr::LOCALHOST.into()),
            port,
            ..PodKey::default()
        });
    }
    let netns = Netns::current(&settings.proc_root).and_then(|netns| netns.cookie());
    let netns = netns.map_err(|error| Loopback::NotMade {
        why: crate::failure::chain(&error),
    })?;
    Ok(PodKey {
        netns,
        port,
        ..PodKey::default()
    })
}

/// The counters once `ended` have ended, or as they are when patience is over: a closed connection ends a moment later.
fn settled(kernel: &Kernel, ended: u64) -> Result<Counts, Loopback> {
    let end = Instant::now() + PATIENCE;
    loop {
        let counts = kernel.counts(POD).map_err(|error| Loopback::Wrong {
            made: ended,
            why: crate::failure::chain(&error),
        })?;
        if counts.core.ended >= ended || Instant::now() >= end {
            return Ok(counts);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_count(counts: &Counts, made: u64) -> bool {
    (counts.core.started, counts.core.ended, counts.in_flight_raw()) == (made, made, 0)
}

/// Whether requests were read as such, where this tier reads them: not as connections that happen to be as many.
fn is_known(kernel: &Kernel, counts: &Counts) -> bool {
    *kernel.tier() != Tier::Exact || (counts.opaque, counts.http2, counts.uncertain) == (0, 1, 0)
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn over_http1(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    write!(
        stream,
        "GET {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    match answer.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(unexpected("the answer is not 200")),
    }
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One stream, without a library: the answer's content does not matter, only where it ends.
fn over_http2(address: SocketAddr) -> io::Result<()> {
    let mut stream = connect(address)?;
    stream.write_all(&http2_request())?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [high, middle, low, kind, flags, id @ ..] = head;
        let length = u64::from(u32::from_be_bytes([0, high, middle, low]));
        io::copy(&mut (&mut stream).take(length), &mut io::sink())?;
        // Of SETTINGS and PING the lowest flag means ACK; they have stream 0. DATA and HEADERS end ours.
        if u32::from_be_bytes(id) == 1 && kind <= HEADERS && flags & END_STREAM != 0 {
            return Ok(());
        }
    }
}

fn http2_request() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    // RFC 7541, static table: :method GET, :scheme http; :path and :authority with a value of their own.
    let mut fields = vec![0x82, 0x86];
    for (name, value) in [(4, PATH), (1, "localhost")] {
        fields.extend([name, value.len() as u8]);
        fields.extend(value.as_bytes());
    }
    bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields));
    bytes
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
    bytes.extend(payload);
    bytes
}

/// A cgroup with a server in it.
struct Place {
    cgroup: PathBuf,
    server: Option<Child>,
}

impl Place {
    fn make(root: &Path) -> io::Result<Self> {
        let cgroup = root.join(format!("sluice-check-{}", std::process::id()));
        fs::create_dir(&cgroup)?;
        Ok(Self { cgroup, server: None })
    }

    /// Starts `sluice sample` inside and waits for its port.
    fn serve(&mut self, proc_root: &Path) -> io::Result<u16> {
        let mut command = Command::new(proc_root.join("self/exe"));
        command
            .args(["sample", "--with-parent", "--port", "0", "--cgroup"])
            .arg(&self.cgroup)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let server = self.server.insert(command.spawn()?);
        let said = server.stdout.take().map(first_line).transpose()?.unwrap_or_default();
        let port = said
            .trim_end()
            .rsplit(':')
            .next()
            .and_then(|digits| digits.parse().ok());
        port.ok_or_else(|| unexpected(&complaint(server)))
    }
}

/// Within [`PATIENCE`].
fn first_line(output: ChildStdout) -> io::Result<String> {
    let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    if poll(&mut [PollFd::new(output.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut line = String::new();
    // Closing the pipe afterwards is no matter: the server writes this one line.
    BufReader::new(File::from(std::os::fd::OwnedFd::from(output))).read_line(&mut line)?;
    Ok(line)
}

/// What a server that has ended said about it.
fn complaint(server: &mut Child) -> String {
    let _ = server.kill();
    let mut said = String::new();
    if let Some(mut errors) = server.stderr.take() {
        let _ = errors.read_to_string(&mut said);
    }
    let first = said.lines().next().unwrap_or("it ended without a word");
    first.trim_start_matches("error: ").to_owned()
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
        // A process leaves its cgroup a moment after it was reaped.
        let end = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.cgroup).is_err() && self.cgroup.exists() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_request_over_http2_is_as_the_rfc_says() {
        let bytes = http2_request();
        let after = bytes.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        assert_eq!(after[..9], [0, 0, 0, 4, 0, 0, 0, 0, 0]);
        let head = &after[9..];
        assert_eq!(usize::from(head[2]), head.len() - 9);
        assert_eq!(head[3..9], [1, 5, 0, 0, 0, 1]);
        assert_eq!(&head[9..13], [0x82, 0x86, 4, 6]);
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error_and_not_a_request() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 512]);
            }
        });
        assert!(over_http1(address).is_err());
        assert!(over_http2(address).is_err());
        server.join().unwrap();
    }
}
