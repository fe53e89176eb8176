// SPDX-License-Identifier: Apache-2.0
//! What `sluice check` found, the same for both ways of showing it.
//!
//! Invariants: without the privilege to look, a feature is unknown (null), not absent.
//! Depends on: `trial`, `loopback`, kernel.

use std::path::Path;

use kernel::{Features, Settings, Support, Tier, host};
use serde::Serialize;

use crate::{
    check::{
        loopback::Loopback,
        trial::{Loaded, Trial},
    },
    failure::{Exit, Failure},
    words::plural,
};

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) schema: u32,
    /// exact, connections, none.
    pub(crate) tier: &'static str,
    /// Why it is not more.
    pub(crate) why: Option<String>,
    pub(crate) kernel: String,
    pub(crate) privileges_missing: Vec<String>,
    pub(crate) features: Vec<Feature>,
    pub(crate) places: Vec<Feature>,
    /// Null when nothing was loaded.
    pub(crate) load: Option<Load>,
    pub(crate) loopback: Requests,
    pub(crate) memory: Option<Memory>,
    pub(crate) missing: Vec<Missing>,
    #[serde(skip)]
    exit: Exit,
}

/// One thing that may be there.
#[derive(Debug, Serialize)]
pub(crate) struct Feature {
    pub(crate) name: String,
    /// Null: it could not be looked at.
    pub(crate) is_there: Option<bool>,
    pub(crate) used_for: &'static str,
    pub(crate) why_not: Option<String>,
}

/// Requests that were made to see whether they are counted.
#[derive(Debug, Serialize)]
pub(crate) struct Requests {
    /// Null: it could not be tried.
    pub(crate) counted: Option<bool>,
    pub(crate) made: u64,
    pub(crate) why_not: Option<String>,
}

/// What loading took.
#[derive(Debug, Serialize)]
pub(crate) struct Load {
    pub(crate) milliseconds: u64,
    pub(crate) verified_instructions: Vec<(&'static str, u32)>,
}

/// What the maps take.
#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) bytes: u64,
    pub(crate) room_for: String,
    pub(crate) maps: Vec<(String, u64)>,
    /// More for each open connection that is counted, and for each that speaks HTTP/2.
    pub(crate) bytes_per_connection: u64,
    pub(crate) bytes_per_http2_connection: u64,
    /// More for one whose segments come out of order: each stash, made as needed and kept until it closes.
    pub(crate) bytes_per_stash: u64,
    pub(crate) stashes_per_connection: u64,
}

/// What is missing and what to do.
#[derive(Debug, Serialize)]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) help: String,
}

