// SPDX-License-Identifier: Apache-2.0
//! A root file system in memory: busybox, some programs of this machine with their libraries, some modules.
//!
//! Mechanism: a folder is filled and packed by cpio; libraries are those that `ldd` names, at their own paths.
//! Invariants: the folder is made anew each time; the archive is not compressed (packing would take longer than booting).
//! Depends on: busybox-static, cpio, ldd.

use crate::place;
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Modules the suite's networks need, each with what it builds on; `insmod` is tried in turns until nothing more loads.
const MODULES: &[&str] = &[
    "lib/libcrc32c.ko",
    "net/netfilter/nfnetlink.ko",
    "net/netfilter/nf_tables.ko",
    "net/netfilter/nft_numgen.ko",
    "net/netfilter/nft_limit.ko",
    "net/ipv4/inet_diag.ko",
    "net/ipv4/tcp_diag.ko",
    "drivers/net/veth.ko",
    "drivers/net/tun.ko",
    "drivers/net/dummy.ko",
    "net/ipv4/netfilter/nf_defrag_ipv4.ko",
    "net/ipv6/netfilter/nf_defrag_ipv6.ko",
    "net/netfilter/nf_conntrack.ko",
    "net/netfilter/nft_ct.ko",
    "net/ipv4/netfilter/nf_reject_ipv4.ko",
    "net/ipv6/netfilter/nf_reject_ipv6.ko",
    "net/netfilter/nft_reject.ko",
    "net/netfilter/nft_reject_inet.ko",
    "net/netfilter/nf_nat.ko",
    "net/netfilter/nft_nat.ko",
    "net/netfilter/nft_chain_nat.ko",
];

/// A folder on its way to become an initramfs.
pub(super) struct Initramfs {
    folder: PathBuf,
}

impl Initramfs {
    /// With busybox only.
    pub(super) fn empty(folder: PathBuf) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
        }
        let this = Self { folder };
        for mount_point in ["proc", "sys", "dev", "tmp", "run", "root", "etc", "modules", "var/run"] {
            this.folder(Path::new(mount_point))?;
        }
        let busybox = place::program("busybox").context("no busybox; cargo xtask setup --for kernels")?;
        this.file(&busybox, Path::new("/bin/busybox"))?;
        Ok(this)
    }

    /// An empty folder.
    pub(super) fn folder(&self, inside: &Path) -> Result<()> {
        let folder = self.at(inside);
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))
    }

    /// A file as it is.
    pub(super) fn file(&self, from: &Path, inside: &Path) -> Result<()> {
        let to = self.at(inside);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        fs::copy(from, &to)
            .map(|_| ())
            .with_context(|| format!("copying {} to {}", from.display(), to.display()))
    }

    /// A program with the libraries it needs.
    pub(super) fn binary(&self, from: &Path, inside: &Path) -> Result<()> {
        self.file(from, inside)?;
        let listed = process::output(Command::new("ldd").arg(from))?;
        libraries(&listed)
            .iter()
            .try_for_each(|library| self.file(library, library))
    }

    /// A program of this machine, under `/usr/sbin`, which comes before busybox's.
    pub(super) fn program(&self, name: &str) -> Result<()> {
        let Some(found) = place::program(name) else {
            bail!("no {name}; cargo xtask setup --for kernels")
        };
        self.binary(&found, &Path::new("/usr/sbin").join(name))
    }

    /// The modules of a kernel, as far as it has them as modules.
    pub(super) fn modules(&self, kernel: &Path) -> Result<()> {
        for (turn, module) in MODULES.iter().enumerate() {
            let from = kernel.join("kernel").join(module);
            let name = from
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let inside = PathBuf::from(format!("/modules/{turn:02}-{name}"));
            let packed = from.with_extension("ko.xz");
            if from.exists() {
                self.file(&from, &inside)?;
            } else if packed.exists() {
                self.unpacked(&packed, &inside)?;
            }
        }
        Ok(())
    }

    fn unpacked(&self, from: &Path, inside: &Path) -> Result<()> {
        let to = self.at(inside);
        let output = Command::new("xz").arg("-dc").arg(from).output();
        let output = output.with_context(|| format!("unpacking {}", from.display()))?;
        if !output.status.success() {
            bail!("{} cannot be unpacked", from.display());
        }
        fs::write(&to, output.stdout).with_context(|| format!("writing {}", to.display()))
    }

    /// The first program of the guest; the suite runs in `folder`, as under cargo.
    pub(super) fn init(&self, folder: &Path, debug: bool, arguments: &str) -> Result<()> {
        let file = self.at(Path::new("/init"));
        let text = include_str!("init.sh")
            .replace("@FOLDER@", &folder.display().to_string())
            .replace("@DEBUG@", if debug { "1" } else { "" })
            .replace("@ARGUMENTS@", arguments);
        fs::write(&file, text).context("writing /init")?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).context("making /init executable")
    }

    /// Packs the folder and returns the archive's path.
    pub(super) fn pack(self) -> Result<PathBuf> {
        let archive = self.folder.with_extension("cpio");
        process::run(
            Command::new("sh")
                .current_dir(&self.folder)
                .args([
                    "-c",
                    "find . -print0 | cpio --null --quiet --create --format=newc > \"$0\"",
                ])
                .arg(&archive),
        )?;
        Ok(archive)
    }

    fn at(&self, inside: &Path) -> PathBuf {
        self.folder.join(inside.strip_prefix("/").unwrap_or(inside))
    }
}

/// The files in what `ldd` printed.
fn libraries(listed: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        line.split_whitespace()
            .find(|word| word.starts_with('/'))
            .map(PathBuf::from)
    };
    listed.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_names_libraries_and_the_loader() {
        let listed = "\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(libraries(listed), expected);
        assert!(libraries("\tstatically linked\n").is_empty());
    }
}
