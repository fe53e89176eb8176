// SPDX-License-Identifier: Apache-2.0
//! The request path: activator, gateway and what stood beside the application, in one hop.
//!
//! Problem: a request meets one limiter, waits until its revision has room, reaches one pod and is counted once; clients and
//! pods see what they would see of Knative.
//! Mechanism: `server` accepts; `http1` and `http2` read requests; `path` is the five steps each goes through, whatever its
//! protocol; `door` is a listener's policy, `revision` and `pod` are where requests go.
//! Invariants: no Kubernetes type; nothing grows beyond `limits`; every task has a name and an owner.
//! Depends on: logic (limiter, routes, templates), life. docs/request-path.md says how it is meant to be used.

mod alarm;
mod beside;
mod by_one;
mod cores;
mod door;
mod drainer;
mod durations;
mod ending;
mod exchange;
mod frames;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod gateway;
mod get;
mod headers;
mod health;
mod held;
mod http1;
mod http2;
mod limits;
mod links;
mod log;
mod message;
mod motion;
mod origin;
mod path;
mod patient;
mod peers;
mod pod;
mod prober;
mod probes;
mod progress;
mod protocol;
mod reader;
mod ready;
mod revision;
mod room;
mod server;
mod shelves;
mod silence;
mod sniff;
mod stat;
mod stream;
mod target;
mod tls;
mod together;
mod trace;
mod way;
mod wire;

pub use beside::Beside;
pub use cores::{Cores, Spread};
pub use door::{Door, Entry, Front, Probes, Revisions, Routes, Tables, Visibility};
pub use drainer::{Drainer, Rest};
pub use durations::Durations;
pub use headers::NextHop;
pub use health::Health;
pub use held::Held;
pub use limits::Limits;
pub use log::{Counts as LogCounts, Format as LogFormat, Lines as LogLines, Logging, RequestLog, Sink};
pub use origin::{Inside, Leads, Lookup, Origin};
pub use peers::{Peer, Peers};
pub use prober::{Endpoints, Judging, keep, keep_by_probes};
pub use progress::Timeouts;
pub use protocol::PodProtocol;
pub use ready::{Handler, Probe, Readiness};
pub use revision::{Counters, Identity, Revision};
pub use room::{Limit, Room};
pub use server::listen;
pub use stat::{Periods, Stat};
pub use tls::{BadCertificate, Certificate, Certificates};
pub use trace::{Span, SpanBuffer, SpanFacts, SpanId, Spans, Step, TraceId, Tracing};