impl Report {
    pub(crate) fn of(settings: &Settings, features: &Features, trial: Trial) -> Self {
        let is_blind = !features.missing.is_empty();
        let mut missing = missing(settings, features);
        let (loaded, failure) = match trial {
            Trial::Loaded(loaded) => {
                let failure = not_counted(&loaded.loopback);
                (Some(loaded), failure)
            }
            Trial::Failed(failure) => (None, Some(failure)),
            Trial::NotTried => (None, None),
        };
        let mut tier = loaded
            .as_ref()
            .map_or_else(|| features.tier(), |loaded| loaded.tier.clone());
        if is_blind {
            let why = "it could not be looked at without the privileges".to_owned();
            tier = Tier::None { why };
        }
        let exit = match (&tier, &failure) {
            _ if is_blind => Exit::Privilege,
            (_, Some(failure)) => failure.exit,
            (Tier::None { .. }, _) => Exit::Unsupported,
            _ if missing.iter().any(|missing| missing.is_blocking) => Exit::Unsupported,
            _ => Exit::Done,
        };
        if let Some(failure) = failure {
            let (what, help) = failure.into_parts();
            tier = Tier::None { why: what.clone() };
            missing.push(Lack {
                what,
                help,
                is_blocking: true,
            });
        }
        Self {
            schema: 1,
            tier: tier.word(),
            why: tier.why().map(str::to_owned),
            kernel: features.release.clone(),
            privileges_missing: features.missing.iter().map(ToString::to_string).collect(),
            features: kernel_features(features, is_blind),
            places: places(settings, features),
            load: loaded.as_ref().map(load),
            loopback: requests(loaded.as_ref().map(|loaded| &loaded.loopback)),
            memory: loaded.as_ref().and_then(|loaded| memory(settings, loaded)),
            missing: missing
                .into_iter()
                .map(|lack| Missing {
                    what: lack.what,
                    help: lack.help,
                })
                .collect(),
            exit,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

fn kernel_features(features: &Features, is_blind: bool) -> Vec<Feature> {
    let all: [(&str, &Support, &'static str); 11] = [
        (
            "sock_ops programs",
            &features.sock_ops,
            "seeing connections come and go",
        ),
        (
            "state in sockets, sock_ops",
            &features.storage_in_sock_ops,
            "an account for each connection",
        ),
        ("ring buffer", &features.ring_buffer, "telling bursts at once"),
        (
            "atomics that answer",
            &features.atomics,
            "two CPUs agreeing on one account",
        ),
        (
            "cgroup_skb programs",
            &features.cgroup_skb,
            "seeing requests and responses",
        ),
        (
            "state in sockets, cgroup_skb",
            &features.storage_in_skb,
            "reading on where the last packet ended",
        ),
        ("bpf_loop", &features.bpf_loop, "reading requests: the exact tier"),
        (
            "netns cookie in sock_ops",
            &features.netns_cookie,
            "telling servers apart by namespace, not by address",
        ),
        ("cgroup/connect programs", &features.connect, "redirecting clients"),
        (
            "cgroup/getpeername programs",
            &features.getpeername,
            "clients see the address that they asked for",
        ),
        (
            "state in sockets, connect",
            &features.storage_in_sock_addr,
            "knowing what a client asked for",
        ),
    ];
    all.into_iter()
        .map(|(name, support, used_for)| feature(name, support, used_for, is_blind))
        .collect()
}

fn feature(name: &str, support: &Support, used_for: &'static str, is_blind: bool) -> Feature {
    let (is_there, why_not) = match support {
        Support::Yes => (Some(true), None),
        Support::No { .. } if is_blind => (None, Some("not allowed to look".to_owned())),
        Support::No { why } => (Some(false), Some(why.clone())),
    };
    Feature {
        name: name.to_owned(),
        is_there,
        used_for,
        why_not,
    }
}

fn places(settings: &Settings, features: &Features) -> Vec<Feature> {
    let cgroup2 = features.cgroup2.as_deref();
    let is_cgroup2 = cgroup2.is_some_and(host::is_on_cgroup2);
    let cgroup2 = cgroup2.map_or_else(
        || "cgroup v2".to_owned(),
        |path| format!("cgroup v2 at {}", path.display()),
    );
    let place = |name: String, is_there: bool, used_for, why: &str| Feature {
        name,
        is_there: Some(is_there),
        used_for,
        why_not: (!is_there).then(|| why.to_owned()),
    };
    vec![
        place(cgroup2, is_cgroup2, "attaching to the server's cgroup", "not mounted"),
        place(
            format!("bpffs at {}", settings.pin_dir.display()),
            features.bpffs.is_there(),
            "counting on when the process ends",
            "not mounted",
        ),
    ]
}

/// Something missing, and whether nothing can be counted without it.
struct Lack {
    what: String,
    help: String,
    is_blocking: bool,
}

fn missing(settings: &Settings, features: &Features) -> Vec<Lack> {
    let mut lacks = Vec::new();
    let mut add = |is_blocking, what: String, help: &str| {
        lacks.push(Lack {
            what,
            help: help.to_owned(),
            is_blocking,
        })
    };
    if !features.missing.is_empty() {
        let names: Vec<String> = features.missing.iter().map(ToString::to_string).collect();
        let what = format!(
            "privileges: {}; what the kernel offers could not be looked at",
            names.join(", ")
        );
        add(true, what, "run as root, or grant them");
    }
    if !host::is_procfs(&settings.proc_root) {
        let what = format!("procfs at {}", settings.proc_root.display());
        add(true, what, "name where it is with --proc-root");
    } else if !features.cgroup2.as_deref().is_some_and(host::is_on_cgroup2) {
        let help = "mount it: `mount -t cgroup2 none /sys/fs/cgroup/unified`, or name it with --cgroup-root";
        add(true, "cgroup v2".to_owned(), help);
    }
    if !features.bpffs.is_there() {
        let what = format!("a bpffs at {}", settings.pin_dir.display());
        add(
            true,
            what,
            "mount one: `mount -t bpf bpf /sys/fs/bpf`, or choose a --pin-dir on one",
        );
    }
    if !kernel::is_available(settings) {
        let what = settings
            .object
            .as_deref()
            .map_or_else(|| "the BPF object".to_owned(), at);
        add(
            true,
            what,
            "build it with `cargo xtask build`, or name it with --object",
        );
    }
    if features.missing.is_empty() {
        add_kernel(features, &mut add);
    }
    lacks
}

fn at(path: &Path) -> String {
    format!("the BPF object at {}", path.display())
}

fn add_kernel(features: &Features, add: &mut impl FnMut(bool, String, &str)) {
    match features.tier() {
        Tier::Exact => {}
        Tier::Connections { why } => {
            add(
                false,
                format!("for exact counts: {why}"),
                "run on Linux 5.17 or newer; until then the proxy counts requests",
            );
        }
        Tier::None { why } => add(true, format!("for any counting: {why}"), "run on Linux 5.12 or newer"),
    }
    if let Support::No { why } = features.redirect() {
        add(
            false,
            format!("for redirection: {why}"),
            "run on Linux 5.8 or newer; counting works without",
        );
    }
    if let Support::No { why } = &features.netns_cookie {
        add(
            false,
            format!("for servers in network namespaces with equal addresses: {why}"),
            "run on Linux 5.15 or newer",
        );
    }
}

fn load(loaded: &Loaded) -> Load {
    Load {
        milliseconds: loaded.took.as_millis() as u64,
        verified_instructions: loaded.programs.clone(),
    }
}

fn requests(loopback: Option<&Loopback>) -> Requests {
    let (counted, made, why_not) = match loopback {
        Some(Loopback::Exact { made }) => (Some(true), *made, None),
        Some(Loopback::Wrong { made, why }) => (Some(false), *made, Some(why.clone())),
        Some(Loopback::NotAttached { why }) => (Some(false), 0, Some(why.clone())),
        Some(Loopback::NotMade { why }) => (None, 0, Some(why.clone())),
        None => (None, 0, Some("nothing was loaded".to_owned())),
    };
    Requests { counted, made, why_not }
}

/// A kernel that loads everything and counts wrong, or lets nothing be attached, is none to count with.
fn not_counted(loopback: &Loopback) -> Option<Failure> {
    let (exit, message, help) = match loopback {
        Loopback::Exact { .. } | Loopback::NotMade { .. } => return None,
        Loopback::Wrong { made, why } => (
            Exit::Failed,
            format!(
                "{} through a cgroup of our own counted wrong: {why}",
                plural(*made, "request")
            ),
            "another program may drop or change packets there (`bpftool cgroup tree`); else report this output",
        ),
        Loopback::NotAttached { why } => (
            Exit::Unsupported,
            format!("programs cannot be attached below the cgroup root: {why}"),
            "a program of another owner above may forbid it: see `bpftool cgroup tree`, or name a --cgroup-root",
        ),
    };
    Some(Failure::new(exit, message, help))
}

/// `None` where the kernel does not say.
fn memory(settings: &Settings, loaded: &Loaded) -> Option<Memory> {
    if loaded.maps.is_empty() {
        return None;
    }
    let of = |name: &str| {
        let map = loaded.maps.iter().find(|map| map.name == name);
        map.and_then(|map| map.per_socket).map_or(0, u64::from)
    };
    let stashes = loaded.maps.iter().filter(|map| map.name.starts_with(abi::names::STASH));
    Some(Memory {
        bytes: loaded.maps.iter().map(|map| map.bytes).sum(),
        room_for: format!(
            "{} pods, {} revisions, {} targets, {} backends, {} gateway connections",
            settings.pods, settings.revisions, settings.targets, settings.backends, settings.peers
        ),
        maps: loaded.maps.iter().map(|map| (map.name.clone(), map.bytes)).collect(),
        bytes_per_connection: of(abi::names::CONNECTIONS),
        bytes_per_http2_connection: of(abi::names::STREAMS),
        bytes_per_stash: of(abi::names::STASH),
        stashes_per_connection: stashes.count() as u64,
    })
}
