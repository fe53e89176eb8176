// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! Life of sockets: establishment gives a counted connection its state, close ends its account, LISTEN is told to
//! userspace, a redirected client is published for the gateway.

use abi::{EVENT_LISTEN, Event, ORIGIN_PROBE, POD_CONNECTIONS_ONLY, PeerKey, PodKey, PodSlot, TargetKey, V4_MAPPED};
use aya_ebpf::bindings::{
    BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG,
    BPF_SOCK_OPS_TCP_CONNECT_CB, BPF_SOCK_OPS_TCP_LISTEN_CB, bpf_sock, bpf_sock_ops,
};
use aya_ebpf::helpers::generated::{bpf_get_netns_cookie, bpf_sock_ops_cb_flags_set};
use wire::{claim, words};

use crate::account::{self, Account};
use crate::connection::Connection;
use crate::counting;
use crate::diagnostics;
use crate::maps::{CONFIG, CONNECTIONS, GENERATION, NEWBORN, ORIGINS, PEERS, PODS, REDIRECTS, make, storage};

const AF_INET: u32 = 2;
/// TCP_CLOSE (include/net/tcp_states.h).
const CLOSE: u32 = 7;

/// One callback. `EXACT`: requests are read; else a connection counts as one.
#[inline(always)]
pub(crate) fn run<const EXACT: bool>(ops: *mut bpf_sock_ops) {
    // SAFETY: a context field.
    let op = unsafe { (*ops).op };
    if op == BPF_SOCK_OPS_STATE_CB {
        // SAFETY: STATE_CB has the new state as its second argument.
        if unsafe { (*ops).__bindgen_anon_1.args[1] } == CLOSE {
            closed(ops);
        }
    } else if op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB {
        established::<EXACT>(ops);
    } else if op == BPF_SOCK_OPS_TCP_CONNECT_CB {
        connecting(ops);
    } else if op == BPF_SOCK_OPS_TCP_LISTEN_CB {
        listening(ops);
    }
}

#[inline(always)]
fn socket(ops: *mut bpf_sock_ops) -> Option<*mut bpf_sock> {
    // SAFETY: a context field; null is checked as the verifier demands.
    let sk = unsafe { (*ops).__bindgen_anon_2.sk };
    if sk.is_null() { None } else { Some(sk) }
}

#[inline(always)]
fn closed(ops: *mut bpf_sock_ops) {
    let Some(sk) = socket(ops) else { return };
    let connection = storage(&CONNECTIONS, sk, 0);
    if connection.is_null() {
        return;
    }
    counting::close(connection);
    // SAFETY: a map value.
    diagnostics::closed(unsafe { (*connection).pod });
}

/// A u32 field of the context by one instruction of its own: the compiler merges plain reads of two branches into one
/// of a moved context pointer, which the verifier refuses.
macro_rules! field {
    ($ops:expr, $path:ident) => {{
        let value: u64;
        core::arch::asm!(
            "{0} = *(u32 *)({1} + {2})",
            out(reg) value,
            in(reg) $ops,
            const core::mem::offset_of!(bpf_sock_ops, $path),
            options(nostack, readonly, preserves_flags)
        );
        value as u32
    }};
    ($ops:expr, $path:ident, $index:literal) => {{
        let value: u64;
        core::arch::asm!(
            "{0} = *(u32 *)({1} + {2})",
            out(reg) value,
            in(reg) $ops,
            const core::mem::offset_of!(bpf_sock_ops, $path) + 4 * $index,
            options(nostack, readonly, preserves_flags)
        );
        value as u32
    }};
}

/// The local end.
#[inline(always)]
fn local(ops: *mut bpf_sock_ops) -> TargetKey {
    // SAFETY: context fields, each read by itself; local_port is in host order.
    unsafe {
        let mut key = TargetKey {
            port: field!(ops, local_port) as u16,
            ..TargetKey::default()
        };
        if field!(ops, family) == AF_INET {
            key.addr[2] = V4_MAPPED;
            key.addr[3] = field!(ops, local_ip4);
        } else {
            key.addr[0] = field!(ops, local_ip6, 0);
            key.addr[1] = field!(ops, local_ip6, 1);
            key.addr[2] = field!(ops, local_ip6, 2);
            key.addr[3] = field!(ops, local_ip6, 3);
        }
        key
    }
}

/// The remote end.
#[inline(always)]
fn remote(ops: *mut bpf_sock_ops) -> TargetKey {
    // SAFETY: context fields; remote_port is in network order, in the upper half.
    unsafe {
        let mut key = TargetKey {
            port: u32::from_be(field!(ops, remote_port)) as u16,
            ..TargetKey::default()
        };
        if field!(ops, family) == AF_INET {
            key.addr[2] = V4_MAPPED;
            key.addr[3] = field!(ops, remote_ip4);
        } else {
            key.addr[0] = field!(ops, remote_ip6, 0);
            key.addr[1] = field!(ops, remote_ip6, 1);
            key.addr[2] = field!(ops, remote_ip6, 2);
            key.addr[3] = field!(ops, remote_ip6, 3);
        }
        key
    }
}

/// Whether pods are known by network namespace; a constant for the verifier once the object is loaded.
#[inline(always)]
fn by_netns() -> bool {
    // SAFETY: a read-only global.
    unsafe { core::ptr::read_volatile(&raw const crate::SLUICE_BY_NETNS) != 0 }
}

