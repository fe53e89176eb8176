// SPDX-License-Identifier: Apache-2.0
//! Segment sizes: what the offloads of the veth pairs make of a stream.

use anyhow::Result;

use crate::rig::Field;

/// Settings worth a case of their own: name, segmentation (TSO and GSO), receive offload (GRO).
pub const OFFLOADS: &[(&str, bool, bool)] = &[
    ("gso_and_gro", true, true),
    ("gso_only", true, false),
    ("gro_only", false, true),
    ("neither", false, false),
];

/// Switches segmentation and receive offload on every device between client and pod.
pub fn offload(field: &Field, segment: bool, receive: bool) -> Result<()> {
    let word = |on| if on { "on" } else { "off" };
    let devices = [
        (&field.client, "c0"),
        (&field.router, "r0"),
        (&field.router, "r1"),
        (&field.pod, "p0"),
    ];
    for (netns, device) in devices {
        let (segment, receive) = (word(segment), word(receive));
        netns.tool(
            "ethtool",
            &["-K", device, "tso", segment, "gso", segment, "gro", receive],
            "",
        )?;
    }
    Ok(())
}
