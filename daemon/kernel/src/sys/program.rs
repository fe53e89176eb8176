// SPDX-License-Identifier: Apache-2.0
//! Programs: loading tiny ones (to probe), asking what is attached, what one costs.
//!
//! Problem: what a kernel can do is found by trying, not by its version.
//! Mechanism: BPF_PROG_LOAD of a few hand-assembled instructions, BPF_PROG_QUERY, BPF_OBJ_GET_INFO_BY_FD.
//! Depends on: `sys`.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use super::{Command, bpf, link::AttachPoint, object, owned};

/// Kind of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Kind {
    /// cgroup_skb.
    CgroupSkb = 8,
    /// sock_ops.
    SockOps = 13,
    /// cgroup sock_addr.
    SockAddr = 18,
    /// Iterators.
    Tracing = 26,
}

/// One instruction.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    /// Any instruction.
    pub const fn new(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Self {
        Self {
            code,
            registers: to | from << 4,
            offset,
            immediate,
        }
    }
    /// `to = value`
    pub const fn set(to: u8, value: i32) -> Self {
        Self::new(0xb7, to, 0, 0, value)
    }
    /// `to = from`
    pub const fn copy(to: u8, from: u8) -> Self {
        Self::new(0xbf, to, from, 0, 0)
    }
    /// Calls a helper.
    pub const fn call(helper: i32) -> Self {
        Self::new(0x85, 0, 0, 0, helper)
    }
    /// Returns r0.
    pub const fn exit() -> Self {
        Self::new(0x95, 0, 0, 0, 0)
    }
    /// `to = *(u64 *)(from + offset)`
    pub const fn load(to: u8, from: u8, offset: i16) -> Self {
        Self::new(0x79, to, from, offset, 0)
    }
    /// `*(u64 *)(to + offset) = from`
    pub const fn store(to: u8, from: u8, offset: i16) -> Self {
        Self::new(0x7b, to, from, offset, 0)
    }
    /// `from = *(u64 *)(to + offset)`, to which `from` is added, in one step.
    pub const fn fetch_add(to: u8, from: u8, offset: i16) -> Self {
        Self::new(0xdb, to, from, offset, 1)
    }
    /// Goes on `skip` instructions later when `register` is 0.
    pub const fn skip_if_zero(register: u8, skip: i16) -> Self {
        Self::new(0x15, register, 0, skip, 0)
    }
    /// `to = ` address of a map.
    pub fn map(to: u8, map: BorrowedFd<'_>) -> [Self; 2] {
        [Self::new(0x18, to, 1, 0, map.as_raw_fd()), Self::new(0, 0, 0, 0, 0)]
    }
    /// `to = ` address of the function `skip` instructions later.
    pub const fn function(to: u8, skip: i32) -> [Self; 2] {
        [Self::new(0x18, to, 4, 0, skip), Self::new(0, 0, 0, 0, 0)]
    }
}

/// What the kernel says about a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// Program id.
    pub id: u32,
    /// Kind as a number.
    pub kind: u32,
    /// Hash of its instructions.
    pub tag: [u8; 8],
    /// Bytes of machine code.
    pub machine_code: u32,
    /// Instructions the verifier looked at.
    pub verified: u32,
    /// Time spent in it, while kernel.bpf_stats_enabled is 1.
    pub run_time_ns: u64,
    /// Times it ran, while kernel.bpf_stats_enabled is 1.
    pub runs: u64,
}

#[repr(C)]
struct LoadAttr {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    expected_attach_type: u32,
    btf: u32,
    func_info_size: u32,
    func_info: u64,
    func_info_count: u32,
    line_info_size: u32,
    line_info: u64,
    line_info_count: u32,
    attach_btf_id: u32,
}

#[repr(C)]
struct QueryAttr {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    pad: u32,
}

