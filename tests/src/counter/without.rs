// SPDX-License-Identifier: Apache-2.0
//! No kernel side in this build.

use anyhow::Result;

use super::Snapshot;
use crate::rig::{Field, Rig};

/// Counts nothing.
pub struct Counter;

impl Counter {
    /// There is none.
    pub fn open(_: &Rig, _: &Field) -> Result<Option<Self>> {
        Ok(None)
    }

    /// Nothing was counted.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot::default())
    }
}
