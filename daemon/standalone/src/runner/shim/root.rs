// SPDX-License-Identifier: Apache-2.0
//! What a container sees as `/`.
//!
//! Problem: a path in an image may lead anywhere by a symbolic link; mounting on it from outside would follow the link out.
//! Mechanism: what is to be mounted is opened as a detached tree first; then the new root becomes the root; only then are
//! the trees put in their places, where no link leads out any more.
//! Invariants: only this process's own mounts change, and below them only the container's own folder.
//! Depends on: plan.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use crate::runner::plan::{Mount, Plan, Root};

const NONE: Option<&Path> = None;
/// Devices of every container.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Makes the plan's root the root, with all its mounts.
pub(super) fn enter(plan: &Plan) -> Result<(), String> {
    let trees: Vec<OwnedFd> = plan
        .mounts
        .iter()
        .map(|mount| tree(&mount.source, false))
        .collect::<Result<_, _>>()?;
    if let Root::Layers {
        base,
        lower,
        upper,
        is_machine,
    } = &plan.root
    {
        layered(base, lower, upper, *is_machine)?;
    }
    let makes = plan.root != Root::Machine;
    if plan.read_only {
        for (mount, tree) in plan.mounts.iter().zip(&trees) {
            make_for(mount, tree)?;
        }
        seal()?;
    }
    for (mount, tree) in plan.mounts.iter().zip(&trees) {
        place(mount, tree, makes)?;
    }
    Ok(())
}

fn tree(source: &Path, recursive: bool) -> Result<OwnedFd, String> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, source, flags).map_err(|error| format!("mounting {}: {error}", source.display()))
}

fn attach(tree: &OwnedFd, target: &Path) -> Result<(), String> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    move_mount(tree.as_fd(), "", CWD, target, flags)
        .map_err(|error| format!("mounting on {}: {error}", target.display()))
}

fn place(wanted: &Mount, tree: &OwnedFd, makes: bool) -> Result<(), String> {
    let target = wanted.target.as_path();
    if makes {
        make_for(wanted, tree)?;
    }
    attach(tree, target)?;
    if wanted.read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(NONE, target, NONE, flags, NONE).map_err(|error| format!("{} read-only: {error}", target.display()))?;
    }
    Ok(())
}

/// Its place, if that is not there.
fn make_for(wanted: &Mount, tree: &OwnedFd) -> Result<(), String> {
    let target = wanted.target.as_path();
    if target.exists() {
        return Ok(());
    }
    make_place(target, wanted.source.is_dir() || is_folder(tree))
        .map_err(|error| format!("making {}: {error}", target.display()))
}

/// Makes all that is mounted read-only, but for the kernel's own folders: `/dev/shm` and devices stay as they are.
fn seal() -> Result<(), String> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("mountinfo: {error}"))?;
    for row in table.lines().map(|line| line.split(' ').collect::<Vec<_>>()) {
        let (Some(path), Some(options)) = (row.get(4), row.get(5)) else {
            continue;
        };
        let path = PathBuf::from(path.replace("\\040", " "));
        if ["/proc", "/sys", "/dev"]
            .iter()
            .any(|kernels| path.starts_with(kernels))
        {
            continue;
        }
        let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        // What is not said again is taken away.
        for (word, flag) in [
            ("nosuid", MsFlags::MS_NOSUID),
            ("nodev", MsFlags::MS_NODEV),
            ("noexec", MsFlags::MS_NOEXEC),
        ] {
            flags.set(flag, options.split(',').any(|option| option == word));
        }
        match mount(NONE, &path, NONE, flags, NONE) {
            // Another mount hides it: nobody gets there.
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
            Err(error) => return Err(format!("{} read-only: {error}", path.display())),
        }
    }
    Ok(())
}

fn is_folder(tree: &OwnedFd) -> bool {
    rustix::fs::fstat(tree).is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}

