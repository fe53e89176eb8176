// SPDX-License-Identifier: Apache-2.0
//! Client — router — pod: three namespaces joined by two veth pairs, IPv4 and IPv6.
//!
//! The router hop is where the network misbehaves; the pod's cgroup is where the programs attach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Result;

use super::register::NETNS_PREFIX;
use super::{Cgroup, Netns, Rig};

/// The port that servers of the pod listen on.
pub const POD_PORT: u16 = 8080;

const POD4: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 2);
const POD6: Ipv6Addr = Ipv6Addr::new(0xfd77, 2, 0, 0, 0, 0, 0, 2);

/// Three namespaces and the pod's cgroup.
pub struct Field {
    /// Where clients run; device `c0`, 10.77.1.2 and fd77:1::2.
    pub client: Netns,
    /// Between them; `r0` to the client, `r1` to the pod; .1 on both sides.
    pub router: Netns,
    /// Where servers run; device `p0`, 10.77.2.2 and fd77:2::2.
    pub pod: Netns,
    /// The pod's cgroup.
    pub cgroup: Cgroup,
}

impl Field {
    pub(super) fn create(rig: &Rig, name: &str) -> Result<Self> {
        let serial = rig.serial();
        let prefix = format!("{NETNS_PREFIX}{}-{serial}", std::process::id());
        let make = |suffix: &str| Netns::create(rig.register(), format!("{prefix}-{suffix}"));
        let field = Self {
            client: make("c")?,
            router: make("r")?,
            pod: make("p")?,
            cgroup: rig.cgroup().child(&format!("{serial}-{name}"))?,
        };
        field.join()?;
        Ok(field)
    }

    /// The pod's address, by family.
    pub fn pod_address(&self, six: bool) -> SocketAddr {
        let address: IpAddr = if six { POD6.into() } else { POD4.into() };
        SocketAddr::new(address, POD_PORT)
    }

    fn join(&self) -> Result<()> {
        let (client, pod) = (self.client.name(), self.pod.name());
        self.router.sysctl("ipv4/ip_forward", "1")?;
        self.router.sysctl("ipv6/conf/all/forwarding", "1")?;
        self.router.ip(&format!(
            "link set lo up\n\
             link add r0 type veth peer name c0 netns {client}\n\
             link add r1 type veth peer name p0 netns {pod}\n\
             addr add 10.77.1.1/24 dev r0\naddr add 10.77.2.1/24 dev r1\n\
             addr add fd77:1::1/64 dev r0 nodad\naddr add fd77:2::1/64 dev r1 nodad\n\
             link set r0 up\nlink set r1 up\n"
        ))?;
        self.client.ip(&end_of("c0", 1))?;
        self.pod.ip(&end_of("p0", 2))
    }

    /// Has each flow's packets stay in order, see [`Netns::steer`].
    pub(super) fn steer(&self) -> Result<()> {
        let sides = [&self.client, &self.router, &self.pod];
        sides.into_iter().try_for_each(Netns::steer)
    }
}

fn end_of(device: &str, net: u8) -> String {
    format!(
        "link set lo up\n\
         addr add 10.77.{net}.2/24 dev {device}\naddr add fd77:{net}::2/64 dev {device} nodad\n\
         link set {device} up\n\
         route add default via 10.77.{net}.1\nroute add ::/0 via fd77:{net}::1\n"
    )
}
