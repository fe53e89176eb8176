// SPDX-License-Identifier: Apache-2.0
//! The binary as users meet it: counting real requests, and every fault with its message and exit code.
//!
//! Everything happens below a cgroup and on a bpffs of each test's own, which go when the test ends, also by panic.
//! Without privilege a test says `skipped: why`; with CI=true or SLUICE_REQUIRE=1 it fails instead.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in tests this is how a test fails, also in what tests call"
)]

mod breaks;
mod by_annotation;
mod caller;
mod check;
mod client;
mod cycles;
mod direct;
mod draining;
mod faults;
mod figures;
mod kn;
mod kubectl;
mod life;
mod logs;
mod many;
mod place;
mod ports;
mod requests;
mod restarts;
mod rig;
mod sample;
mod scaling;
mod standalone;
mod top;
mod trouble;
mod woken;
