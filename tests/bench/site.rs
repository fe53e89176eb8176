// SPDX-License-Identifier: Apache-2.0
//! The ground of the bench: client and pod joined by one veth, the server in the pod's cgroup, the load tools.
//!
//! Mechanism: server on the last CPU, load tool on the first; programs attach to the pod's cgroup and go again with
//! [`Site::uncount`].
//! Depends on: the harness, kernel, wrk, h2load.

use std::path::PathBuf;

use ::tests::counter;
use ::tests::rig::{Field, Kept, Rig};
use ::tests::role::Role;
use anyhow::{Context, Result, bail};
use kernel::{Hooks, Kernel, PodId, Settings};
use serde_json::Value;

use crate::serve;

/// Seconds after which a load tool is killed (it inherits the blocked SIGTERM) and the bench fails.
const LIMIT: u32 = 30;

/// The counted pod.
pub(crate) const POD: PodId = counter::POD;

/// Everything that a measurement needs; undone when dropped.
pub(crate) struct Site<'r> {
    /// What it stands on.
    pub(crate) rig: &'r Rig,
    /// Loaded; attached only while [`Site::count`]ing.
    pub(crate) kernel: Kernel,
    /// Namespaces and the pod's cgroup.
    pub(crate) field: Field,
    /// Where the kernel side is pinned.
    pub(crate) pins: PathBuf,
    server: Role,
    _pins: Kept,
}

/// What a load tool is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) protocol: Protocol,
    pub(crate) connections: u32,
    pub(crate) path: &'static str,
    /// A request head of 1 kB in 14 fields.
    pub(crate) long_head: bool,
}

/// How a load tool talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Keep-alive, one request after the other.
    Http1,
    /// A connection a request.
    Closing,
    /// To the port that nobody tracks.
    Untracked,
    /// HTTP/2, so many streams at once a connection.
    Http2 { streams: u32 },
}

/// What a load tool says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) per_second: f64,
}

impl Load {
    /// HTTP/1.1, small answers, short heads.
    pub(crate) const fn small(connections: u32) -> Self {
        Self {
            protocol: Protocol::Http1,
            connections,
            path: "small",
            long_head: false,
        }
    }
}

impl<'r> Site<'r> {
    /// Makes the ground, starts the server, loads the programs.
    pub(crate) fn new(rig: &'r Rig) -> Result<Self> {
        let field = rig.unsteered_field("bench")?;
        join_directly(&field)?;
        let server = Role::start(
            rig,
            Some(field.cgroup.path()),
            Some(&field.pod),
            "bench-serve",
            Value::Null,
        )?;
        let (pins, kept) = rig.pins();
        let kernel = Kernel::open(Settings::at(&pins)).context("loading")?;
        for port in [serve::HTTP1, serve::HTTP2] {
            kernel.track(counter::key_of(&field, port)?, POD, 0)?;
        }
        Ok(Self {
            rig,
            kernel,
            field,
            pins,
            server,
            _pins: kept,
        })
    }

    /// Attaches the counting programs.
    pub(crate) fn count(&self) -> Result<()> {
        let hooks = Hooks {
            account: true,
            redirect: false,
        };
        Ok(self.kernel.attach(self.field.cgroup.path(), hooks)?)
    }

    /// Detaches everything.
    pub(crate) fn uncount(&self) -> Result<()> {
        Ok(self.kernel.detach(self.field.cgroup.path())?)
    }

    /// Requests counted so far.
    pub(crate) fn started(&self) -> Result<u64> {
        Ok(self.kernel.counts(POD)?.core.started)
    }

    /// Accepts what waits at the silent port; how many connections that were.
    pub(crate) fn drain(&self) -> Result<u64> {
        self.server.ask("drain")
    }

    /// Connections counted so far.
    pub(crate) fn connections(&self) -> Result<u64> {
        Ok(self.kernel.counts(POD)?.connections)
    }

    /// Loads the server for `seconds` from the client's namespace.
    pub(crate) fn run(&self, load: &Load, seconds: u32) -> Result<Outcome> {
        let arguments = arguments(load, &self.field.pod_address(false).ip().to_string(), seconds);
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = self.field.client.tool("taskset", &words, "")?;
        let outcome = match load.protocol {
            Protocol::Http2 { .. } => h2load_says(&said),
            _ => wrk_says(&said),
        };
        outcome.with_context(|| format!("{}:\n{said}", arguments.join(" ")))
    }
}

