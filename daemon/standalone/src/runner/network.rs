// SPDX-License-Identifier: Apache-2.0
//! The pods' network: a bridge, and for each pod a namespace with one end of a veth pair.
//!
//! Mechanism: rtnetlink, spoken synchronously on threads that end with the work, because a thread that entered a
//! namespace is lost for everything else.
//! Invariants: names of devices begin with the settings' prefix, and nothing else is touched; the bridge has the first
//! address of the range, pods the following ones; hardware addresses follow from these, so that what anybody remembers
//! of a neighbour stays true (a bridge without one of its own changes it with its ports, and pods would lose it).
//! Depends on: netlink-packet-route.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// The device of a pod, as it sees it.
const INSIDE: &str = "eth0";

/// A range of IPv4 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first address, which is the network's own.
    pub base: Ipv4Addr,
    /// How many bits are fixed.
    pub prefix: u8,
}

/// A text that is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no range of IPv4 addresses of 8 to 28 bits, such as 10.244.0.0/16")]
pub struct NoRange(String);

impl std::str::FromStr for Range {
    type Err = NoRange;

    fn from_str(text: &str) -> Result<Self, NoRange> {
        let refused = || NoRange(text.to_owned());
        let (base, prefix) = text.split_once('/').ok_or_else(refused)?;
        let base: Ipv4Addr = base.parse().map_err(|_| refused())?;
        let prefix: u8 = prefix
            .parse()
            .ok()
            .filter(|bits| (8..=28).contains(bits))
            .ok_or_else(refused)?;
        let fixed = u32::MAX << (32 - u32::from(prefix));
        Ok(Self {
            base: Ipv4Addr::from_bits(base.to_bits() & fixed),
            prefix,
        })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.base, self.prefix)
    }
}

impl Range {
    /// How many pods it has room for.
    #[must_use]
    pub fn room(self) -> u32 {
        (1 << (32 - u32::from(self.prefix))) - 3
    }

    /// The machine's own address in it.
    #[must_use]
    pub fn host(self) -> Ipv4Addr {
        self.address(1)
    }

    /// The address of a pod by its place, from 0.
    #[must_use]
    pub fn pod(self, place: u32) -> Ipv4Addr {
        self.address(place.saturating_add(2))
    }

    fn address(self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base.to_bits().saturating_add(number))
    }
}

/// Makes the bridge unless it is there.
///
/// # Errors
/// If the kernel refuses.
pub(super) fn make_bridge(name: &str, range: Range) -> io::Result<()> {
    let mut netlink = Netlink::open()?;
    let hardware = LinkAttribute::Address(hardware(range.host()));
    if let Some(index) = index(name) {
        let mut link = numbered(index);
        link.attributes.push(hardware);
        netlink.ask(RouteNetlinkMessage::SetLink(link), false)?;
    } else {
        let mut link = raised(named(name));
        link.attributes.push(hardware);
        link.attributes
            .push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        netlink.ask(RouteNetlinkMessage::NewLink(link), true)?;
    }
    let index = index(name).ok_or_else(|| io::Error::other(format!("no device {name}")))?;
    match netlink.ask(address(index, range.host(), range.prefix), true) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

/// The hardware address of whoever has this address: locally administered (bit 1 of the first byte, IEEE 802), unicast.
fn hardware(ip: Ipv4Addr) -> Vec<u8> {
    [&[0x0a, 0x58][..], &ip.octets()].concat()
}

/// Makes a namespace with a device in it, both known by name; the namespace stays at `place`.
///
/// # Errors
/// If the kernel refuses; then nothing stays.
pub(super) fn make_pod(place: &Path, bridge: &str, outside: &str, pod: Ipv4Addr, range: Range) -> io::Result<()> {
    let bridge = index(bridge).ok_or_else(|| io::Error::other(format!("no bridge {bridge}")))?;
    File::create(place)?;
    let here = File::open("/proc/thread-self/ns/net")?;
    let made = std::thread::scope(|scope| {
        let work = || inside(place, &here, outside, pod, range);
        scope
            .spawn(work)
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the network's thread ended early")))
    });
    let made = made.and_then(|()| join_bridge(outside, bridge));
    if made.is_err() {
        remove_pod(place, outside);
    }
    made
}

fn join_bridge(outside: &str, bridge: u32) -> io::Result<()> {
    let outside = index(outside).ok_or_else(|| io::Error::other(format!("no device {outside}")))?;
    let mut link = raised(numbered(outside));
    link.attributes.push(LinkAttribute::Controller(bridge));
    Netlink::open()?.ask(RouteNetlinkMessage::SetLink(link), false)
}

/// On a thread of its own: makes the namespace and the pair from inside, and hands one end out.
fn inside(place: &Path, here: &File, outside: &str, pod: Ipv4Addr, range: Range) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let none: Option<&Path> = None;
    mount(Some("/proc/thread-self/ns/net"), place, none, MsFlags::MS_BIND, none)?;
    let mut netlink = Netlink::open()?;
    let mut peer = named(outside);
    peer.attributes.push(LinkAttribute::NetNsFd(here.as_raw_fd()));
    let mut link = named(INSIDE);
    link.attributes.push(LinkAttribute::Address(hardware(pod)));
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    netlink.ask(RouteNetlinkMessage::NewLink(link), true)?;
    for name in ["lo", INSIDE] {
        let index = index(name).ok_or_else(|| io::Error::other(format!("no device {name}")))?;
        netlink.ask(RouteNetlinkMessage::SetLink(raised(numbered(index))), false)?;
    }
    let index = index(INSIDE).ok_or_else(|| io::Error::other("no device"))?;
    netlink.ask(address(index, pod, range.prefix), true)?;
    netlink.ask(default_route(range.host()), true)?;
    // Any user of a pod may listen on port 80, as in a cluster's runtime.
    let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    Ok(())
}