fn make_place(target: &Path, is_folder: bool) -> std::io::Result<()> {
    if is_folder {
        return fs::create_dir_all(target);
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::File::create(target).map(drop)
}

/// Layers under a folder of its own become the root.
fn layered(base: &Path, lower: &[String], upper: &Path, is_machine: bool) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{}: {error}", upper.display());
    let [written, work, root] = ["upper", "work", "root"].map(|name| upper.join(name));
    for folder in [&written, &work, &root] {
        fs::create_dir_all(folder).map_err(said)?;
    }
    let system: Vec<(PathBuf, OwnedFd)> = if is_machine { machine_mounts(&root)? } else { devices()? };
    // Relative, since all of them must fit into one page.
    chdir(base).map_err(|error| format!("{}: {error}", base.display()))?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.join(":"),
        written.display(),
        work.display()
    );
    mount(
        Some("overlay"),
        &root,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .map_err(|error| format!("mounting the image (overlay): {error}"))?;
    chdir(&root).map_err(|error| format!("the new root: {error}"))?;
    // The old root ends up over the new one and is taken away there: pivot_root(2).
    pivot_root(".", ".").map_err(|error| format!("pivot_root: {error}"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(|error| format!("leaving the old root: {error}"))?;
    chdir("/").map_err(|error| format!("the new root: {error}"))?;
    if !is_machine {
        kernel_folders()?;
    }
    for (path, tree) in &system {
        // A place that the layers do not have under this name is no reason to fail.
        if path.exists() || (path.starts_with("/dev") && fs::File::create(path).is_ok()) {
            attach(tree, path)?;
        }
    }
    Ok(())
}

/// What is mounted on the machine's root, for one that is seen through a layer.
fn machine_mounts(own: &Path) -> Result<Vec<(PathBuf, OwnedFd)>, String> {
    let table = fs::read_to_string("/proc/self/mountinfo").map_err(|error| format!("mountinfo: {error}"))?;
    let rows = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let rows: Vec<Vec<&str>> = rows.filter(|row| row.len() > 5).collect();
    let root = rows
        .iter()
        .rev()
        .find(|row| row.get(4) == Some(&"/"))
        .and_then(|row| row.first());
    let mut trees = Vec::new();
    for row in rows.iter().filter(|row| row.get(1) == root && row.get(4) != Some(&"/")) {
        let path = PathBuf::from(row.get(4).copied().unwrap_or_default().replace("\\040", " "));
        if own.starts_with(&path) && path == own {
            continue;
        }
        if let Ok(tree) = tree(&path, true) {
            trees.push((path, tree));
        }
    }
    Ok(trees)
}

fn devices() -> Result<Vec<(PathBuf, OwnedFd)>, String> {
    let paths = DEVICES.iter().map(|name| Path::new("/dev").join(name));
    paths
        .filter(|path| path.exists())
        .map(|path| tree(&path, false).map(|tree| (path, tree)))
        .collect()
}

/// `/proc`, `/sys` and `/dev` of a container.
fn kernel_folders() -> Result<(), String> {
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NODEV;
    let new = |kind: &'static str, target: &'static str, flags: MsFlags, options: Option<&'static str>| {
        fs::create_dir_all(target).map_err(|error| format!("{target}: {error}"))?;
        mount(Some(kind), target, Some(kind), flags, options).map_err(|error| format!("mounting {target}: {error}"))
    };
    new("proc", "/proc", safe, None)?;
    let parts = ["/proc/sys", "/proc/sysrq-trigger"].map(Path::new);
    for part in parts.into_iter().filter(|part| part.exists()) {
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(Some(part), part, NONE, MsFlags::MS_BIND, NONE)
            .and_then(|()| mount(NONE, part, NONE, read_only, NONE))
            .map_err(|error| format!("{}: {error}", part.display()))?;
    }
    new("sysfs", "/sys", safe | MsFlags::MS_RDONLY, None)?;
    new("tmpfs", "/dev", MsFlags::MS_NOSUID, Some("mode=755,size=64k"))?;
    new("tmpfs", "/dev/shm", safe, Some("mode=1777,size=64m"))?;
    for (name, to) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        let path = Path::new("/dev").join(name);
        std::os::unix::fs::symlink(Path::new("/proc/self").join(to), path).map_err(|error| format!("/dev: {error}"))?;
    }
    Ok(())
}
