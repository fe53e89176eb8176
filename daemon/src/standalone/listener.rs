// SPDX-License-Identifier: Apache-2.0
//! Who is in the way of a port on the pods' first address.
//!
//! Problem: a name server on all addresses takes port 53 in every range of pods; to choose another one does not help.
//! Mechanism: the kernel's tables of sockets, and whose descriptor a socket is.
//! Depends on: nothing.

use std::fs;
use std::io;
use std::path::Path;

use crate::failure::{Failure, doing};

/// Sockets that listen, by protocol.
const TABLES: [&str; 4] = ["udp", "tcp", "udp6", "tcp6"];
/// A TCP socket that listens.
const LISTENS: &str = "0A";

/// A port cannot be had.
pub(super) fn refused(what: String, port: u16, proc_root: &Path, error: io::Error) -> Failure {
    let on_all = match error.kind() {
        io::ErrorKind::AddrInUse => on_all_addresses(proc_root, port),
        _ => None,
    };
    let help = match on_all {
        None => "choose another --pod-cidr".to_owned(),
        Some(who) => format!(
            "{who} listens on port {port} of all addresses, those of pods as well: bind it to its own addresses alone, or end it; \
             another --pod-cidr does not help"
        ),
    };
    doing(what, help)(error)
}

/// Who listens on a port of all addresses.
fn on_all_addresses(proc_root: &Path, port: u16) -> Option<String> {
    let found = TABLES.iter().find_map(|protocol| {
        let table = fs::read_to_string(proc_root.join("net").join(protocol)).ok()?;
        let inode = table
            .lines()
            .skip(1)
            .find_map(|line| socket_on_all(line, protocol.starts_with("tcp"), port));
        inode.map(str::to_owned)
    })?;
    Some(owner(proc_root, &found).unwrap_or_else(|| "a process that cannot be seen from here".to_owned()))
}

/// The inode of a socket of the table, if it is on all addresses and this port.
fn socket_on_all(line: &str, must_listen: bool, port: u16) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, at) = fields.get(1)?.split_once(':')?;
    let is_meant = address.bytes().all(|digit| digit == b'0') && u16::from_str_radix(at, 16) == Ok(port);
    let listens = !must_listen || *fields.get(3)? == LISTENS;
    (is_meant && listens).then_some(*fields.get(9)?)
}

/// Whose the socket is: name and number of the process.
fn owner(proc_root: &Path, inode: &str) -> Option<String> {
    let link = format!("socket:[{inode}]");
    let mut processes = fs::read_dir(proc_root).ok()?.flatten();
    let process = processes.find(|process| {
        // Not `self`.
        if !process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            return false;
        }
        let descriptors = fs::read_dir(process.path().join("fd"));
        let mut descriptors = descriptors.into_iter().flatten().flatten();
        descriptors.any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|to| to.as_os_str() == link.as_str()))
    })?;
    let name = fs::read_to_string(process.path().join("comm")).ok()?;
    Some(format!("{} (process {})", name.trim(), process.file_name().display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};

    #[test]
    fn who_listens_on_all_addresses_is_named_and_nobody_else_is() {
        let ours = format!("(process {})", std::process::id());
        let found = |port| on_all_addresses(Path::new("/proc"), port);
        let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let named = found(tcp.local_addr().unwrap().port()).unwrap();
        assert!(named.ends_with(&ours), "{named}");
        let udp = UdpSocket::bind("[::]:0").unwrap();
        let named = found(udp.local_addr().unwrap().port()).unwrap();
        assert!(named.ends_with(&ours), "{named}");
        let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(found(own.local_addr().unwrap().port()), None);
    }
}
