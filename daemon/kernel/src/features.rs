// SPDX-License-Identifier: Apache-2.0
//! What this kernel offers, found by trying.
//!
//! Problem: distributions backport, so version strings lie.
//! Mechanism: load programs of two or three instructions. A helper that a program type may not call is EINVAL; one that
//! it may call, with arguments that make no sense, is EACCES.
//! Invariants: nothing is attached and nothing stays loaded.
//! Depends on: `host`, `settings`, `sys`.

use std::{fmt, io, path::PathBuf};

use crate::{
    host::{self, Capability},
    settings::Settings,
    sys::{
        link::AttachPoint,
        map::{self, Shape, TYPE_RINGBUF},
        program::{self, Instruction, Kind},
    },
};

/// Whether something is there, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    /// It is.
    Yes,
    /// It is not.
    No {
        /// In words.
        why: String,
    },
}

impl Support {
    /// Whether it is there.
    pub fn is_there(&self) -> bool {
        *self == Self::Yes
    }

    fn of(result: io::Result<()>, what: &str) -> Self {
        match result {
            Ok(()) => Self::Yes,
            Err(error) => Self::No {
                why: format!("{what}: {error}"),
            },
        }
    }

    fn refused(what: &str) -> Self {
        Self::No {
            why: format!("{what}: refused by the settings"),
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No { why } => write!(f, "no ({why})"),
        }
    }
}

/// How exactly this kernel lets us count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Requests, exactly.
    Exact,
    /// Connections only; the proxy counts requests.
    Connections {
        /// What is missing for more.
        why: String,
    },
    /// Nothing in the kernel; the proxy counts requests.
    None {
        /// What is missing.
        why: String,
    },
}

