// SPDX-License-Identifier: Apache-2.0
//! Kernels of Debian releases, fetched and unpacked, never installed.
//!
//! Mechanism: `linux-image-cloud-amd64` names the package of the newest build; that is downloaded and unpacked into
//! `target/kernels/<release>`. Other releases than the machine's own are asked for at the machine's own mirror, with lists of
//! their own in that folder: the machine's sources stay as they are.
//! Depends on: apt-get, dpkg-deb.

use super::debian;
use crate::place;
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const META: &str = "linux-image-cloud-amd64";
/// Debian releases with another kernel, and which.
const OTHERS: [(&str, &str); 2] = [("bullseye", "5.10"), ("trixie", "6.12")];
/// Since when a kernel can have each tier, the best first: bpf_loop, atomic instructions that answer.
const TIERS: [((u32, u32), &str); 2] = [((5, 17), "exact"), ((5, 12), "connections")];

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

impl Kernel {
    /// Whether it is of this major and minor version, as `5.10`.
    pub(crate) fn is(&self, version: &str) -> bool {
        self.release
            .strip_prefix(version)
            .is_some_and(|rest| rest.starts_with('.'))
    }

    /// The best tier that it can have.
    pub(crate) fn tier(&self) -> &'static str {
        let mut numbers = self
            .release
            .split(['.', '-'])
            .map(|number| number.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let best = TIERS.iter().find(|(since, _)| version >= *since);
        best.map_or("none", |(_, tier)| tier)
    }
}

/// The kernels in `target/kernels`; with those of other Debian releases, or without.
pub(crate) fn unpacked(with_others: bool) -> Vec<Kernel> {
    let mut kernels = unpacked_in(&folder());
    if with_others {
        kernels.extend(unpacked_in(&others()));
    }
    kernels
}

fn unpacked_in(folder: &Path) -> Vec<Kernel> {
    let folders = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut kernels: Vec<_> = folders.filter_map(|entry| kernel(&entry.path())).collect();
    kernels.sort_by(|a, b| a.release.cmp(&b.release));
    kernels
}

/// Fetches Debian's kernel if none is there.
pub(crate) fn fetch() -> Result<()> {
    if !unpacked(false).is_empty() {
        return Ok(());
    }
    if place::program("apt-get").is_none() {
        bail!("this is not Debian: unpack its {META} into target/kernels/<release> by hand");
    }
    eprintln!("setup: {META} is missing: the tests boot it; it is unpacked into target/kernels, not installed");
    fs::create_dir_all(folder()).context("making target/kernels")?;
    debian::with_lists(|| download(&folder(), &[]))
}

/// Fetches the kernels of other Debian releases; what cannot be had is said and left out.
pub(crate) fn fetch_others() {
    for (release, version) in OTHERS {
        if unpacked(true).iter().any(|kernel| kernel.is(version)) {
            continue;
        }
        eprintln!(
            "setup: Linux {version} of Debian {release} is missing: the tests boot it; it is unpacked into target/kernels"
        );
        let place = others().join(format!("apt-{release}"));
        if let Err(error) = fetch_of(release, &place) {
            eprintln!("setup: Linux {version} cannot be had: {error:#}");
        }
        // Lists of packages; whatever stays is no kernel.
        _ = fs::remove_dir_all(place);
    }
}

/// By apt with a source and lists of its own.
fn fetch_of(release: &str, place: &Path) -> Result<()> {
    if place::program("apt-get").is_none() {
        bail!("this is not Debian");
    }
    for inner in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(place.join(inner)).with_context(|| format!("making {}", place.display()))?;
    }
    let source = place.join("sources.list");
    fs::write(&source, format!("deb {} {release} main\n", mirror()?))
        .with_context(|| format!("writing {}", source.display()))?;
    let options = [
        format!("Dir::Etc::SourceList={}", source.display()),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", place.join("lists").display()),
        format!("Dir::Cache={}", place.join("cache").display()),
        "Acquire::Languages=none".to_owned(),
    ];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
    process::run(debian::apt(&["update"]).args(&options))?;
    download(&others(), &options)
}

/// Where this machine has its own Debian from.
fn mirror() -> Result<String> {
    let listed = ["indextargets", "--format", "$(ORIGIN) $(RELEASE) $(REPO_URI)"];
    let targets = process::output(Command::new("apt-get").args(listed).arg("Created-By: Packages"))?;
    mirror_in(&targets).context("apt-get names no mirror of Debian; run `apt-get update`")
}

/// The main archive: releases like `bookworm-security` lie elsewhere.
fn mirror_in(targets: &str) -> Option<String> {
    targets
        .lines()
        .find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["Debian", release, uri] if !release.contains('-') => Some(uri.to_owned()),
            _ => None,
        })
}

fn download(folder: &Path, options: &[&str]) -> Result<()> {
    let depends = process::output(Command::new("apt-cache").args(["depends", META]).args(options))?;
    let package = image_package(&depends).with_context(|| format!("{META} names no image"))?;
    process::run(debian::apt(&["download", package]).args(options).current_dir(folder))?;
    let release = package.trim_start_matches("linux-image-");
    for entry in fs::read_dir(folder).context("reading target/kernels")? {
        let file = entry.context("reading target/kernels")?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            process::run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(folder.join(release)))?;
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
    // Since Debian 13 under /usr.
    let modules = ["lib/modules", "usr/lib/modules"]
        .map(|inner| folder.join(inner).join(&release))
        .into_iter()
        .find(|modules| modules.exists())?;
    image.exists().then_some(Kernel {
        release,
        image,
        modules,
    })
}

fn folder() -> PathBuf {
    place::target().join("kernels")
}

fn others() -> PathBuf {
    folder().join("others")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(release: &str) -> Kernel {
        Kernel {
            release: release.to_owned(),
            image: PathBuf::new(),
            modules: PathBuf::new(),
        }
    }

    #[test]
    fn versions_are_told_apart_and_have_their_tiers() {
        let [old, own, new] = [
            "5.10.0-32-cloud-amd64",
            "6.1.0-56-cloud-amd64",
            "6.12.107+deb13-cloud-amd64",
        ]
        .map(kernel);
        assert!(old.is("5.10") && !old.is("5.1") && !new.is("6.1"));
        assert_eq!([&old, &own, &new].map(Kernel::tier), ["none", "exact", "exact"]);
        assert_eq!(kernel("5.17.1").tier(), "exact");
        assert_eq!(kernel("5.16.20").tier(), "connections");
    }

    #[test]
    fn the_mirror_is_that_of_the_main_archive() {
        let targets = "Debian bookworm-security http://a/debian-security/\nElse bookworm http://b/\nDebian bookworm http://c/debian/\n";
        assert_eq!(mirror_in(targets).as_deref(), Some("http://c/debian/"));
        assert_eq!(mirror_in(""), None);
    }

    #[test]
    fn the_image_is_the_one_the_meta_package_depends_on() {
        let depends = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-41-cloud-amd64\n";
        assert_eq!(image_package(depends), Some("linux-image-6.1.0-41-cloud-amd64"));
        assert_eq!(image_package("linux-image-cloud-amd64\n"), None);
    }
}
