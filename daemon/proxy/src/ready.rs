// SPDX-License-Identifier: Apache-2.0
//! Whether an application is ready, by its own readiness probes (data-plane spec 4.9).
//!
//! Mechanism: TCP connect, HTTP GET, gRPC health check; without a period every 50 ms until it passes or ten seconds are over.
//! A pod of several containers may have several probes: they run at once, and all must pass.
//! Invariants: checks at the same time are one check.
//! Depends on: get, grpc, reader, limits, target, tls, together.

mod grpc;

use crate::get::get;
use crate::limits::Limits;
use crate::reader::Reader;
use crate::target::visible;
use crate::tls;
use crate::together::join;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// Between two tries of a probe without a period.
const PAUSE: Duration = Duration::from_millis(50);
/// One such try.
const TRY: Duration = Duration::from_millis(100);
/// All of them.
const TRIES: Duration = Duration::from_secs(10);

/// What is asked. An address is `host:port`; `:port` is a port of the pod that is asked (`Probe::of`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handler {
    /// A connection is taken.
    Tcp(String),
    /// A GET is answered with 200 to 399.
    Http {
        /// By TLS; whoever answers is believed, as kubelet does.
        is_tls: bool,
        /// Whom.
        address: String,
        /// With its slash.
        path: String,
        /// Further headers; a `Host` stands for the address.
        headers: Vec<(String, String)>,
    },
    /// `grpc.health.v1.Health/Check` is answered with SERVING.
    Grpc {
        /// Whom.
        address: String,
        /// Which of its services; empty: all of it.
        service: String,
    },
}

/// A readiness probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub handler: Handler,
    /// Zero: tried until it passes.
    pub period: Duration,
    /// Of one try, where there is a period.
    pub timeout: Duration,
    /// Passes in a row that make it ready.
    pub success_threshold: u32,
}

impl Probe {
    /// The probe of the pod with this address.
    #[must_use]
    pub fn of(mut self, pod: IpAddr) -> Self {
        let (Handler::Tcp(address) | Handler::Http { address, .. } | Handler::Grpc { address, .. }) = &mut self.handler;
        if let Some(Ok(port)) = address.strip_prefix(':').map(str::parse) {
            *address = SocketAddr::new(pod, port).to_string();
        }
        self
    }

    /// The time of one try.
    fn patience(&self) -> Duration {
        match self.period.is_zero() {
            true => TRY,
            false => self.timeout,
        }
    }
}

/// The readiness of one application.
#[derive(Debug)]
pub struct Readiness {
    asked: Vec<Asked>,
    /// When the last check ended, and how.
    last: Mutex<Option<(Instant, bool)>>,
}

#[derive(Debug)]
struct Asked {
    probe: Probe,
    passes: AtomicU32,
}

impl Readiness {
    /// By these probes; without any it is always ready.
    #[must_use]
    pub fn new(probes: impl IntoIterator<Item = Probe>) -> Self {
        let asked = probes.into_iter().map(|probe| Asked {
            probe,
            passes: AtomicU32::new(0),
        });
        Self {
            asked: asked.collect(),
            last: Mutex::default(),
        }
    }

    /// Whether it is ready now.
    pub async fn check(&self) -> bool {
        if self.asked.is_empty() {
            return true;
        }
        let begun = Instant::now();
        let mut last = self.last.lock().await;
        // Somebody else's check began after we asked, or was under way: its result is ours.
        if let Some((ended, passed)) = *last
            && ended >= begun
        {
            return passed;
        }
        let passed = join(self.asked.iter().map(Asked::check))
            .await
            .into_iter()
            .all(|passed| passed);
        *last = Some((Instant::now(), passed));
        passed
    }

    /// Whether one more try of each makes it ready.
    pub(crate) async fn try_once(&self) -> bool {
        join(self.asked.iter().map(Asked::once))
            .await
            .into_iter()
            .all(|passed| passed)
    }
}

