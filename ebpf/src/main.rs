// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! The kernel programs.
//!
//! Problem: count the requests in flight of every pod and steer new connections, without touching the pods.
//! Mechanism: sock_ops gives a counted connection its state, cgroup_skb lets [`wire`] read what passes, connect hooks
//! rewrite addresses. Invariants: only UAPI contexts and helpers, so that one object runs on every kernel; every
//! program lets the packet, socket or call pass whatever happens; nothing is logged on the hot path.
//! Depends on: abi (layouts), wire (boundaries).
#![no_std]
#![no_main]
#![feature(core_intrinsics, asm_experimental_arch)]
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "what the program macros make of documented functions is public and bare"
)]
#![allow(
    internal_features,
    unsafe_code,
    reason = "kernel programs: raw helpers, atomics and map values"
)]

mod account;
mod atomic;
mod connection;
mod counting;
mod diagnostics;
mod maps;
mod packet;
mod redirect;
mod sockops;

use aya_ebpf::macros::{cgroup_skb, cgroup_sock_addr, sock_ops};
use aya_ebpf::programs::{SkBuffContext, SockAddrContext, SockOpsContext};

/// What the loader compares with its own [`abi::FINGERPRINT`].
#[unsafe(no_mangle)]
static SLUICE_FINGERPRINT: u64 = abi::FINGERPRINT;

/// The layouts that only kernel programs know, folded: the programs of a swap must find the state of the old ones.
#[unsafe(no_mangle)]
static SLUICE_STATE: u64 = connection::SHAPE;

/// 1: pods are known by the cookie of their network namespace; 0: by local address (no such helper in this kernel).
#[unsafe(no_mangle)]
static SLUICE_BY_NETNS: u8 = 1;

/// Requests of counted connections.
#[cgroup_skb]
pub fn sluice_ingress(ctx: SkBuffContext) -> i32 {
    counting::ingress(ctx.skb.skb);
    1
}

/// Responses of counted connections.
#[cgroup_skb]
pub fn sluice_egress(ctx: SkBuffContext) -> i32 {
    counting::egress(ctx.skb.skb);
    1
}

/// Life of connections, tier *exact*.
#[sock_ops]
pub fn sluice_sock_ops(ctx: SockOpsContext) -> u32 {
    sockops::run::<true>(ctx.ops);
    1
}

/// Life of connections, tier *connections*: a connection counts as one request.
#[sock_ops]
pub fn sluice_sock_ops_connections(ctx: SockOpsContext) -> u32 {
    sockops::run::<false>(ctx.ops);
    1
}

/// connect() of IPv4 sockets.
#[cgroup_sock_addr(connect4)]
pub fn sluice_connect4(ctx: SockAddrContext) -> i32 {
    redirect::connect4(ctx.sock_addr);
    1
}

/// connect() of IPv6 sockets, v4-mapped addresses among them.
#[cgroup_sock_addr(connect6)]
pub fn sluice_connect6(ctx: SockAddrContext) -> i32 {
    redirect::connect6(ctx.sock_addr);
    1
}

/// getpeername() of IPv4 sockets: what was asked for, not where it was sent.
#[cgroup_sock_addr(getpeername4)]
pub fn sluice_getpeername4(ctx: SockAddrContext) -> i32 {
    redirect::getpeername4(ctx.sock_addr);
    1
}

/// getpeername() of IPv6 sockets.
#[cgroup_sock_addr(getpeername6)]
pub fn sluice_getpeername6(ctx: SockAddrContext) -> i32 {
    redirect::getpeername6(ctx.sock_addr);
    1
}

/// GPL: helpers like bpf_probe_read_kernel ask for it.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
