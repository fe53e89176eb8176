// SPDX-License-Identifier: Apache-2.0
//! spec.
use crate::Case;
pub(crate) const CASES: &[Case] = &[];
