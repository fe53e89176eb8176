// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! connect() and getpeername(): a target's connections go to a pod or to this node's gateway.
//!
//! Nothing here can fail a call: whatever is missing or too old leaves the address alone, so that the cluster's own
//! path takes it (design section 3.3).

use abi::{
    BACKEND_REMOTE, Backend, BackendKey, Config, MODE_BUFFERED, MODE_DIRECT, ORIGIN_PROBE, ORIGIN_REDIRECTED, Origin,
    Redirects, Switch, TargetKey, V4_MAPPED,
};
use aya_ebpf::bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_sock_addr};
use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_get_prandom_u32};

use crate::account::now;
use crate::atomic::{add, load};
use crate::diagnostics;
use crate::maps::{BACKENDS, CONFIG, HEARTBEAT, ORIGINS, REDIRECTS, SHARED, SWITCHES, TARGETS, storage};

const TCP: u32 = 6;
const STREAM: u32 = 1;
/// Tries to find a pod: the list may change meanwhile; the last one takes any that does not drain.
const TRIES: u32 = 3;
/// Pods looked at by the last try.
const MAX_WALK: u32 = 32;

/// connect() of an IPv4 socket.
#[inline(always)]
pub(crate) fn connect4(ctx: *mut bpf_sock_addr) {
    if !is_tcp(ctx) {
        return;
    }
    // SAFETY: context fields; user_port is in network order.
    let asked = unsafe { ipv4((*ctx).user_ip4, port((*ctx).user_port)) };
    let Some(to) = decide(ctx, asked) else { return };
    // SAFETY: as above.
    unsafe {
        (*ctx).user_ip4 = to.addr[3];
        (*ctx).user_port = u32::from(to.port.to_be());
    }
}

/// connect() of an IPv6 socket; a v4-mapped address stays one.
#[inline(always)]
pub(crate) fn connect6(ctx: *mut bpf_sock_addr) {
    if !is_tcp(ctx) {
        return;
    }
    // SAFETY: context fields, each read by itself.
    let asked = unsafe {
        TargetKey {
            addr: [
                (*ctx).user_ip6[0],
                (*ctx).user_ip6[1],
                (*ctx).user_ip6[2],
                (*ctx).user_ip6[3],
            ],
            port: port((*ctx).user_port),
            _pad: 0,
        }
    };
    let Some(to) = decide(ctx, asked) else {
        return;
    };
    // SAFETY: as above.
    unsafe {
        (*ctx).user_ip6[0] = to.addr[0];
        (*ctx).user_ip6[1] = to.addr[1];
        (*ctx).user_ip6[2] = to.addr[2];
        (*ctx).user_ip6[3] = to.addr[3];
        (*ctx).user_port = u32::from(to.port.to_be());
    }
}

/// getpeername() of an IPv4 socket.
#[inline(always)]
pub(crate) fn getpeername4(ctx: *mut bpf_sock_addr) {
    let Some(origin) = origin_of(ctx, 0) else { return };
    // SAFETY: a map value and context fields.
    unsafe {
        if (*origin).flags & ORIGIN_REDIRECTED == 0
            || ipv4((*ctx).user_ip4, port((*ctx).user_port)) != (*origin).sent_to
        {
            return;
        }
        (*ctx).user_ip4 = (*origin).target.addr[3];
        (*ctx).user_port = u32::from((*origin).target.port.to_be());
    }
}

/// getpeername() of an IPv6 socket.
#[inline(always)]
pub(crate) fn getpeername6(ctx: *mut bpf_sock_addr) {
    let Some(origin) = origin_of(ctx, 0) else { return };
    // SAFETY: a map value and context fields.
    unsafe {
        let sent_to = &(*origin).sent_to;
        if (*origin).flags & ORIGIN_REDIRECTED == 0
            || port((*ctx).user_port) != sent_to.port
            || (*ctx).user_ip6[3] != sent_to.addr[3]
            || (*ctx).user_ip6[2] != sent_to.addr[2]
            || (*ctx).user_ip6[1] != sent_to.addr[1]
            || (*ctx).user_ip6[0] != sent_to.addr[0]
        {
            return;
        }
        let target = (*origin).target;
        (*ctx).user_ip6[0] = target.addr[0];
        (*ctx).user_ip6[1] = target.addr[1];
        (*ctx).user_ip6[2] = target.addr[2];
        (*ctx).user_ip6[3] = target.addr[3];
        (*ctx).user_port = u32::from(target.port.to_be());
    }
}

