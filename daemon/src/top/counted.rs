// SPDX-License-Identifier: Apache-2.0
//! A server's port and what counts it.
//!
//! Mechanism: the programs know a server by its namespace's cookie and port; where the kernel tells no cookie, by each
//! address and port.
//! Depends on: `servers`, kernel (`View`).

use std::{collections::BTreeSet, fs, net::IpAddr, os::unix::fs::MetadataExt as _};

use kernel::{NetnsError, PodId, PodKey, View};
use nix::ifaddrs::getifaddrs;

use crate::{
    failure::{Failure, doing},
    top::servers::Server,
};

/// A port that is counted.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) server: Server,
    pub(crate) pod: PodId,
    pub(crate) keys: Vec<PodKey>,
    cgroup_id: u64,
}

impl Counted {
    /// `server`, counted by `pod` under `keys`.
    pub(crate) fn new(server: Server, pod: PodId, keys: Vec<PodKey>) -> Self {
        let cgroup_id = fs::metadata(&server.cgroup).map_or(0, |there| there.ino());
        Self {
            server,
            pod,
            keys,
            cgroup_id,
        }
    }

    /// Whether the cgroup is still the one that it was.
    pub(crate) fn is_there(&self) -> bool {
        fs::metadata(&self.server.cgroup).is_ok_and(|now| now.ino() == self.cgroup_id)
    }

    /// Whether its port is tracked, as of the last refresh.
    pub(crate) fn is_tracked(&self, view: &View) -> bool {
        pod_of(view, &self.keys) == Some(self.pod)
    }
}

/// The pod that counts one of the keys.
pub(crate) fn pod_of(view: &View, keys: &[PodKey]) -> Option<PodId> {
    let tracked = view.tracked();
    let found = tracked.iter().find(|(key, _, _)| keys.contains(key));
    found.map(|(_, pod, _)| *pod)
}

/// By namespace, or, where the kernel does not tell it, by each address.
pub(crate) fn keys_of(view: &View, server: &Server) -> Result<Vec<PodKey>, Failure> {
    let port = server.port;
    if view.is_by_netns() {
        let netns = server.cookie.ok_or(NetnsError::NoCookie)?;
        return Ok(vec![PodKey {
            netns,
            port,
            ..PodKey::default()
        }]);
    }
    let is_any = server.addresses.iter().any(IpAddr::is_unspecified);
    let addresses = if is_any {
        let help = "name an address for the server to listen on instead of any";
        server
            .netns
            .run(interface_addresses)?
            .map_err(doing("listing addresses", help))?
    } else {
        server.addresses.clone()
    };
    let key = |address: IpAddr| PodKey {
        addr: words(address),
        port,
        ..PodKey::default()
    };
    let unique: BTreeSet<IpAddr> = addresses.into_iter().collect();
    Ok(unique.into_iter().map(key).collect())
}

fn interface_addresses() -> std::io::Result<Vec<IpAddr>> {
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|found| IpAddr::V4(found.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|found| IpAddr::V6(found.ip())))
    };
    Ok(getifaddrs()?.filter_map(address).collect())
}

/// Network order, IPv4 as v4-mapped.
fn words(address: IpAddr) -> [u32; 4] {
    let octets = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    std::array::from_fn(|word| {
        let at = word * 4;
        u32::from_ne_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_keys_as_the_programs_see_them() {
        let mapped = words(IpAddr::from([10, 0, 0, 7]));
        assert_eq!(mapped, [0, 0, abi::V4_MAPPED, u32::from_ne_bytes([10, 0, 0, 7])]);
    }
}
