// SPDX-License-Identifier: Apache-2.0
//! Links between programs and cgroups.
//!
//! Problem: a restart must adopt what is attached and swap the program without a moment in which none runs.
//! Mechanism: BPF_LINK_CREATE with flags 0 (a cgroup link is multi-attach by nature; BPF_F_ALLOW_MULTI is EINVAL),
//! BPF_LINK_UPDATE with BPF_F_REPLACE and the old program, BPF_LINK_DETACH.
//! Invariants: `replace` fails with EPERM rather than overwrite a program it did not expect.
//! Depends on: `sys`.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use super::{Command, bpf, object, owned};

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum AttachPoint {
    /// cgroup_skb ingress.
    Ingress = 0,
    /// cgroup_skb egress.
    Egress = 1,
    /// sock_ops.
    SockOps = 3,
    /// cgroup/connect4.
    Connect4 = 10,
    /// cgroup/connect6.
    Connect6 = 11,
    /// Iterator over a kernel object.
    Iterator = 28,
    /// cgroup/getpeername4.
    GetPeerName4 = 29,
    /// cgroup/getpeername6.
    GetPeerName6 = 30,
}

/// What the kernel says about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Link id.
    pub id: u32,
    /// Program behind it.
    pub program: u32,
    /// Cgroup id; 0 = the cgroup is gone and nothing is attached any more.
    pub cgroup: u64,
    /// `AttachPoint` as a number.
    pub attach_point: u32,
}

/// BPF_LINK_TYPE_CGROUP.
const TYPE_CGROUP: u32 = 3;
const BPF_F_REPLACE: u32 = 1 << 2;

#[repr(C)]
struct CreateAttr {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
struct UpdateAttr {
    link: u32,
    new: u32,
    flags: u32,
    old: u32,
}

#[repr(C)]
#[derive(Default)]
struct RawInfo {
    kind: u32,
    id: u32,
    program: u32,
    pad: u32,
    cgroup: u64,
    attach_type: u32,
    pad2: u32,
}

/// Attaches a program to a cgroup beside whatever is attached there.
pub fn create(program: BorrowedFd<'_>, cgroup: BorrowedFd<'_>, at: AttachPoint) -> io::Result<OwnedFd> {
    let mut attr = CreateAttr {
        program: program.as_raw_fd() as u32,
        target: cgroup.as_raw_fd() as u32,
        attach_type: at as u32,
        flags: 0,
    };
    // SAFETY: CreateAttr is a prefix of what LINK_CREATE reads, without pointers.
    unsafe { bpf(Command::LinkCreate, &mut attr) }.map(owned)
}

/// Puts `new` in the place of `old`, atomically; fails when the link's program is not `old`.
pub fn replace(link: BorrowedFd<'_>, new: BorrowedFd<'_>, old: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = UpdateAttr {
        link: link.as_raw_fd() as u32,
        new: new.as_raw_fd() as u32,
        flags: BPF_F_REPLACE,
        old: old.as_raw_fd() as u32,
    };
    // SAFETY: UpdateAttr is what LINK_UPDATE reads, without pointers.
    unsafe { bpf(Command::LinkUpdate, &mut attr) }.map(drop)
}

/// Detaches at once, whoever else holds the link.
pub fn detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = link.as_raw_fd() as u32;
    // SAFETY: LINK_DETACH reads one descriptor number.
    unsafe { bpf(Command::LinkDetach, &mut attr) }.map(drop)
}

/// Asks the kernel about a cgroup link.
pub fn info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    let mut raw = RawInfo::default();
    // SAFETY: RawInfo is a prefix of bpf_link_info, integers only.
    unsafe { object::info(link, &mut raw) }?;
    if raw.kind != TYPE_CGROUP {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a cgroup link"));
    }
    Ok(LinkInfo {
        id: raw.id,
        program: raw.program,
        cgroup: raw.cgroup,
        attach_point: raw.attach_type,
    })
}
