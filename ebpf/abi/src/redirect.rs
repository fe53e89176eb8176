// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! Redirection at connect: targets, their switch words, the pods behind them.
//!
//! A connect() to a target reads the target's [`Switch`], picks one of the `count` backends stored under the word's
//! generation and rewrites the address. Userspace writes the backends of generation g+1 first and the word last, so
//! that a reader never sees half a list; entries of g go once the word has been seen to change (a reader that misses
//! one reads the word again).

/// One address, network order, IPv4 as v4-mapped, and a port in host order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetKey {
    /// Address.
    pub addr: [u32; 4],
    /// Port, host order.
    pub port: u16,
    #[doc(hidden)]
    pub _pad: u16,
}

/// The third word of a v4-mapped address as it stands in memory.
pub const V4_MAPPED: u32 = 0xffff_u32.to_be();

/// A target's state in one aligned word: mode (bits 0–1), number of backends (2–16), of these on this node and first
/// in the list (17–31), generation (32–63).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switch(pub u64);

/// The target is left alone.
pub const MODE_OFF: u64 = 0;
/// New connections go to a pod.
pub const MODE_DIRECT: u64 = 1;
/// New connections go to this node's gateway.
pub const MODE_BUFFERED: u64 = 2;
/// Backends a target may have.
pub const MAX_BACKENDS: u32 = 0x7fff;

impl Switch {
    /// The word of a mode, list and generation; counts above [`MAX_BACKENDS`] are cut.
    #[inline(always)]
    pub const fn new(mode: u64, count: u32, local: u32, generation: u32) -> Self {
        let count = if count > MAX_BACKENDS { MAX_BACKENDS } else { count };
        let local = if local > count { count } else { local };
        Self(mode & 3 | (count as u64) << 2 | (local as u64) << 17 | (generation as u64) << 32)
    }
    /// `MODE_*`.
    #[inline(always)]
    pub const fn mode(self) -> u64 {
        self.0 & 3
    }
    /// Backends in the list.
    #[inline(always)]
    pub const fn count(self) -> u32 {
        (self.0 >> 2) as u32 & MAX_BACKENDS
    }
    /// Backends on this node: entries `0..local`.
    #[inline(always)]
    pub const fn local(self) -> u32 {
        (self.0 >> 17) as u32 & MAX_BACKENDS
    }
    /// Generation of the list.
    #[inline(always)]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// One entry of a target's list.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BackendKey {
    /// Index of the target.
    pub target: u32,
    /// Generation of the list.
    pub generation: u32,
    /// Place in the list.
    pub index: u32,
}

/// A pod that can be connected to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// Address and port of the pod.
    pub to: TargetKey,
    /// Index in SHARED.
    pub pod: u32,
    /// `BACKEND_*` bits.
    pub flags: u32,
    /// A pod of this node is preferred while its in-flight is below this; 0 = always.
    pub room: u32,
}

/// The pod lives on another node: its in-flight is what that node last sent, plus what was assigned here since.
pub const BACKEND_REMOTE: u32 = 1;

/// What a client socket asked for before its address was rewritten.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The target.
    pub target: TargetKey,
    /// `ORIGIN_*` bits.
    pub flags: u32,
    /// Where the socket was sent instead.
    pub sent_to: TargetKey,
    #[doc(hidden)]
    pub _pad: u32,
}

/// The socket belongs to kubelet: a probe, not traffic.
pub const ORIGIN_PROBE: u32 = 1;
/// The address was rewritten.
pub const ORIGIN_REDIRECTED: u32 = 2;

/// A client connection as the accepting side sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PeerKey {
    /// The client's end.
    pub client: TargetKey,
    /// The accepting end.
    pub server: TargetKey,
}

/// What the connect hooks did, per CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redirects {
    /// Sent to a pod.
    pub direct: u64,
    /// Sent to the gateway.
    pub buffered: u64,
    /// Left alone: the heartbeat was too old.
    pub stale: u64,
    /// Left alone: no pod or no gateway of the right family.
    pub without_backend: u64,
    /// Not published to the gateway: the socket's storage could not be made.
    pub unpublished: u64,
}

/// Settings of the programs that userspace may change while they run.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// [`crate::FINGERPRINT`] of whoever loaded the programs.
    pub fingerprint: u64,
    /// Cgroup id whose processes are never redirected (the daemon); 0 = none.
    pub exempt_cgroup: u64,
    /// Cgroup id whose processes probe (kubelet); 0 = none.
    pub probe_cgroup: u64,
    /// Sockets with this mark are never redirected; 0 = none.
    pub exempt_mark: u32,
    /// Not 0: TCP_LISTEN events are raised.
    pub listen_events: u32,
    /// The gateway for IPv4 clients; port 0 = none.
    pub gateway4: TargetKey,
    /// The gateway for IPv6 clients; port 0 = none.
    pub gateway6: TargetKey,
    /// A heartbeat older than this (ns) leaves buffered targets alone.
    pub stale_buffered: u64,
    /// A heartbeat older than this (ns) leaves all targets alone.
    pub stale_direct: u64,
}

const _: () = {
    assert!(size_of::<TargetKey>() == 20);
    assert!(size_of::<BackendKey>() == 12);
    assert!(size_of::<Backend>() == 32);
    assert!(size_of::<Origin>() == 48);
    assert!(size_of::<PeerKey>() == 40);
    assert!(size_of::<Redirects>() == 40);
    assert!(size_of::<Config>() == 88);
    assert!(core::mem::offset_of!(Config, gateway4) == 32);
};

#[cfg(feature = "aya")]
#[expect(unsafe_code, reason = "plain data for aya")]
mod pod {
    use super::*;
    // SAFETY: repr(C), integers only, no implicit padding (sizes asserted above).
    unsafe impl aya::Pod for TargetKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for BackendKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Backend {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Origin {}
    // SAFETY: as above.
    unsafe impl aya::Pod for PeerKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Redirects {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Config {}
}
