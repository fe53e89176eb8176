// SPDX-License-Identifier: Apache-2.0
//! The addresses of Services.
//!
//! Mechanism: an address is taken while a stored Service has it, so nothing must be given back by hand; a free one is
//! drawn by chance, so that an address which has just become free does not soon lead elsewhere.
//! Depends on: nothing.

use std::net::Ipv4Addr;
use std::str::FromStr;

use serde_json::Value;

/// How often an address is drawn before the range is gone through.
pub(super) const DRAWS: usize = 16;
/// So many at the beginning of a range are for the cluster itself: the network, its API and its DNS.
const RESERVED: u32 = 16;

/// A range of IPv4 addresses, written as `10.96.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: u32,
    size: u32,
}

/// A text that is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an IPv4 network such as 10.96.0.0/16, with a prefix from 8 to 24")]
pub struct NoRange;

/// Why a Service cannot have an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// It is no IPv4 address of the range.
    #[error("the provided IP is not in the valid range")]
    OutOfRange,
    /// Another Service has it.
    #[error("provided IP is already allocated")]
    Taken,
    /// The range is full.
    #[error("range is full")]
    NoneLeft,
}

impl Default for Range {
    fn default() -> Self {
        Self {
            first: u32::from(Ipv4Addr::new(10, 96, 0, 0)),
            size: 1 << 16,
        }
    }
}

impl FromStr for Range {
    type Err = NoRange;

    fn from_str(text: &str) -> Result<Self, NoRange> {
        let (address, prefix) = text.split_once('/').ok_or(NoRange)?;
        let address: Ipv4Addr = address.parse().map_err(|_| NoRange)?;
        let prefix: u32 = prefix.parse().map_err(|_| NoRange)?;
        if !(8..=24).contains(&prefix) {
            return Err(NoRange);
        }
        let size = 1 << (32 - prefix);
        Ok(Self {
            first: u32::from(address) & !(size - 1),
            size,
        })
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let prefix = 32 - self.size.trailing_zeros();
        write!(formatter, "{}/{prefix}", Ipv4Addr::from(self.first))
    }
}

impl Range {
    /// Whether it has an address.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address)
            .checked_sub(self.first)
            .is_some_and(|offset| offset < self.size)
    }

    /// Whether it shares addresses with the network of `prefix` bits in which another one lies.
    #[must_use]
    pub fn overlaps(self, other: Ipv4Addr, prefix: u8) -> bool {
        let wider = u32::from(prefix).min(self.size.leading_zeros() + 1);
        let fixed = u32::MAX.checked_shl(32 - wider).unwrap_or(0);
        self.first & fixed == u32::from(other) & fixed
    }

    /// The address at a place; `None` past the last but one, which is the broadcast address.
    #[must_use]
    pub fn at(self, place: u32) -> Option<Ipv4Addr> {
        let offset = place.checked_add(RESERVED)?;
        (offset < self.size - 1).then(|| Ipv4Addr::from(self.first + offset))
    }

    /// How many places there are.
    #[must_use]
    pub fn places(self) -> u32 {
        self.size - 1 - RESERVED
    }
}

/// The address that a stored object has as a Service.
pub(super) fn of(object: &Value) -> Option<&str> {
    let address = object["spec"]["clusterIP"].as_str()?;
    (object["kind"] == "Service" && object["apiVersion"] == "v1" && !matches!(address, "" | "None")).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_overlap_if_one_is_in_the_other() {
        let overlaps = |range: &str, other: [u8; 4], prefix| {
            let range: Range = range.parse().unwrap();
            range.overlaps(other.into(), prefix)
        };
        assert!(overlaps("10.96.0.0/16", [10, 96, 0, 0], 16));
        assert!(overlaps("10.96.0.0/16", [10, 0, 0, 0], 8));
        assert!(overlaps("10.0.0.0/8", [10, 244, 3, 0], 28));
        assert!(!overlaps("10.96.0.0/16", [10, 97, 0, 0], 16));
        assert!(!overlaps("10.96.0.0/24", [10, 96, 1, 0], 24));
        assert!(!overlaps("10.0.0.0/8", [11, 0, 0, 0], 8));
    }
}
