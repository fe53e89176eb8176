// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! Lines about the life of connections, for whoever debugs the programs.
//!
//! Mechanism: aya-log, only in an object built with feature `log`; in any other these functions are empty and the object
//! has no AYA_LOGS map. Invariants: called when connections come, go or are steered, never for a packet.

#[cfg(feature = "log")]
use aya_log_ebpf::{debug, info, warn};

use abi::TargetKey;

/// A connection has its state.
#[cfg_attr(feature = "log", inline(never))]
#[cfg_attr(not(feature = "log"), inline(always))]
pub(crate) fn counted(pod: u32, port: u32) {
    #[cfg(feature = "log")]
    info!(&(), "connection counted: pod {}, client port {}", pod, port);
    #[cfg(not(feature = "log"))]
    let _ = (pod, port);
}

/// A connection's account is closed.
#[cfg_attr(feature = "log", inline(never))]
#[cfg_attr(not(feature = "log"), inline(always))]
pub(crate) fn closed(pod: u32) {
    #[cfg(feature = "log")]
    info!(&(), "connection closed: pod {}", pod);
    #[cfg(not(feature = "log"))]
    let _ = pod;
}

/// A connection's state could not be made.
#[cfg_attr(feature = "log", inline(never))]
#[cfg_attr(not(feature = "log"), inline(always))]
pub(crate) fn storage_failed(pod: u32) {
    #[cfg(feature = "log")]
    warn!(&(), "connection not counted, no storage: pod {}", pod);
    #[cfg(not(feature = "log"))]
    let _ = pod;
}

/// A client goes somewhere else than it asked.
#[cfg_attr(feature = "log", inline(never))]
#[cfg_attr(not(feature = "log"), inline(always))]
pub(crate) fn redirected(asked: &TargetKey, to: &TargetKey) {
    #[cfg(feature = "log")]
    debug!(
        &(),
        "redirected: {:i} port {} to {:i} port {}",
        octets(asked),
        asked.port,
        octets(to),
        to.port
    );
    #[cfg(not(feature = "log"))]
    let _ = (asked, to);
}

#[cfg(feature = "log")]
#[inline(always)]
fn octets(key: &TargetKey) -> [u8; 16] {
    // SAFETY: the same 16 bytes, which are in network order already.
    unsafe { core::mem::transmute(key.addr) }
}
