// SPDX-License-Identifier: Apache-2.0
//! A network that misbehaves: loss by the firewall, everything else by relays, segment sizes by the offloads.
//!
//! Depends on: nftables, ethtool, TUN devices.

mod firewall;
mod offload;
mod overtake;
mod relay;

pub use firewall::{Loss, dropped, lose, lose_own_output};
pub use offload::{OFFLOADS, offload};
pub use overtake::{Overtaking, hold};
pub use relay::{Mischief, Relay};