impl Asked {
    async fn check(&self) -> bool {
        match self.probe.period.is_zero() {
            true => self.eager().await,
            false => self.probe.handler.passes(self.probe.timeout).await,
        }
    }

    async fn eager(&self) -> bool {
        let end = Instant::now() + TRIES;
        loop {
            if self.once().await {
                return true;
            }
            if Instant::now() + PAUSE >= end {
                return false;
            }
            sleep(PAUSE).await;
        }
    }

    async fn once(&self) -> bool {
        if self.probe.handler.passes(self.probe.patience()).await {
            return self.passes.fetch_add(1, Relaxed) + 1 >= self.probe.success_threshold;
        }
        self.passes.store(0, Relaxed);
        false
    }
}

impl Handler {
    async fn passes(&self, time: Duration) -> bool {
        match self {
            Self::Tcp(address) => matches!(timeout(time, TcpStream::connect(address)).await, Ok(Ok(_))),
            Self::Http { .. } => matches!(timeout(time, self.http_get()).await, Ok(Ok(200..400))),
            Self::Grpc { address, service } => {
                matches!(timeout(time, grpc::is_serving(address, service)).await, Ok(Ok(true)))
            }
        }
    }

    async fn http_get(&self) -> io::Result<u16> {
        let Self::Http {
            is_tls,
            address,
            path,
            headers,
        } = self
        else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let text = request(address, path, headers);
        match is_tls {
            true => {
                let (reader, writer) = tokio::io::split(tls::connect_unverified(address).await?);
                status(&text, reader, writer).await
            }
            false => {
                let (reader, writer) = TcpStream::connect(address).await?.into_split();
                status(&text, reader, writer).await
            }
        }
    }
}

fn request(address: &str, path: &str, headers: &[(String, String)]) -> String {
    // What the probe says itself stands for ours, as with kubelet.
    let said = |name: &str, ours| {
        let found = headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map_or(ours, |(_, value)| value.as_str())
    };
    let (host, agent) = (said("host", address), said("user-agent", "kube-probe//"));
    let is_said = |name: &str| {
        ["host", "user-agent"]
            .iter()
            .any(|said| name.eq_ignore_ascii_case(said))
    };
    let further: String = headers
        .iter()
        .filter(|(name, _)| !is_said(name))
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let path = visible(path.trim_start_matches('/'));
    format!(
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nConnection: close\r\n\
         Accept-Encoding: gzip\r\n{further}\r\n"
    )
}

async fn status<R, W>(request: &str, reader: R, mut writer: W) -> io::Result<u16>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let got = get(request, &mut Reader::new(reader), &mut writer, &Limits::default()).await?;
    Ok(got.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(path: &str, headers: &[(&str, &str)]) -> String {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers: Vec<_> = headers.iter().map(owned).collect();
        request("10.0.0.1:80", path, &headers)
    }

    #[test]
    fn what_a_probe_says_itself_is_said_once() {
        let plain = head("//a?b=c", &[]);
        assert!(plain.starts_with("GET /a?b=c HTTP/1.1\r\nHost: 10.0.0.1:80\r\nUser-Agent: kube-probe//\r\n"));
        let own = head("a", &[("user-agent", "me"), ("HOST", "h"), ("X-A", "1")]);
        assert!(
            own.starts_with("GET /a HTTP/1.1\r\nHost: h\r\nUser-Agent: me\r\n"),
            "{own}"
        );
        assert!(
            own.ends_with("\r\nX-A: 1\r\n\r\n") && own.matches("Host").count() == 1,
            "{own}"
        );
    }

    #[test]
    fn a_path_makes_one_request_line_whatever_is_in_it() {
        assert!(head("/a b\r\nX: \u{e9}", &[]).starts_with("GET /a%20b%0D%0AX:%20%C3%A9 HTTP/1.1\r\n"));
        assert!(head("/a%20b", &[]).starts_with("GET /a%20b HTTP/1.1\r\n"));
    }
}
