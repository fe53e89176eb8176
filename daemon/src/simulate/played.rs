// SPDX-License-Identifier: Apache-2.0
//! What a variant came to, to be shown.
//!
//! Depends on: logic.

use logic::replay::{Outcome, Variant};

/// What a variant came to.
pub(super) struct Played<'a> {
    pub(super) variant: &'a Variant,
    pub(super) outcome: Outcome,
}
