// SPDX-License-Identifier: Apache-2.0
//! probes.
use crate::Case;
pub(crate) const CASES: &[Case] = &[];