/// One veth instead of the router's two: the router would be paid for in every request and hide what is measured.
fn join_directly(field: &Field) -> Result<()> {
    let pod = field.pod.name();
    field.router.ip("link del r0\nlink del r1\n")?;
    field.client.ip(&format!(
        "link add c0 type veth peer name p0 netns {pod}\n\
         addr add 10.77.2.1/24 dev c0\nlink set c0 up\n"
    ))?;
    field.pod.ip("addr add 10.77.2.2/24 dev p0\nlink set p0 up\n")
}

fn arguments(load: &Load, host: &str, seconds: u32) -> Vec<String> {
    let Load {
        protocol,
        connections,
        path,
        long_head,
    } = *load;
    let (tool, port, rest) = match protocol {
        Protocol::Http1 => ("wrk", serve::HTTP1, format!("-t1 -d{seconds}s")),
        Protocol::Closing => ("wrk", serve::HTTP1, format!("-t1 -d{seconds}s")),
        Protocol::Untracked => ("wrk", serve::UNTRACKED, format!("-t1 -d{seconds}s")),
        Protocol::Http2 { streams } => {
            let requests = h2load_requests(connections, seconds);
            ("h2load", serve::HTTP2, format!("-t1 -n{requests} -m{streams}"))
        }
    };
    let head = format!("-c 0 timeout -s KILL {LIMIT} {tool} {rest} -c{connections}");
    let mut all: Vec<String> = head.split(' ').map(str::to_owned).collect();
    if protocol == Protocol::Closing {
        all.extend(["-H", "Connection: close"].map(str::to_owned));
    }
    if long_head {
        for field in 0..14 {
            all.extend(["-H".to_owned(), format!("x-field-{field:02}: {}", "v".repeat(57))]);
        }
    }
    all.push(format!("http://{host}:{port}/{path}"));
    all
}

/// About as many requests as take that long: with `-D` h2load never stops the connections that came about late.
fn h2load_requests(connections: u32, seconds: u32) -> u32 {
    seconds * if connections == 1 { 15_000 } else { 45_000 }
}

/// Reads wrk's words.
pub(crate) fn wrk_says(text: &str) -> Result<Outcome> {
    if text.contains("Non-2xx") {
        bail!("wrong answers");
    }
    let line = |mark: &str| text.lines().find(|line| line.contains(mark)).context("no result");
    Ok(Outcome {
        requests: first_word(line(" requests in ")?).parse()?,
        per_second: line("Requests/sec:")?.rsplit(' ').next().unwrap_or_default().parse()?,
    })
}

/// Reads h2load's words.
pub(crate) fn h2load_says(text: &str) -> Result<Outcome> {
    let counts = text.lines().find(|line| line.starts_with("requests: "));
    let count = |what: &str| -> Result<u64> {
        let counts = counts.context("no result")?.trim_start_matches("requests: ");
        let part = counts.split(", ").find(|part| part.ends_with(what));
        Ok(first_word(part.context("no count")?).parse()?)
    };
    if count("failed")? > 0 {
        bail!("failed requests");
    }
    let rate = text.lines().find(|line| line.starts_with("finished in "));
    let rate = rate.and_then(|line| line.split(", ").find(|part| part.ends_with(" req/s")));
    Ok(Outcome {
        requests: count("succeeded")?,
        per_second: first_word(rate.context("no rate")?).parse()?,
    })
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_head_is_1_kb() {
        let load = Load {
            long_head: true,
            ..Load::small(1)
        };
        let all = arguments(&load, "10.0.0.1", 1);
        let bytes: usize = all
            .iter()
            .filter(|word| word.starts_with("x-"))
            .map(|word| word.len() + 2)
            .sum();
        assert!((980..1060).contains(&bytes), "{bytes}");
    }

    #[test]
    fn the_tools_words_are_read() {
        let wrk = "Running 1s test @ http://10.77.2.2:8080/\n  91054 requests in 1.00s, 7.9MB read\n\
                   Requests/sec:  90123.45\nTransfer/sec:      7.90MB\n";
        let said = wrk_says(wrk).unwrap();
        assert_eq!((said.requests, said.per_second), (91_054, 90_123.45));
        assert!(wrk_says("  Non-2xx or 3xx responses: 3\n").is_err());
        let h2load = "finished in 1.00s, 81234.00 req/s, 1.2MB/s\n\
                      requests: 81240 total, 81250 started, 81240 done, 81234 succeeded, 0 failed, 0 errored, 0 timeout\n";
        let said = h2load_says(h2load).unwrap();
        assert_eq!((said.requests, said.per_second), (81_234, 81_234.0));
        assert!(h2load_says(&h2load.replace(" 0 failed", " 2 failed")).is_err());
    }
}
