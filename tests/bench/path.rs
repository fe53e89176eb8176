// SPDX-License-Identifier: Apache-2.0
//! What the request path costs: `cargo xtask bench path`.
//!
//! Problem: a proxy's cost disappears in a shared machine's noise unless the way without it is measured in the same breath.
//! Mechanism: `ground` lays out the ways to one server (direct, counted, buffered, gateway, plain relays of hyper and of bytes); `drive`
//! loads one of them; `speed` runs all ways in turn, reversed every round, and compares within a round; `idle` weighs
//! connections that do nothing.
//! Invariants: every way leads to the same server; CPU time is that of client, node and pod together.
//! Depends on: site, the binary `sluice` beside this one.

pub(crate) mod bytes;
mod drive;
mod ground;
mod idle;
pub(crate) mod relay;
mod speed;

pub(crate) use idle::hold;

use anyhow::Result;

use self::ground::Ground;
use crate::report::Report;
use crate::site::Site;

/// What can be measured by itself; each has its own section in docs/benchmarks.md.
pub(crate) const PARTS: [&str; 3] = ["small", "shapes", "idle"];

/// Measures one part.
pub(crate) fn measure(site: Site<'_>, part: &str, quick: bool, report: &mut Report) -> Result<()> {
    let ground = Ground::new(site)?;
    match part {
        "small" => speed::small(&ground, quick, report),
        "shapes" => speed::shapes(&ground, quick, report),
        _ => idle::measure(&ground, quick, report),
    }
}
