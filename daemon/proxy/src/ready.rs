// SPDX-License-Identifier: Apache-2.0
//! Whether an application is ready, by its own readiness probe (data-plane spec 4.9).
//!
//! Mechanism: TCP connect or HTTP GET; without a period every 50 ms until it passes or ten seconds are over.
//! Invariants: checks at the same time are one check.
//! Depends on: get, reader, limits.

use crate::get::get;
use crate::limits::Limits;
use crate::reader::Reader;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

/// Between two tries of a probe without a period.
const PAUSE: Duration = Duration::from_millis(50);
/// One such try.
const TRY: Duration = Duration::from_millis(100);
/// All of them.
const TRIES: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handler {
    /// A connection is taken: `host:port`.
    Tcp(String),
    /// A GET is answered with 200 to 399.
    Http {
        /// `host:port`.
        address: String,
        /// With its slash.
        path: String,
        /// Further headers.
        headers: Vec<(String, String)>,
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

/// The readiness of one application.
#[derive(Debug)]
pub struct Readiness {
    probe: Option<Probe>,
    passes: AtomicU32,
    /// When the last check ended, and how.
    last: Mutex<Option<(Instant, bool)>>,
}

impl Readiness {
    /// By this probe; without one it is always ready.
    #[must_use]
    pub fn new(probe: Option<Probe>) -> Self {
        Self {
            probe,
            passes: AtomicU32::new(0),
            last: Mutex::default(),
        }
    }

    /// Whether it is ready now.
    pub(crate) async fn check(&self) -> bool {
        let Some(probe) = &self.probe else {
            return true;
        };
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        // Somebody else's check began after we asked, or was under way: its result is ours.
        if let Some((ended, passed)) = *last
            && ended >= asked
        {
            return passed;
        }
        let passed = match probe.period.is_zero() {
            true => self.eager(probe).await,
            false => probe.handler.passes(probe.timeout).await,
        };
        *last = Some((Instant::now(), passed));
        passed
    }

    async fn eager(&self, probe: &Probe) -> bool {
        let end = Instant::now() + TRIES;
        loop {
            if probe.handler.passes(TRY).await {
                if self.passes.fetch_add(1, Relaxed) + 1 >= probe.success_threshold {
                    return true;
                }
            } else {
                self.passes.store(0, Relaxed);
            }
            if Instant::now() + PAUSE >= end {
                return false;
            }
            sleep(PAUSE).await;
        }
    }
}

impl Handler {
    async fn passes(&self, time: Duration) -> bool {
        match self {
            Self::Tcp(address) => matches!(timeout(time, TcpStream::connect(address)).await, Ok(Ok(_))),
            Self::Http { address, path, headers } => {
                let got = timeout(time, http_get(address, path, headers)).await;
                matches!(got, Ok(Ok(200..400)))
            }
        }
    }
}

async fn http_get(address: &str, path: &str, headers: &[(String, String)]) -> std::io::Result<u16> {
    let (reader, mut writer) = TcpStream::connect(address).await?.into_split();
    let further: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let path = path.trim_start_matches('/');
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-probe//\r\nConnection: close\r\n\
         Accept-Encoding: gzip\r\n{further}\r\n"
    );
    let got = get(&request, &mut Reader::new(reader), &mut writer, &Limits::default()).await?;
    Ok(got.status)
}