impl Tier {
    /// The one word: exact, connections, none.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Connections { .. } => "connections",
            Self::None { .. } => "none",
        }
    }

    /// Why it is not more.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Exact => None,
            Self::Connections { why } | Self::None { why } => Some(why),
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why() {
            None => f.write_str(self.word()),
            Some(why) => write!(f, "{} ({why})", self.word()),
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Features {
    /// Release of the kernel, for people.
    pub release: String,
    /// Privileges that are missing.
    pub missing: Vec<Capability>,
    /// Whether the pin folder is on a bpffs.
    pub bpffs: Support,
    /// Where cgroup v2 is mounted.
    pub cgroup2: Option<PathBuf>,
    /// Programs that see a cgroup's packets.
    pub cgroup_skb: Support,
    /// Programs that see connections come and go.
    pub sock_ops: Support,
    /// Programs that rewrite connect().
    pub connect: Support,
    /// Programs that rewrite getpeername() (5.8).
    pub getpeername: Support,
    /// State in sockets, for packets.
    pub storage_in_skb: Support,
    /// State in sockets, for connections.
    pub storage_in_sock_ops: Support,
    /// State in sockets, for connect().
    pub storage_in_sock_addr: Support,
    /// The ring buffer (5.8).
    pub ring_buffer: Support,
    /// Atomic instructions that tell what was there before: exchanges (5.12). Every program of ours has some.
    pub atomics: Support,
    /// Bounded loops (5.17).
    pub bpf_loop: Support,
    /// Network namespaces' cookies for connections (5.15).
    pub netns_cookie: Support,
}

const SK_STORAGE_GET: i32 = 107;
const GET_NETNS_COOKIE: i32 = 122;
const LOOP: i32 = 181;

/// Tries everything. The process's limit of locked memory is lifted for it: before 5.11 a map beyond it is refused, and
/// would look as if the kernel had none of its kind.
pub fn probe(settings: &Settings) -> Features {
    host::lift_memory_limit();
    let refuse = settings.refuse;
    let storage = |kind, at| Support::of(has_helper(kind, at, SK_STORAGE_GET), "bpf_sk_storage_get");
    let bpf_loop = || {
        Support::of(
            has_helper(Kind::CgroupSkb, AttachPoint::Ingress, LOOP),
            "bpf_loop, Linux 5.17",
        )
    };
    let cookie = || {
        Support::of(
            takes_context(GET_NETNS_COOKIE),
            "bpf_get_netns_cookie in sock_ops, Linux 5.15",
        )
    };
    Features {
        release: release(settings),
        missing: host::missing_capabilities(&settings.proc_root),
        bpffs: bpffs(settings),
        cgroup2: settings
            .cgroup_root
            .clone()
            .or_else(|| host::find_cgroup2(&settings.proc_root)),
        cgroup_skb: Support::of(loads(Kind::CgroupSkb, AttachPoint::Ingress), "cgroup_skb programs"),
        sock_ops: Support::of(loads(Kind::SockOps, AttachPoint::SockOps), "sock_ops programs"),
        connect: Support::of(loads(Kind::SockAddr, AttachPoint::Connect4), "cgroup/connect4 programs"),
        getpeername: Support::of(
            loads(Kind::SockAddr, AttachPoint::GetPeerName4),
            "cgroup/getpeername4, Linux 5.8",
        ),
        storage_in_skb: storage(Kind::CgroupSkb, AttachPoint::Ingress),
        storage_in_sock_ops: storage(Kind::SockOps, AttachPoint::SockOps),
        storage_in_sock_addr: storage(Kind::SockAddr, AttachPoint::Connect4),
        ring_buffer: Support::of(ring_buffer(), "the ring buffer, Linux 5.8"),
        atomics: if refuse.atomics {
            Support::refused("atomic instructions that answer")
        } else {
            Support::of(answering_atomics(), "atomic instructions that answer, Linux 5.12")
        },
        bpf_loop: if refuse.bpf_loop {
            Support::refused("bpf_loop")
        } else {
            bpf_loop()
        },
        netns_cookie: if refuse.netns_cookie {
            Support::refused("bpf_get_netns_cookie")
        } else {
            cookie()
        },
    }
}

impl Features {
    /// The tier that these features allow.
    pub fn tier(&self) -> Tier {
        let base = [
            &self.sock_ops,
            &self.storage_in_sock_ops,
            &self.ring_buffer,
            &self.atomics,
        ];
        if let Some(why) = first_missing(&base) {
            return Tier::None { why };
        }
        match first_missing(&[&self.cgroup_skb, &self.storage_in_skb, &self.bpf_loop]) {
            Some(why) => Tier::Connections { why },
            None => Tier::Exact,
        }
    }

    /// Whether connections can be redirected.
    pub fn redirect(&self) -> Support {
        match first_missing(&[&self.connect, &self.getpeername, &self.storage_in_sock_addr]) {
            Some(why) => Support::No { why },
            None => Support::Yes,
        }
    }
}

fn first_missing(needed: &[&Support]) -> Option<String> {
    needed.iter().find_map(|support| match support {
        Support::Yes => None,
        Support::No { why } => Some(why.clone()),
    })
}

fn loads(kind: Kind, at: AttachPoint) -> io::Result<()> {
    program::load(kind, Some(at), &[Instruction::set(0, 1), Instruction::exit()]).map(drop)
}

fn takes_context(helper: i32) -> io::Result<()> {
    let code = [Instruction::call(helper), Instruction::set(0, 1), Instruction::exit()];
    program::load(Kind::SockOps, Some(AttachPoint::SockOps), &code).map(drop)
}

/// Adds to a word of its stack and asks for what was there.
fn answering_atomics() -> io::Result<()> {
    let code = [
        Instruction::set(1, 0),
        Instruction::store(10, 1, -8),
        Instruction::fetch_add(10, 1, -8),
        Instruction::set(0, 1),
        Instruction::exit(),
    ];
    program::load(Kind::SockOps, Some(AttachPoint::SockOps), &code).map(drop)
}

/// Calls with zeros: whoever knows the helper complains about them.
fn has_helper(kind: Kind, at: AttachPoint, helper: i32) -> io::Result<()> {
    let code = [
        Instruction::set(1, 0),
        Instruction::set(2, 0),
        Instruction::set(3, 0),
        Instruction::set(4, 0),
        Instruction::call(helper),
        Instruction::set(0, 1),
        Instruction::exit(),
    ];
    match program::load(kind, Some(at), &code) {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(()),
        other => other.map(drop),
    }
}

fn ring_buffer() -> io::Result<()> {
    let shape = Shape {
        kind: TYPE_RINGBUF,
        key_size: 0,
        value_size: 0,
        max_entries: 4096 * 16,
        flags: 0,
    };
    map::create("sluice_probe", shape).map(drop)
}

fn bpffs(settings: &Settings) -> Support {
    let why = || format!("{} is not on a bpffs", settings.pin_dir.display());
    if host::is_on_bpffs(&settings.pin_dir) {
        Support::Yes
    } else {
        Support::No { why: why() }
    }
}

fn release(settings: &Settings) -> String {
    let text = std::fs::read_to_string(settings.proc_root.join("sys/kernel/osrelease"));
    text.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
