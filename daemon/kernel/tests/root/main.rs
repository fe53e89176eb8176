// SPDX-License-Identifier: Apache-2.0
//! The crate against a real kernel: links, adoption, counting, redirection, faults.
//!
//! Everything happens below a cgroup and a bpffs of this process's own, which go when the test ends, also by panic.
//! Without privilege a test says `skipped: why`; with CI=true or SLUICE_REQUIRE=1 it fails instead.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panic"
)]

mod counting;
#[cfg(feature = "log")]
mod diagnostics;
mod faults;
mod life;
mod links;
mod redirection;
mod rig;
