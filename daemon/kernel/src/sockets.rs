// SPDX-License-Identifier: Apache-2.0
//! The kernel's own list of TCP sockets in a network namespace.
//!
//! Problem: connections older than the attachment have no state and are not counted; they must be reported as
//! unaccounted, never as zero.
//! Mechanism: NETLINK_SOCK_DIAG inside the namespace. With INET_DIAG_REQ_SK_BPF_STORAGES the kernel also says which
//! sockets have a value in our storage map, and that value, so accounted and unaccounted are told apart one by one.
//! Invariants: an answer that is cut short is an error, not a shorter list.
//! Depends on: `netns`, `sys`.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::fd::{AsRawFd as _, BorrowedFd},
    path::Path,
};

use crate::netns::{self, Netns, NetnsError};

/// One TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its own end.
    pub local: SocketAddr,
    /// The other end; unspecified while listening.
    pub peer: SocketAddr,
    /// Whether it listens.
    pub is_listening: bool,
    /// Inode of its file; 0 = not (or no longer) held by a process.
    pub inode: u64,
    /// Socket cookie.
    pub cookie: u64,
    /// Id of the cgroup it was made in, where the kernel tells (5.9).
    pub cgroup: Option<u64>,
    /// Its value in one of the storage maps asked about.
    pub stored: Option<Stored>,
}

/// A socket's value in a storage map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Id of the map.
    pub map: u32,
    /// Its first word: in a map of ours, the number of the pod that the socket is counted for.
    pub word: u32,
}

/// Connections on a port, told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounted {
    /// Open connections on the port.
    pub open: u64,
    /// Of these, without state (older than the attachment, or no memory for it), or with that of a counting that is over.
    pub unaccounted: u64,
}

const LISTEN: u32 = 1 << 10;
/// ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING: an accepted connection that may still carry bytes.
const OPEN: u32 = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

/// Sockets that listen, on any port or one.
pub fn listening(netns: &Netns, port: Option<u16>) -> Result<Vec<Socket>, NetnsError> {
    both_families(netns, LISTEN, port.unwrap_or(0), &[])
}

/// Connections whose own end is `port`; `storage` are the maps that counted ones have a value in.
pub fn connections(netns: &Netns, port: u16, storage: &[BorrowedFd<'_>]) -> Result<Vec<Socket>, NetnsError> {
    let maps: Vec<i32> = storage.iter().map(|map| map.as_raw_fd()).collect();
    let mut sockets = both_families(netns, OPEN, port, &maps)?;
    sockets.retain(|socket| !socket.is_listening);
    Ok(sockets)
}

/// Who holds each of the sockets: inode → process.
pub fn owners(proc_root: &Path, inodes: &[u64]) -> HashMap<u64, u32> {
    let mut found = HashMap::new();
    let processes = fs::read_dir(proc_root).into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Processes come and go, and others' descriptors may be hidden: what cannot be read is not an owner.
        for descriptor in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            if let Some(inode) = fs::read_link(descriptor.path())
                .ok()
                .and_then(|link| socket_inode(&link))
                && inodes.contains(&inode)
            {
                found.entry(inode).or_insert(pid);
            }
        }
    }
    found
}

fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn both_families(netns: &Netns, states: u32, port: u16, maps: &[i32]) -> Result<Vec<Socket>, NetnsError> {
    let ask = || {
        let mut sockets = dump(libc::AF_INET, states, port, maps)?;
        sockets.extend(dump(libc::AF_INET6, states, port, maps)?);
        Ok(sockets)
    };
    netns.run(ask)?.map_err(NetnsError::Ask)
}

const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
const HEADER: usize = 16;
/// struct inet_diag_msg
const MESSAGE: usize = 72;
const REQ_SK_BPF_STORAGES: u16 = 2;
const REQ_MAP_FD: u16 = 1;
const ATTR_SK_BPF_STORAGES: u16 = 20;
const ATTR_CGROUP_ID: u16 = 21;
/// Inside of these, one a map: its id and the value.
const STORAGE_MAP_ID: u16 = 2;
const STORAGE_MAP_VALUE: u16 = 3;
const NESTED: u16 = 0x8000;

fn dump(family: i32, states: u32, port: u16, maps: &[i32]) -> io::Result<Vec<Socket>> {
    let mut netlink = File::from(netns::socket(libc::AF_NETLINK, libc::SOCK_RAW, NETLINK_SOCK_DIAG)?);
    netlink.write_all(&request(family as u8, states, port, maps))?;
    let mut sockets = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = netlink.read(&mut buffer)?;
        if read_answers(&buffer[..length], &mut sockets)? {
            return Ok(sockets);
        }
    }
}

