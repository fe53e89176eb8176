// SPDX-License-Identifier: Apache-2.0
//! limits.
use crate::Case;
pub(crate) const CASES: &[Case] = &[];