#[repr(C)]
#[derive(Default)]
struct RawInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited: u32,
    xlated: u32,
    skipped: [u64; 2],
    load_time: u64,
    uid: u32,
    map_count: u32,
    maps: u64,
    name: [u8; 16],
    ifindex: u32,
    gpl: u32,
    netns: [u64; 2],
    jited_counts: [u32; 2],
    jited_pointers: [u64; 2],
    btf: u32,
    func_info_size: u32,
    func_info: u64,
    info_counts: [u32; 2],
    info_pointers: [u64; 2],
    line_counts: [u32; 2],
    line_size: u32,
    tag_count: u32,
    tags: u64,
    run_time: u64,
    runs: u64,
    missed: u64,
    verified: u32,
    pad: u32,
}

const _: () = assert!(std::mem::offset_of!(RawInfo, run_time) == 192 && std::mem::offset_of!(RawInfo, verified) == 216);

/// Loads a program that calls nothing GPL-only or says it may (licence GPL).
pub fn load(kind: Kind, expected: Option<AttachPoint>, instructions: &[Instruction]) -> io::Result<OwnedFd> {
    load_for(kind, expected, instructions, 0)
}

/// As [`load`], for a function of the kernel given by its BTF id.
pub(crate) fn load_for(
    kind: Kind,
    expected: Option<AttachPoint>,
    instructions: &[Instruction],
    btf_id: u32,
) -> io::Result<OwnedFd> {
    let mut attr = LoadAttr {
        kind: kind as u32,
        instruction_count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"sluice_probe\0\0\0\0",
        ifindex: 0,
        expected_attach_type: expected.map_or(0, |at| at as u32),
        btf: 0,
        func_info_size: 0,
        func_info: 0,
        func_info_count: 0,
        line_info_size: 0,
        line_info: 0,
        line_info_count: 0,
        attach_btf_id: btf_id,
    };
    let mut attempts = 0;
    loop {
        attempts += 1;
        // SAFETY: LoadAttr is a prefix of what PROG_LOAD reads; instructions and licence outlive the call.
        match unsafe { bpf(Command::ProgLoad, &mut attr) } {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && attempts < ATTEMPTS => {}
            loaded => return loaded.map(owned),
        }
    }
}

/// The verifier gives up with EAGAIN when a signal is pending (kernel/bpf/verifier.c), which says nothing of the program.
const ATTEMPTS: u32 = 10;

/// Ids of the programs attached to a cgroup itself (not those it inherits).
pub fn attached(cgroup: BorrowedFd<'_>, at: AttachPoint) -> io::Result<Vec<u32>> {
    let mut ids = vec![0_u32; 64];
    loop {
        let mut attr = QueryAttr {
            target: cgroup.as_raw_fd() as u32,
            attach_type: at as u32,
            query_flags: 0,
            attach_flags: 0,
            programs: ids.as_mut_ptr() as u64,
            count: ids.len() as u32,
            pad: 0,
        };
        // SAFETY: QueryAttr is a prefix of what PROG_QUERY reads; `ids` has room for `count` entries.
        match unsafe { bpf(Command::ProgQuery, &mut attr) } {
            Ok(_) => {
                ids.truncate(attr.count as usize);
                return Ok(ids);
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && ids.len() < 4096 => {
                ids.resize(ids.len() * 4, 0)
            }
            Err(error) => return Err(error),
        }
    }
}

/// Opens a loaded program.
pub fn by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = [id, 0, 0];
    // SAFETY: PROG_GET_FD_BY_ID reads three words.
    unsafe { bpf(Command::ProgFdById, &mut attr) }.map(owned)
}

/// Asks the kernel about a program.
pub fn info(program: BorrowedFd<'_>) -> io::Result<ProgramInfo> {
    let mut raw = RawInfo::default();
    // SAFETY: RawInfo is a prefix of bpf_prog_info, all pointers and counts 0.
    unsafe { object::info(program, &mut raw) }?;
    Ok(ProgramInfo {
        id: raw.id,
        kind: raw.kind,
        tag: raw.tag,
        machine_code: raw.jited,
        verified: raw.verified,
        run_time_ns: raw.run_time,
        runs: raw.runs,
    })
}
