// SPDX-License-Identifier: Apache-2.0
//! Pin, forget everything, adopt, replace under traffic: one test a link type.
//!
//! Two programs count into one map; traffic of N events runs while one replaces the other as fast as it can. Exactly N
//! means that in every event exactly one of them ran.

use std::{os::fd::AsFd as _, os::fd::BorrowedFd, os::fd::OwnedFd, path::Path};

use kernel::sys::{
    link::{self, AttachPoint},
    map::{self, MMAPABLE, Shape, TYPE_ARRAY},
    mapped::Mapped,
    object,
    program::{self, Instruction, Kind},
};

use crate::rig::Rig;

const EVENTS: u64 = 2000;

const SEND: &str = r#"
import socket, sys
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); a.bind(("127.0.0.1", 0))
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); b.connect(a.getsockname())
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    b.send(b"x"); a.recv(1)
print("done")
"#;

const CONNECT: &str = r#"
import socket, sys
family = socket.AF_INET6 if sys.argv[2] == "6" else socket.AF_INET
server = socket.socket(family); server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0)); server.listen(16)
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    c = socket.socket(family); c.connect(server.getsockname()[:2]); s = server.accept()[0]
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"); c.close(); s.close()
print("done")
"#;

const ASK_PEER: &str = r#"
import socket, sys
family = socket.AF_INET6 if sys.argv[2] == "6" else socket.AF_INET
server = socket.socket(family); server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0)); server.listen(1)
c = socket.socket(family); c.connect(server.getsockname()[:2])
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    c.getpeername()
print("done")
"#;

#[test]
fn ingress_is_replaced_without_missing_a_packet() {
    replaced_under_traffic(Kind::CgroupSkb, AttachPoint::Ingress, SEND, "4");
}

#[test]
fn egress_is_replaced_without_missing_a_packet() {
    replaced_under_traffic(Kind::CgroupSkb, AttachPoint::Egress, SEND, "4");
}

#[test]
fn sock_ops_is_replaced_without_missing_a_connection() {
    replaced_under_traffic(Kind::SockOps, AttachPoint::SockOps, CONNECT, "4");
}

#[test]
fn connect4_is_replaced_without_missing_a_call() {
    replaced_under_traffic(Kind::SockAddr, AttachPoint::Connect4, CONNECT, "4");
}

#[test]
fn connect6_is_replaced_without_missing_a_call() {
    replaced_under_traffic(Kind::SockAddr, AttachPoint::Connect6, CONNECT, "6");
}

#[test]
fn getpeername4_is_replaced_without_missing_a_call() {
    replaced_under_traffic(Kind::SockAddr, AttachPoint::GetPeerName4, ASK_PEER, "4");
}

#[test]
fn getpeername6_is_replaced_without_missing_a_call() {
    replaced_under_traffic(Kind::SockAddr, AttachPoint::GetPeerName6, ASK_PEER, "6");
}

fn replaced_under_traffic(kind: Kind, at: AttachPoint, traffic: &str, family: &str) {
    let Some(mut rig) = Rig::new() else { return };
    let shape = Shape {
        kind: TYPE_ARRAY,
        key_size: 4,
        value_size: 8,
        max_entries: 1,
        flags: MMAPABLE,
    };
    let counter = map::create("counter", shape).unwrap();
    let seen = Mapped::new(counter.try_clone().unwrap()).unwrap();
    let pin = rig.pins.join("link");
    attach_and_forget(&rig, kind, at, counter.as_fd(), &pin);

    let mut traffic = rig.python(traffic, &[&EVENTS.to_string(), family]);
    let word = seen.word(0, 0).unwrap();
    traffic.say();
    let done = std::thread::spawn(move || traffic.line());
    let mut swaps = 0;
    while !done.is_finished() {
        adopt_and_replace(kind, at, counter.as_fd(), &pin);
        swaps += 1;
    }
    assert_eq!(done.join().unwrap(), "done");
    assert!(swaps > 10, "only {swaps} swaps under traffic");
    assert_eq!(
        word.load(std::sync::atomic::Ordering::SeqCst),
        EVENTS,
        "after {swaps} swaps"
    );
    detach_for_good(&rig, at, &pin);
}

fn attach_and_forget(rig: &Rig, kind: Kind, at: AttachPoint, counter: BorrowedFd<'_>, pin: &Path) {
    let program = counting(kind, at, counter);
    let cgroup = std::fs::File::open(&rig.cgroup).unwrap();
    let link = link::create(program.as_fd(), cgroup.as_fd(), at).unwrap();
    object::pin(link.as_fd(), pin).unwrap();
}

fn adopt_and_replace(kind: Kind, at: AttachPoint, counter: BorrowedFd<'_>, pin: &Path) {
    let link = object::get(pin).unwrap();
    let before = link::info(link.as_fd()).unwrap();
    assert_eq!(before.attach_point, at as u32);
    let old = program::by_id(before.program).unwrap();
    let new = counting(kind, at, counter);
    link::replace(link.as_fd(), new.as_fd(), old.as_fd()).unwrap();
    let after = link::info(link.as_fd()).unwrap();
    assert_eq!(
        (after.id, after.cgroup),
        (before.id, before.cgroup),
        "it is the same link"
    );
    assert_eq!(after.program, program::info(new.as_fd()).unwrap().id);
    let wrong = link::replace(link.as_fd(), old.as_fd(), old.as_fd()).unwrap_err();
    assert_eq!(
        wrong.raw_os_error(),
        Some(1),
        "EPERM: the program is no longer the expected one"
    );
}

fn detach_for_good(rig: &Rig, at: AttachPoint, pin: &Path) {
    let cgroup = std::fs::File::open(&rig.cgroup).unwrap();
    assert_eq!(program::attached(cgroup.as_fd(), at).unwrap().len(), 1);
    let link = object::get(pin).unwrap();
    link::detach(link.as_fd()).unwrap();
    assert!(program::attached(cgroup.as_fd(), at).unwrap().is_empty());
    assert_eq!(link::info(link.as_fd()).unwrap().cgroup, 0);
}

/// Adds 1 to the counter and lets everything pass; sock_ops only for a connection about to be made.
fn counting(kind: Kind, at: AttachPoint, counter: BorrowedFd<'_>) -> OwnedFd {
    let mut code = Vec::new();
    if kind == Kind::SockOps {
        code.push(Instruction::new(0x61, 2, 1, 0, 0)); // r2 = ctx->op
        code.push(Instruction::new(0x55, 2, 0, 9, 3)); // not BPF_SOCK_OPS_TCP_CONNECT_CB: leave
    }
    code.push(Instruction::new(0x62, 10, 0, -4, 0)); // *(u32 *)(r10 - 4) = 0
    code.push(Instruction::copy(2, 10));
    code.push(Instruction::new(0x07, 2, 0, 0, -4));
    code.extend(Instruction::map(1, counter));
    code.push(Instruction::call(1)); // bpf_map_lookup_elem
    code.push(Instruction::skip_if_zero(0, 2));
    code.push(Instruction::set(1, 1));
    code.push(Instruction::new(0xdb, 0, 1, 0, 0)); // lock *(u64 *)r0 += r1
    code.push(Instruction::set(0, 1));
    code.push(Instruction::exit());
    program::load(kind, Some(at), &code).unwrap()
}
