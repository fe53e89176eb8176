// SPDX-License-Identifier: Apache-2.0
//! The resolvers that `/etc/resolv.conf` names.
//!
//! Depends on: nothing.

use std::net::{IpAddr, SocketAddr};

/// The resolvers of a resolv.conf, without those that are the server itself.
#[must_use]
pub fn read(text: &str, own: &[IpAddr]) -> Vec<SocketAddr> {
    let words = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next())?
    });
    let addresses = words.filter_map(|word| word.split('%').next()?.parse::<IpAddr>().ok());
    addresses
        .filter(|address| !own.contains(address))
        .take(3)
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}
