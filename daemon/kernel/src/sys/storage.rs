// SPDX-License-Identifier: Apache-2.0
//! How many sockets have a value in an sk_storage map.
//!
//! Problem: socket storage cannot be enumerated by key; whether a generation still has connections must be known
//! exactly, in whatever network namespaces they are.
//! Mechanism: a BPF iterator over the map (5.9) whose program writes one byte per value; the number of bytes is the
//! answer. Its kernel function is found in the kernel's own BTF.
//! Depends on: `sys`.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use super::{
    Command, bpf,
    link::AttachPoint,
    owned,
    program::{self, Instruction, Kind},
};

const ITERATED: &[u8] = b"bpf_iter_bpf_sk_storage_map";
const SEQ_WRITE: i32 = 127;
/// Offset of the value in the iterator's context.
const VALUE: i16 = 24;

#[repr(C)]
struct LinkAttr {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    iter_info: u64,
    iter_info_length: u32,
    pad: u32,
}

/// Number of sockets that have a value in the map.
pub fn count(map: BorrowedFd<'_>) -> io::Result<usize> {
    let program = program::load_for(
        Kind::Tracing,
        Some(AttachPoint::Iterator),
        &one_byte_each(),
        function_id()?,
    )?;
    let mut reader = File::from(iterate(program.as_fd(), map)?);
    let mut total = 0;
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(total),
            bytes => total += bytes,
        }
    }
}

fn one_byte_each() -> [Instruction; 11] {
    [
        Instruction::load(2, 1, VALUE),
        Instruction::skip_if_zero(2, 7),
        Instruction::load(1, 1, 0),
        Instruction::load(1, 1, 0),
        Instruction::new(0x7a, 10, 0, -8, 1), // *(u64 *)(r10 - 8) = 1
        Instruction::copy(2, 10),
        Instruction::new(0x07, 2, 0, 0, -8), // r2 -= 8
        Instruction::set(3, 1),
        Instruction::call(SEQ_WRITE),
        Instruction::set(0, 0),
        Instruction::exit(),
    ]
}

fn iterate(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let info = map.as_raw_fd() as u32;
    let mut attr = LinkAttr {
        program: program.as_raw_fd() as u32,
        target: 0,
        attach_type: AttachPoint::Iterator as u32,
        flags: 0,
        iter_info: std::ptr::from_ref(&info) as u64,
        iter_info_length: size_of::<u32>() as u32,
        pad: 0,
    };
    // SAFETY: LinkAttr is a prefix of what LINK_CREATE reads; `info` outlives the call.
    let link = unsafe { bpf(Command::LinkCreate, &mut attr) }.map(owned)?;
    let mut attr = [link.as_raw_fd() as u32, 0];
    // SAFETY: ITER_CREATE reads a link and flags.
    unsafe { bpf(Command::IterCreate, &mut attr) }.map(owned)
}

/// BTF id of the iterated function in the kernel's own types.
fn function_id() -> io::Result<u32> {
    let unknown = || {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel's types have no iterator over socket storage",
        )
    };
    let types = fs::read(Path::new("/sys/kernel/btf/vmlinux"))?;
    find_function(&types, ITERATED).ok_or_else(unknown)
}

const BTF_HEADER: usize = 24;
const BTF_FUNC: u32 = 12;

/// Walks the type section (`struct btf_type`, then a tail whose length depends on the kind) and counts.
fn find_function(btf: &[u8], name: &[u8]) -> Option<u32> {
    let word = |at: usize| Some(u32::from_ne_bytes(btf.get(at..at + 4)?.try_into().ok()?));
    let header = word(4)? as usize;
    let (types, length) = (header + word(8)? as usize, word(12)? as usize);
    let strings = header + word(16)? as usize;
    (header >= BTF_HEADER).then_some(())?;
    let mut at = types;
    let mut id = 1;
    while at < types + length {
        let info = word(at + 4)?;
        let kind = info >> 24 & 0x1f;
        if kind == BTF_FUNC {
            let text = btf.get(strings + word(at)? as usize..)?;
            if text.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&0)) {
                return Some(id);
            }
        }
        at += 12 + tail(kind, (info & 0xffff) as usize);
        id += 1;
    }
    None
}

fn tail(kind: u32, members: usize) -> usize {
    match kind {
        1 | 14 | 17 => 4,                // INT, VAR, DECL_TAG
        3 => 12,                         // ARRAY
        4 | 5 | 15 | 19 => members * 12, // STRUCT, UNION, DATASEC, ENUM64
        6 | 13 => members * 8,           // ENUM, FUNC_PROTO
        _ => 0,
    }
}
