// SPDX-License-Identifier: Apache-2.0
//! ends.
use crate::Case;
pub(crate) const CASES: &[Case] = &[];
