// SPDX-License-Identifier: Apache-2.0
//! Random loss by nftables, before or after the hooks that count.

use anyhow::Result;

use crate::rig::{Field, Netns};

/// Loss in 1/10 000 of the packets of each direction.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Towards the pod: lost before the pod's ingress sees it.
    pub requests: u32,
    /// Towards the client: lost after the pod's egress has seen it.
    pub answers: u32,
}

/// The router drops at random. SYN and SYN-ACK pass: they would only cost seconds; the handshake's last ACK does not.
pub fn lose(field: &Field, loss: Loss) -> Result<()> {
    field.router.nft(&format!(
        "table inet fault {{\n chain forward {{\n  type filter hook forward priority 0; policy accept;\n\
         \x20 tcp flags & syn == syn accept\n\
         \x20 iifname \"r0\" numgen random mod 10000 < {} counter drop\n\
         \x20 iifname \"r1\" numgen random mod 10000 < {} counter drop\n }}\n}}\n",
        loss.requests, loss.answers
    ))
}

/// The pod's own firewall drops what it sends, before the pod's egress hook sees it.
pub fn lose_own_output(pod: &Netns, of_10_000: u32) -> Result<()> {
    pod.nft(&format!(
        "table inet fault {{\n chain output {{\n  type filter hook output priority 0; policy accept;\n\
         \x20 tcp flags & syn == syn accept\n\
         \x20 numgen random mod 10000 < {of_10_000} counter drop\n }}\n}}\n"
    ))
}

/// How many packets the rules in a namespace have dropped.
pub fn dropped(netns: &Netns) -> Result<u64> {
    let listing = netns.tool("nft", &["list", "ruleset"], "")?;
    let words: Vec<_> = listing.split_whitespace().collect();
    let after = |pair: &[&str]| (pair[0] == "packets").then(|| pair[1].parse::<u64>().unwrap_or_default());
    Ok(words.windows(2).filter_map(after).sum())
}
