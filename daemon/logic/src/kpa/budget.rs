// SPDX-License-Identifier: Apache-2.0
//! How many bytes a revision takes. (Its time a tick, T12: `cargo xtask bench logic`.)
//!
//! Depends on: runner.

use crate::kpa::runner::Runner;

#[test]
fn a_revision_takes_less_than_a_kibibyte_beyond_its_windows() {
    assert!(size_of::<Runner>() <= 320, "{}", size_of::<Runner>());
}