#[inline(always)]
fn is_tcp(ctx: *mut bpf_sock_addr) -> bool {
    // SAFETY: context fields.
    unsafe { (*ctx).protocol == TCP && (*ctx).type_ == STREAM }
}

#[inline(always)]
const fn port(network: u32) -> u16 {
    u16::from_be(network as u16)
}

#[inline(always)]
const fn ipv4(address: u32, port: u16) -> TargetKey {
    TargetKey {
        addr: [0, 0, V4_MAPPED, address],
        port,
        _pad: 0,
    }
}

/// 0 for an IPv4 address; a number, not a branch: the verifier would look at everything after it twice.
#[inline(always)]
const fn not_ipv4(key: &TargetKey) -> u32 {
    key.addr[0] | key.addr[1] | (key.addr[2] ^ V4_MAPPED)
}

#[inline(always)]
fn origin_of(ctx: *mut bpf_sock_addr, flags: u64) -> Option<*mut Origin> {
    // SAFETY: a context field; null is checked as the verifier demands.
    unsafe {
        let sk = (*ctx).__bindgen_anon_1.sk;
        if sk.is_null() {
            return None;
        }
        let value = storage(&ORIGINS, sk, flags);
        if value.is_null() { None } else { Some(value) }
    }
}

#[inline(always)]
fn count(field: fn(*mut Redirects) -> *mut u64) {
    if let Some(redirects) = REDIRECTS.get_ptr_mut(0) {
        add(field(redirects), 1);
    }
}

/// Where the socket is to go instead; None = where it asked.
#[inline(always)]
fn decide(ctx: *mut bpf_sock_addr, asked: TargetKey) -> Option<TargetKey> {
    let config = CONFIG.get_ptr(0)?;
    // SAFETY: no argument.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    // SAFETY: a map value.
    let (probe_cgroup, exempt_cgroup) = unsafe { ((*config).probe_cgroup, (*config).exempt_cgroup) };
    if probe_cgroup != 0 && cgroup == probe_cgroup {
        remember(
            ctx,
            Origin {
                target: asked,
                flags: ORIGIN_PROBE,
                sent_to: asked,
                _pad: 0,
            },
        );
        return None;
    }
    let target = TARGETS.get_ptr(&asked)?;
    if (exempt_cgroup != 0 && cgroup == exempt_cgroup) || is_marked(ctx, config) {
        return None;
    }
    // SAFETY: a map value.
    let target = unsafe { *target };
    let to = resolve(config, target, &asked)?;
    // A socket without its origin could not be told apart by the gateway; getpeername would show the pod.
    remember(
        ctx,
        Origin {
            target: asked,
            flags: ORIGIN_REDIRECTED,
            sent_to: to,
            _pad: 0,
        },
    );
    diagnostics::redirected(&asked, &to);
    Some(to)
}

#[inline(always)]
fn is_marked(ctx: *mut bpf_sock_addr, config: *const Config) -> bool {
    // SAFETY: a map value and a context field.
    unsafe {
        let mark = (*config).exempt_mark;
        let sk = (*ctx).__bindgen_anon_1.sk;
        mark != 0 && !sk.is_null() && (*sk).mark == mark
    }
}

#[inline(always)]
fn remember(ctx: *mut bpf_sock_addr, origin: Origin) {
    match origin_of(ctx, u64::from(BPF_SK_STORAGE_GET_F_CREATE)) {
        // SAFETY: a map value.
        Some(value) => unsafe { *value = origin },
        // SAFETY: a map value.
        None => count(|redirects| unsafe { &raw mut (*redirects).unpublished }),
    }
}

