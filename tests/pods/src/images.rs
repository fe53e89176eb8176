// SPDX-License-Identifier: Apache-2.0
//! images.
use crate::Case;
pub(crate) const CASES: &[Case] = &[];
pub(crate) fn prepared(_: &std::path::Path) -> std::collections::BTreeMap<String, std::path::PathBuf> {
    Default::default()
}
