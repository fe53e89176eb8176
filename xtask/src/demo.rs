// SPDX-License-Identifier: Apache-2.0
//! stub being written
use anyhow::Result;
pub(crate) fn demo() -> Result<()> {
    anyhow::bail!("not yet")
}