fn request(family: u8, states: u32, port: u16, maps: &[i32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(88);
    bytes.extend([0; 4]);
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.extend(port.to_be_bytes());
    bytes.extend([0; 38]);
    bytes.extend([0xff; 8]); // INET_DIAG_NOCOOKIE
    if !maps.is_empty() {
        bytes.extend((4 + 8 * maps.len() as u16).to_ne_bytes());
        bytes.extend((REQ_SK_BPF_STORAGES | NESTED).to_ne_bytes());
    }
    for map in maps {
        bytes.extend(8_u16.to_ne_bytes());
        bytes.extend(REQ_MAP_FD.to_ne_bytes());
        bytes.extend(map.to_ne_bytes());
    }
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

/// Adds the sockets of one datagram; whether it was the last.
fn read_answers(mut bytes: &[u8], sockets: &mut Vec<Socket>) -> io::Result<bool> {
    let cut = || io::Error::new(io::ErrorKind::InvalidData, "a cut answer from sock_diag");
    while !bytes.is_empty() {
        let length = u32_at(bytes, 0).ok_or_else(cut)? as usize;
        let kind = u16_at(bytes, 4).ok_or_else(cut)?;
        let flags = u16_at(bytes, 6).ok_or_else(cut)?;
        let body = bytes.get(HEADER..length).ok_or_else(cut)?;
        if flags & NLM_F_DUMP_INTR != 0 {
            return Err(io::Error::new(
                io::ErrorKind::Interrupted,
                "sockets changed while they were listed",
            ));
        }
        match kind {
            NLMSG_DONE | NLMSG_ERROR => return finish(body).map(|()| true),
            SOCK_DIAG_BY_FAMILY => sockets.push(parse(body).ok_or_else(cut)?),
            _ => {}
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn finish(body: &[u8]) -> io::Result<()> {
    match u32_at(body, 0).map(|code| code as i32) {
        Some(code) if code < 0 => Err(io::Error::from_raw_os_error(-code)),
        _ => Ok(()),
    }
}

fn parse(body: &[u8]) -> Option<Socket> {
    let family = i32::from(*body.first()?);
    let state = *body.get(1)?;
    let port = |at: usize| Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?));
    let cookie = u64::from(u32_at(body, 44)?) | u64::from(u32_at(body, 48)?) << 32;
    let mut socket = Socket {
        local: SocketAddr::new(address(family, body.get(8..24)?)?, port(4)?),
        peer: SocketAddr::new(address(family, body.get(24..40)?)?, port(6)?),
        is_listening: 1_u32 << state == LISTEN,
        inode: u64::from(u32_at(body, 68)?),
        cookie,
        cgroup: None,
        stored: None,
    };
    for (kind, value) in attributes(body.get(MESSAGE..)?) {
        match kind {
            ATTR_SK_BPF_STORAGES => socket.stored = attributes(value).find_map(|(_, storage)| stored(storage)),
            ATTR_CGROUP_ID => socket.cgroup = value.try_into().ok().map(u64::from_ne_bytes),
            _ => {}
        }
    }
    Some(socket)
}

fn stored(storage: &[u8]) -> Option<Stored> {
    let word = |kind| {
        attributes(storage)
            .find(|(found, _)| *found == kind)
            .and_then(|(_, value)| u32_at(value, 0))
    };
    Some(Stored {
        map: word(STORAGE_MAP_ID)?,
        word: word(STORAGE_MAP_VALUE)?,
    })
}

fn address(family: i32, bytes: &[u8]) -> Option<IpAddr> {
    if family == libc::AF_INET {
        return Some(IpAddr::from(<[u8; 4]>::try_from(bytes.get(..4)?).ok()?));
    }
    let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
    Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & !NESTED;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_answer_is_an_error_and_not_a_shorter_list() {
        let mut message = vec![0; HEADER + 20];
        message[..4].copy_from_slice(&((HEADER + 20) as u32).to_ne_bytes());
        message[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        assert!(read_answers(&message, &mut Vec::new()).is_err());
        message[..4].copy_from_slice(&1000_u32.to_ne_bytes());
        assert!(read_answers(&message, &mut Vec::new()).is_err());
    }

    #[test]
    fn an_error_of_the_kernel_is_kept() {
        let mut message = vec![0; HEADER + 4];
        message[..4].copy_from_slice(&((HEADER + 4) as u32).to_ne_bytes());
        message[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        message[HEADER..].copy_from_slice(&(-libc::EPERM).to_ne_bytes());
        let error = read_answers(&message, &mut Vec::new()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mapped: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 7];
        assert_eq!(address(libc::AF_INET6, &mapped), Some(IpAddr::from([10, 0, 0, 7])));
    }

    #[test]
    fn descriptors_of_sockets_are_told_from_others() {
        assert_eq!(socket_inode(Path::new("socket:[4711]")), Some(4711));
        assert_eq!(socket_inode(Path::new("pipe:[4711]")), None);
        assert_eq!(socket_inode(Path::new("/dev/null")), None);
    }
}