/// Whether something of a pod is there.
pub(super) fn is_there(place: &Path, outside: &str) -> bool {
    place.exists() || index(outside).is_some()
}

/// Takes a pod's namespace and device away; what is not there is no error.
pub(super) fn remove_pod(place: &Path, outside: &str) {
    remove_device(outside);
    let _ = umount2(place, MntFlags::MNT_DETACH);
    let _ = fs::remove_file(place);
}

/// Takes a device away.
pub(super) fn remove_device(name: &str) {
    let Some(index) = index(name) else { return };
    if let Ok(mut netlink) = Netlink::open() {
        let _ = netlink.ask(RouteNetlinkMessage::DelLink(numbered(index)), false);
    }
}

/// The machine's devices with a prefix.
#[must_use]
pub(super) fn devices(prefix: &str) -> Vec<String> {
    let names = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.starts_with(prefix)).collect()
}

fn index(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

fn named(name: &str) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.to_owned()));
    link
}

/// A device that is there.
fn numbered(index: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link
}

/// The device comes up with this.
fn raised(mut link: LinkMessage) -> LinkMessage {
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link
}

fn address(index: u32, address: Ipv4Addr, prefix: u8) -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Local(IpAddr::V4(address)),
        AddressAttribute::Address(IpAddr::V4(address)),
    ];
    RouteNetlinkMessage::NewAddress(message)
}

fn default_route(gateway: Ipv4Addr) -> RouteNetlinkMessage {
    let mut route = RouteMessage::default();
    route.header = RouteHeader {
        address_family: AddressFamily::Inet,
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Boot,
        scope: RouteScope::Universe,
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    route.attributes = vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway))];
    RouteNetlinkMessage::NewRoute(route)
}

struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends one message and waits for its acknowledgement.
    fn ask(&mut self, message: RouteNetlinkMessage, is_new: bool) -> io::Result<()> {
        self.sequence += 1;
        let mut packet = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
        packet.header.flags = NLM_F_REQUEST | NLM_F_ACK;
        if is_new {
            packet.header.flags |= NLM_F_CREATE | NLM_F_EXCL;
        }
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        loop {
            let (answer, _) = self.socket.recv_from_full()?;
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).map_err(io::Error::other)?;
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            if let NetlinkPayload::Error(error) = answer.payload {
                return match error.code {
                    None => Ok(()),
                    Some(_) => Err(error.to_io()),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_gives_the_host_the_first_address_and_pods_the_rest() {
        let range: Range = "10.244.7.9/16".parse().unwrap();
        assert_eq!(range.base, Ipv4Addr::new(10, 244, 0, 0));
        assert_eq!(range.host(), Ipv4Addr::new(10, 244, 0, 1));
        assert_eq!(range.pod(0), Ipv4Addr::new(10, 244, 0, 2));
        assert_eq!(range.pod(range.room() - 1), Ipv4Addr::new(10, 244, 255, 254));
        for wrong in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/30", "x/16", "::/64"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }
}