/// Follows the target's switch word.
#[inline(always)]
fn resolve(config: *const Config, target: u32, asked: &TargetKey) -> Option<TargetKey> {
    // Before `now`; and still the two clocks may differ by a little: a beat of the future is a fresh one.
    let beat = load(HEARTBEAT.get_ptr(0)?);
    let age = now().wrapping_sub(beat);
    let age = if (age as i64) < 0 { 0 } else { age };
    // SAFETY: a map value.
    let (stale_buffered, stale_direct) = unsafe { ((*config).stale_buffered, (*config).stale_direct) };
    let word = SWITCHES.get_ptr(target)?;
    let mut tries = 0;
    while tries < TRIES {
        tries += 1;
        let switch = Switch(load(word));
        if switch.mode() == MODE_BUFFERED {
            if age > stale_buffered {
                // SAFETY: a map value.
                count(|redirects| unsafe { &raw mut (*redirects).stale });
                return None;
            }
            // SAFETY: a map value.
            let gateway = unsafe {
                if not_ipv4(asked) == 0 {
                    (*config).gateway4
                } else {
                    (*config).gateway6
                }
            };
            if gateway.port == 0 {
                break;
            }
            // SAFETY: a map value.
            count(|redirects| unsafe { &raw mut (*redirects).buffered });
            return Some(gateway);
        }
        if switch.mode() != MODE_DIRECT {
            return None;
        }
        if age > stale_direct {
            // SAFETY: a map value.
            count(|redirects| unsafe { &raw mut (*redirects).stale });
            return None;
        }
        let chosen = if tries < TRIES {
            choose(target, switch)
        } else {
            any(target, switch)
        };
        let Some(backend) = chosen else {
            // The list was replaced meanwhile, or both drain.
            continue;
        };
        // SAFETY: a map value.
        let to = unsafe { (*backend).to };
        if (not_ipv4(&to) == 0) != (not_ipv4(asked) == 0) {
            break;
        }
        assign(backend);
        // SAFETY: a map value.
        count(|redirects| unsafe { &raw mut (*redirects).direct });
        return Some(to);
    }
    // SAFETY: a map value.
    count(|redirects| unsafe { &raw mut (*redirects).without_backend });
    None
}

/// A pod of this node while one of two has room, else the less loaded of two of all.
#[inline(always)]
fn choose(target: u32, switch: Switch) -> Option<*const Backend> {
    let generation = switch.generation();
    let mut count = switch.local();
    let mut round = 0;
    while round < 2 {
        round += 1;
        if let Some((backend, load)) = best_of_two(target, generation, count) {
            // SAFETY: a map value.
            let room = unsafe { (*backend).room };
            if round == 2 || room == 0 || load < u64::from(room) {
                return Some(backend);
            }
        }
        count = switch.count();
    }
    None
}

#[inline(always)]
fn best_of_two(target: u32, generation: u32, count: u32) -> Option<(*const Backend, u64)> {
    if count == 0 {
        return None;
    }
    let first = pick(target, generation, random(count));
    let second = pick(target, generation, random(count));
    match (first, second) {
        (Some(a), Some(b)) => Some(if b.1 < a.1 { b } else { a }),
        (a, None) => a,
        (None, b) => b,
    }
}

#[inline(always)]
fn random(count: u32) -> u32 {
    // SAFETY: no argument.
    (unsafe { bpf_get_prandom_u32() }) % count
}

/// A pod of the list that takes connections, and its load.
#[inline(always)]
fn pick(target: u32, generation: u32, index: u32) -> Option<(*const Backend, u64)> {
    let key = BackendKey {
        target,
        generation,
        index,
    };
    let backend = BACKENDS.get_ptr(&key)?;
    // SAFETY: a map value.
    let shared = SHARED.get_ptr(unsafe { (*backend).pod })?;
    // SAFETY: a map value.
    let (draining, in_flight, assigned) = unsafe { ((*shared).draining, (*shared).in_flight, (*shared).assigned) };
    if draining != 0 {
        return None;
    }
    let load = in_flight.wrapping_add(assigned);
    Some((backend, if (load as i64) < 0 { 0 } else { load }))
}

/// Looks at up to [`MAX_WALK`] neighbours. (A list of which more drain at once is replaced by the daemon.)
#[inline(always)]
fn any(target: u32, switch: Switch) -> Option<*const Backend> {
    let (generation, count) = (switch.generation(), switch.count());
    if count == 0 {
        return None;
    }
    let start = random(count);
    let mut step = 0;
    while step < MAX_WALK && step < count {
        if let Some((backend, _)) = pick(target, generation, (start + step) % count) {
            return Some(backend);
        }
        step += 1;
    }
    None
}

/// A pod of another node looks busier until that node tells.
#[inline(always)]
fn assign(backend: *const Backend) {
    // SAFETY: map values.
    unsafe {
        if (*backend).flags & BACKEND_REMOTE == 0 {
            return;
        }
        if let Some(shared) = SHARED.get_ptr_mut((*backend).pod) {
            add(&raw mut (*shared).assigned, 1);
        }
    }
}
