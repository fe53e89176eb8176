// SPDX-License-Identifier: Apache-2.0
//! Where things are: folders of the checkout and programs of the machine.
//!
//! Depends on: nothing.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The workspace's target folder.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The folder the BPF objects are copied to.
pub(crate) fn objects() -> PathBuf {
    target().join("bpf")
}

/// The folder of what real Knative answered: `SLUICE_TESTDATA`, else beside the checkout.
#[expect(clippy::disallowed_methods, reason = "where folders are is what this module answers")]
pub(crate) fn test_data() -> PathBuf {
    let named = std::env::var_os("SLUICE_TESTDATA").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root().join("../shared/testdata"));
    // Runners start elsewhere.
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Where programs and what else is made once are kept, for every checkout of this user.
#[expect(clippy::disallowed_methods, reason = "where things are is what this module answers")]
pub(crate) fn cache() -> Result<PathBuf> {
    let own = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    own.or_else(home)
        .map(|folder| folder.join("sluice"))
        .context("neither XDG_CACHE_HOME nor HOME is set")
}

/// `PATH`.
#[expect(
    clippy::disallowed_methods,
    reason = "where programs are is what this module answers"
)]
pub(crate) fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Where `cargo install` puts programs; not every `PATH` names it.
#[expect(
    clippy::disallowed_methods,
    reason = "where programs are is what this module answers"
)]
fn installed() -> Option<PathBuf> {
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    own.or_else(home).map(|folder| folder.join("bin"))
}

/// The full path of a program, looked for in `PATH`, in cargo's folder and in the folders of system programs.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .chain(installed())
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/bin", "/usr/bin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| {
            file.metadata()
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        })
}

/// Whether this process has root's user id.
pub(crate) fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|me| me.uid() == 0)
}
