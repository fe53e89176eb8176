// SPDX-License-Identifier: Apache-2.0
//! Who starts a container goes before others.
//!
//! Problem: holder and inner process sleep until a pod is wanted. Then each waits for a CPU in turn, behind the very
//! requests that wait for the pod: of 43 ms until a pod ran they computed 3.
//! Mechanism: the highest priority (`nice`) from when they wait for the plan until the container's program runs.
//! Invariants: what runs in the container has the priority that the runner has; who may not raise his own does without.
//! Depends on: rustix.

use std::io;

use rustix::process::{getpriority_process, setpriority_process};

/// Before all that have not asked for it; `nice -n -20`.
const FIRST: i32 = -20;

/// Goes before others, until it is given back.
#[must_use]
pub(super) struct Priority {
    /// None: it could not be raised.
    before: Option<i32>,
}

impl Priority {
    /// Raises this process's.
    pub(super) fn raise() -> Self {
        let raised = getpriority_process(None).and_then(|before| {
            setpriority_process(None, FIRST)?;
            Ok(before)
        });
        Self { before: raised.ok() }
    }

    /// As it was before. Whoever has lost his privileges since may still do this.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn give_back(self) -> io::Result<()> {
        match self.before {
            Some(before) => Ok(setpriority_process(None, before)?),
            None => Ok(()),
        }
    }
}
