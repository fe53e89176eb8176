// SPDX-License-Identifier: Apache-2.0
//! What one instance has for itself: its folder, its cgroup, the names of its devices, the addresses of its pods.
//!
//! Problem: an instance removes what it made when it ends; another one with the same names would lose its pods' network.
//! Mechanism: locks that the kernel takes back when the process is gone, so that one that was killed can be followed.
//! Invariants: nothing is made before all is claimed, but the folders themselves; whoever is refused learns which option
//! to change.
//! Depends on: cli, standalone (ranges), nix.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

use ::standalone::runner::Range;

use crate::failure::{Exit, Failure, doing};

/// Ours for as long as it exists.
#[derive(Debug)]
pub(super) struct Claim {
    folders: [Folder; 2],
    _devices: UnixListener,
}

/// A folder with its lock.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// It was not there.
    is_new: bool,
    _lock: File,
}

impl Claim {
    /// Claims all of it.
    pub(super) fn take(run: &Path, cgroup: &Path, prefix: &str, pods: Range) -> Result<Self, Failure> {
        let claimed = Self::names(run, cgroup, prefix)?;
        match foreign(&format!("{prefix}br"), pods) {
            Some(device) => {
                claimed.give_back();
                let message = format!("--pod-cidr: {device} has an address in that range already");
                Err(Failure::new(Exit::Foreign, message, "choose another --pod-cidr"))
            }
            None => Ok(claimed),
        }
    }

    /// Claims all but addresses.
    pub(super) fn names(run: &Path, cgroup: &Path, prefix: &str) -> Result<Self, Failure> {
        let run = folder(run, "--run-dir", "choose another --run-dir")?;
        let cgroup = match folder(cgroup, "--cgroup", "choose another --cgroup") {
            Ok(cgroup) => cgroup,
            Err(failure) => {
                give_back(&[run]);
                return Err(failure);
            }
        };
        let folders = [run, cgroup];
        match devices(prefix) {
            Ok(devices) => Ok(Self {
                folders,
                _devices: devices,
            }),
            Err(failure) => {
                give_back(&folders);
                Err(failure)
            }
        }
    }

    /// Ends the claim of one who has made nothing: folders that it made go.
    pub(super) fn give_back(self) {
        give_back(&self.folders);
    }
}

fn give_back(folders: &[Folder]) {
    for folder in folders.iter().rev().filter(|folder| folder.is_new) {
        // What is in use meanwhile stays.
        let _ = fs::remove_dir(&folder.path);
    }
}

fn folder(path: &Path, option: &str, help: &'static str) -> Result<Folder, Failure> {
    let failed = || doing(format!("claiming {}", path.display()), help);
    let is_new = !path.exists();
    fs::create_dir_all(path).map_err(failed())?;
    let lock = File::open(path).map_err(failed())?;
    match lock.try_lock() {
        Ok(()) => Ok(Folder {
            path: path.to_owned(),
            is_new,
            _lock: lock,
        }),
        Err(TryLockError::WouldBlock) => Err(in_use(&path.display().to_string(), option)),
        Err(TryLockError::Error(error)) => Err(failed()(error)),
    }
}

/// The name belongs to the network namespace, as devices do.
fn devices(prefix: &str) -> Result<UnixListener, Failure> {
    let option = "--device-prefix";
    let name = SocketAddr::from_abstract_name(format!("sluice-devices-{prefix}"));
    let bound = name.and_then(|name| UnixListener::bind_addr(&name));
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => in_use(prefix, option),
        _ => doing(format!("claiming devices {prefix}…"), "choose another --device-prefix")(error),
    })
}

fn in_use(what: &str, option: &str) -> Failure {
    let message = format!("{option} {what} is in use by another `sluice standalone`");
    let help = format!("end that one, or choose another {option}; docs/standalone.md says what else must differ");
    Failure::new(Exit::Foreign, message, help)
}

/// A device that is not ours and has an address in the range.
fn foreign(bridge: &str, pods: Range) -> Option<String> {
    let mut devices = nix::ifaddrs::getifaddrs().ok()?;
    let is_foreign = |device: &nix::ifaddrs::InterfaceAddress| {
        let address = device.address.as_ref().and_then(|address| address.as_sockaddr_in());
        address.is_some_and(|address| is_within(address.ip(), pods)) && device.interface_name != bridge
    };
    devices.find(is_foreign).map(|device| device.interface_name)
}

fn is_within(address: Ipv4Addr, range: Range) -> bool {
    let free = 32_u8.saturating_sub(range.prefix);
    let fixed = u32::MAX.checked_shl(free.into()).unwrap_or(0);
    address.to_bits() & fixed == range.base.to_bits() & fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_another_is_refused_until_it_is_given_back() {
        let folder = std::env::temp_dir().join(format!("sluice-claim-{}", std::process::id()));
        let [run, cgroup, other] = ["run", "cgroup", "other"].map(|name| folder.join(name));
        let prefix = format!("t{}", std::process::id());
        let pods: Range = "198.18.0.0/16".parse().unwrap();
        let first = Claim::take(&run, &cgroup, &prefix, pods).unwrap();
        let message = |taken: Result<Claim, Failure>| taken.unwrap_err().into_parts().0;
        assert!(message(Claim::take(&run, &other, "other", pods)).starts_with("--run-dir"));
        assert!(message(Claim::take(&other, &cgroup, "other", pods)).starts_with("--cgroup"));
        assert!(message(Claim::take(&other, &other.join("cgroup"), &prefix, pods)).starts_with("--device-prefix"));
        assert!(!other.exists(), "whoever is refused leaves a folder");
        let loopback: Range = "127.0.0.0/8".parse().unwrap();
        assert!(message(Claim::take(&other, &other.join("cgroup"), "other", loopback)).starts_with("--pod-cidr"));
        assert!(!other.exists(), "whoever is refused leaves a folder");
        first.give_back();
        assert!(!run.exists() && !cgroup.exists(), "folders that were made stay");
        fs::create_dir(&run).unwrap();
        Claim::take(&run, &cgroup, &prefix, pods).unwrap().give_back();
        assert!(run.exists() && !cgroup.exists(), "a folder that was there is removed");
        drop(Claim::take(&run, &cgroup, &prefix, pods).unwrap());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_range_with_a_foreign_device_is_found() {
        let loopback: Range = "127.0.0.0/8".parse().unwrap();
        assert_eq!(foreign("slcbr", loopback).as_deref(), Some("lo"));
        assert_eq!(foreign("lo", loopback), None);
    }
}
