// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! Names of maps, programs and settings of the object, each written once for both sides.

/// sk_storage: state of a counted connection, private to the kernel side.
pub const CONNECTIONS: &str = "CONNECTIONS";
/// sk_storage: the streams of an HTTP/2 connection, private to the kernel side.
pub const STREAMS: &str = "STREAMS";
/// sk_storage: segments that arrived out of order, private to the kernel side; one after another is made as needed.
pub const STASH: &str = "STASH";
/// The second.
pub const STASH_2: &str = "STASH_2";
/// The third.
pub const STASH_3: &str = "STASH_3";
/// The fourth.
pub const STASH_4: &str = "STASH_4";
/// Per-CPU array, index = pod: [`crate::PodCounts`].
pub const COUNTS: &str = "COUNTS";
/// Array, index = pod: [`crate::PodShared`].
pub const SHARED: &str = "SHARED";
/// Array, index = revision (0 = none): [`crate::RevisionShared`].
pub const REVISIONS: &str = "REVISIONS";
/// Hash, [`crate::PodKey`] → [`crate::PodSlot`]: which listening port belongs to which pod.
pub const PODS: &str = "PODS";
/// Array of one [`crate::Config`].
pub const CONFIG: &str = "CONFIG";
/// Array of one u64: when the daemon's main loop last made progress, `bpf_ktime_get_ns` (CLOCK_MONOTONIC).
pub const HEARTBEAT: &str = "HEARTBEAT";
/// Array of one u64: the [`crate::ABI`] of the generation that takes new connections. Frozen; pinned above the
/// generations' folders and shared by them.
pub const GENERATION: &str = "GENERATION";
/// Ring buffer of [`crate::Event`].
pub const EVENTS: &str = "EVENTS";
/// Hash, [`crate::TargetKey`] → u32, the target's index in [`SWITCHES`].
pub const TARGETS: &str = "TARGETS";
/// Array, index = target: one [`crate::Switch`] word.
pub const SWITCHES: &str = "SWITCHES";
/// Hash, [`crate::BackendKey`] → [`crate::Backend`].
pub const BACKENDS: &str = "BACKENDS";
/// sk_storage on client sockets: [`crate::Origin`].
pub const ORIGINS: &str = "ORIGINS";
/// LRU hash, [`crate::PeerKey`] → [`crate::Origin`]: what a client of the gateway really asked for.
pub const PEERS: &str = "PEERS";
/// Per-CPU array of one [`crate::Redirects`].
pub const REDIRECTS: &str = "REDIRECTS";
/// Per-CPU array of one packet: data that came with the handshake, private to the kernel side.
pub const HANDSHAKE: &str = "HANDSHAKE";
/// Per-CPU array of one connection's state as it is before its first byte, private to the kernel side.
pub const NEWBORN: &str = "NEWBORN";

/// Every map that userspace pins, in the order of loading. Storage maps are pinned too: the new programs of a swap
/// must find the state of the old ones.
pub const PINNED: &[&str] = &[
    CONNECTIONS,
    STREAMS,
    STASH,
    STASH_2,
    STASH_3,
    STASH_4,
    COUNTS,
    SHARED,
    REVISIONS,
    PODS,
    CONFIG,
    HEARTBEAT,
    EVENTS,
    TARGETS,
    SWITCHES,
    BACKENDS,
    ORIGINS,
    PEERS,
    REDIRECTS,
    HANDSHAKE,
    NEWBORN,
];

/// cgroup_skb ingress: requests.
pub const INGRESS: &str = "sluice_ingress";
/// cgroup_skb egress: responses.
pub const EGRESS: &str = "sluice_egress";
/// sock_ops: connections, LISTEN events, publication of redirected clients.
pub const SOCK_OPS: &str = "sluice_sock_ops";
/// sock_ops of the *connections* tier: no bpf_loop anywhere in it.
pub const SOCK_OPS_CONNECTIONS: &str = "sluice_sock_ops_connections";
/// cgroup/connect4.
pub const CONNECT4: &str = "sluice_connect4";
/// cgroup/connect6.
pub const CONNECT6: &str = "sluice_connect6";
/// cgroup/getpeername4.
pub const GETPEERNAME4: &str = "sluice_getpeername4";
/// cgroup/getpeername6.
pub const GETPEERNAME6: &str = "sluice_getpeername6";

/// Read-only global: [`crate::FINGERPRINT`] as the object was built.
pub const GLOBAL_FINGERPRINT: &str = "SLUICE_FINGERPRINT";
/// Read-only global u8: 1 = pods are known by their network namespace's cookie, 0 = by local address.
pub const GLOBAL_BY_NETNS: &str = "SLUICE_BY_NETNS";
