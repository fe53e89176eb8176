// SPDX-License-Identifier: Apache-2.0
//! Debian's own kernel, fetched and unpacked, never installed.
//!
//! Mechanism: `linux-image-cloud-amd64` names the package of the newest build; that is downloaded and unpacked into
//! `target/kernels/<release>`.
//! Depends on: apt-get, dpkg-deb.

use super::debian;
use crate::place;
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const META: &str = "linux-image-cloud-amd64";

/// An unpacked kernel.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// As `uname -r` prints it.
    pub(crate) release: String,
    /// The bootable image.
    pub(crate) image: PathBuf,
    /// Its modules.
    pub(crate) modules: PathBuf,
}

/// The kernels in `target/kernels`.
pub(crate) fn unpacked() -> Vec<Kernel> {
    let folders = fs::read_dir(folder()).into_iter().flatten().flatten();
    let mut kernels: Vec<_> = folders.filter_map(|entry| kernel(&entry.path())).collect();
    kernels.sort_by(|a, b| a.release.cmp(&b.release));
    kernels
}

/// Fetches Debian's kernel if none is there.
pub(crate) fn fetch() -> Result<()> {
    if !unpacked().is_empty() {
        return Ok(());
    }
    if place::program("apt-get").is_none() {
        bail!("this is not Debian: unpack its {META} into target/kernels/<release> by hand");
    }
    eprintln!("setup: {META} is missing: the tests boot it; it is unpacked into target/kernels, not installed");
    fs::create_dir_all(folder()).context("making target/kernels")?;
    debian::with_lists(download)
}

fn download() -> Result<()> {
    let depends = process::output(Command::new("apt-cache").args(["depends", META]))?;
    let package = image_package(&depends).with_context(|| format!("{META} names no image"))?;
    process::run(debian::apt(&["download", package]).current_dir(folder()))?;
    let release = package.trim_start_matches("linux-image-");
    for entry in fs::read_dir(folder()).context("reading target/kernels")? {
        let file = entry.context("reading target/kernels")?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            process::run(
                Command::new("dpkg-deb")
                    .arg("-x")
                    .arg(&file)
                    .arg(folder().join(release)),
            )?;
            fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
        }
    }
    Ok(())
}

fn image_package(depends: &str) -> Option<&str> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with("linux-image-"))
}

fn kernel(folder: &Path) -> Option<Kernel> {
    let release = folder.file_name()?.to_str()?.to_owned();
    let image = folder.join("boot").join(format!("vmlinuz-{release}"));
    let modules = folder.join("lib/modules").join(&release);
    (image.exists() && modules.exists()).then_some(Kernel {
        release,
        image,
        modules,
    })
}

fn folder() -> PathBuf {
    place::target().join("kernels")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_the_one_the_meta_package_depends_on() {
        let depends = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-41-cloud-amd64\n";
        assert_eq!(image_package(depends), Some("linux-image-6.1.0-41-cloud-amd64"));
        assert_eq!(image_package("linux-image-cloud-amd64\n"), None);
    }
}
