// SPDX-License-Identifier: Apache-2.0
//! What the native side must be told.
//!
//! Depends on: store (range).

use std::net::IpAddr;

use crate::store::Range;

/// What the native side must be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the one node.
    pub node: String,
    /// The node's address, as pods reach it.
    pub address: IpAddr,
    /// Where Services get their addresses.
    pub service_range: Range,
    /// How many pods the node takes, for who reads the node object.
    pub pods: u32,
    /// The node's memory in bytes.
    pub memory: u64,
    /// The node's processors.
    pub processors: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: "sluice".to_owned(),
            address: IpAddr::from([127, 0, 0, 1]),
            service_range: Range::default(),
            pods: 250,
            memory: 0,
            processors: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