#[inline(always)]
fn netns(ops: *mut bpf_sock_ops) -> u64 {
    // SAFETY: the context.
    if by_netns() {
        unsafe { bpf_get_netns_cookie(ops.cast()) }
    } else {
        0
    }
}

/// The pod that owns the local end.
#[inline(always)]
fn pod(ops: *mut bpf_sock_ops) -> Option<PodSlot> {
    let local = local(ops);
    let mut key = PodKey {
        port: local.port,
        ..PodKey::default()
    };
    if by_netns() {
        key.netns = netns(ops);
    } else {
        key.addr = local.addr;
    }
    let slot = PODS.get_ptr(&key)?;
    // SAFETY: a map value.
    Some(unsafe { *slot })
}

#[inline(always)]
fn established<const EXACT: bool>(ops: *mut bpf_sock_ops) {
    let Some(sk) = socket(ops) else { return };
    if !count::<EXACT>(ops, sk) && EXACT {
        // What another CPU kept because it could not know.
        counting::forget_early(sk);
    }
}

/// Gives the socket its state if it belongs to a pod. Whether its requests are read.
#[inline(always)]
fn count<const EXACT: bool>(ops: *mut bpf_sock_ops, sk: *mut bpf_sock) -> bool {
    let Some(slot) = pod(ops) else { return false };
    // Another generation of the programs takes new connections.
    let Some(generation) = GENERATION.get_ptr(0) else {
        return false;
    };
    // SAFETY: a map value.
    if unsafe { core::ptr::read_volatile(generation) } != abi::ABI {
        return false;
    }
    let Some(account) = Account::of(slot.pod) else {
        return false;
    };
    if is_probe(ops) {
        account.probe();
        return false;
    }
    // SAFETY: a context field.
    let seq = unsafe { (*ops).rcv_nxt };
    let Some(connection) = claimed_connection(ops, sk, slot.pod) else {
        account.storage_failed();
        diagnostics::storage_failed(slot.pod);
        return false;
    };
    // SAFETY: context fields.
    let (flags, port) = unsafe { ((*ops).bpf_sock_ops_cb_flags, field!(ops, remote_port) >> 16) };
    account.connected();
    diagnostics::counted(slot.pod, u32::from_be(port << 16));
    // SAFETY: the context.
    unsafe { bpf_sock_ops_cb_flags_set(ops, (flags | BPF_SOCK_OPS_STATE_CB_FLAG) as i32) };
    if !EXACT || slot.flags & POD_CONNECTIONS_ONLY != 0 {
        counting::count_connection(connection, seq);
        return false;
    }
    counting::read_early(sk, connection, port, seq);
    true
}

/// The state of a new connection. From its first moment on other CPUs may find it, and wait for the claim, which is ours.
#[inline(always)]
fn claimed_connection(ops: *mut bpf_sock_ops, sk: *mut bpf_sock, pod: u32) -> Option<*mut Connection> {
    let newborn = NEWBORN.get_ptr_mut(0)?;
    // SAFETY: a map value of this CPU, used here alone; a context field.
    unsafe {
        (*newborn).pod = pod;
        (*newborn).words[words::CLAIM] = claim::BUSY;
        (*newborn).response.seq = (*ops).snd_nxt;
    }
    let connection = make(&CONNECTIONS, sk, newborn);
    if connection.is_null() { None } else { Some(connection) }
}

/// Whether the other end is a socket of kubelet's cgroup on this machine.
#[inline(always)]
fn is_probe(ops: *mut bpf_sock_ops) -> bool {
    let key = PeerKey {
        client: remote(ops),
        server: local(ops),
    };
    let Some(origin) = PEERS.get_ptr(&key) else {
        return false;
    };
    // SAFETY: a map value.
    unsafe { (*origin).flags & ORIGIN_PROBE != 0 }
}

/// A client socket has its port now: tells the accepting side what it asked for.
#[inline(always)]
fn connecting(ops: *mut bpf_sock_ops) {
    let Some(sk) = socket(ops) else { return };
    let origin = storage(&ORIGINS, sk, 0);
    if origin.is_null() {
        return;
    }
    let key = PeerKey {
        client: local(ops),
        server: remote(ops),
    };
    // SAFETY: a map value.
    let origin = unsafe { *origin };
    // A socket may connect again, elsewhere, after a refusal.
    if origin.sent_to != key.server {
        return;
    }
    if PEERS.insert(&key, &origin, 0).is_err()
        && let Some(redirects) = REDIRECTS.get_ptr_mut(0)
    {
        // SAFETY: a map value.
        crate::atomic::add(unsafe { &raw mut (*redirects).unpublished }, 1);
    }
}

#[inline(always)]
fn listening(ops: *mut bpf_sock_ops) {
    let Some(config) = CONFIG.get_ptr(0) else { return };
    // SAFETY: a map value.
    if unsafe { (*config).listen_events } == 0 {
        return;
    }
    let local = local(ops);
    account::raise(&Event {
        kind: EVENT_LISTEN,
        time: account::now(),
        netns: netns(ops),
        addr: local.addr,
        port: local.port,
        ..Event::default()
    });
}
