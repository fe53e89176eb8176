// SPDX-License-Identifier: Apache-2.0
//! The file system that BPF programs, links and maps are pinned on.
//!
//! Problem: systemd mounts it at boot; machines without systemd, and most containers, lack it.
//! Mechanism: mounted when `/proc/self/mounts` does not know it; it stays, as it would where systemd mounts it.
//! Invariants: idempotent.
//! Depends on: mount(8), root.

use crate::place;
use crate::process;
use anyhow::{Context, Result};
use std::fs;
use std::process::Command;

const PATH: &str = "/sys/fs/bpf";

/// Mounts it if it is missing; where that is not allowed, says how.
pub(super) fn mount() -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("reading /proc/self/mounts")?;
    if is_mounted(&mounts) {
        return Ok(());
    }
    eprintln!("setup: no bpffs at {PATH}: what outlives a process is pinned there");
    if !place::is_root() {
        eprintln!("setup: not root; later: sudo mount -t bpf bpf {PATH}");
        return Ok(());
    }
    process::run(Command::new("mount").args(["-t", "bpf", "bpf", PATH]))
}

fn is_mounted(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some(PATH) && fields.next() == Some("bpf")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bpffs_in_its_usual_place_counts() {
        assert!(is_mounted("proc /proc proc rw 0 0\nnone /sys/fs/bpf bpf rw 0 0\n"));
        assert!(!is_mounted(
            "bpf /run/mine bpf rw 0 0\ntmpfs /sys/fs/bpf tmpfs rw 0 0\n"
        ));
    }
}
