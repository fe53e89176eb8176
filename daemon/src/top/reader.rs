// SPDX-License-Identifier: Apache-2.0
//! The counters of another `sluice`, to look at.
//!
//! Problem: one process has a pin folder; a second user wants to see the same figures, not to be sent away.
//! Mechanism: the pinned maps are opened and read; a port that the other does not count cannot be shown.
//! Invariants: nothing is attached, tracked, pinned or removed, at the end neither.
//! Depends on: `counted`, `servers`, kernel (`View`).

use std::path::Path;

use kernel::View;

use crate::{
    failure::{Exit, Failure},
    top::{
        counted::{self, Counted},
        servers::Server,
    },
};

/// Looks on.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) view: View,
    pub(crate) counted: Vec<Counted>,
}

impl Reader {
    /// Finds the servers among those that are counted.
    pub(crate) fn begin(view: View, servers: Vec<Server>, pin_dir: &Path) -> Result<Self, Failure> {
        let find = |server: Server| {
            let keys = counted::keys_of(&view, &server)?;
            let pod = counted::pod_of(&view, &keys).ok_or_else(|| not_counted(&server, pin_dir))?;
            Ok(Counted::new(server, pod, keys))
        };
        let counted = servers.into_iter().map(find).collect::<Result<_, Failure>>()?;
        Ok(Self { view, counted })
    }

    /// Complains when the other one has taken a port away, which is what it does at its end.
    pub(crate) fn check_tracked(&self) -> Result<(), Failure> {
        self.view.refresh()?;
        match self.counted.iter().find(|counted| !counted.is_tracked(&self.view)) {
            None => Ok(()),
            Some(counted) => Err(Failure::new(
                Exit::Gone,
                format!(
                    "{} is not counted any more: the other `sluice` has ended",
                    counted.server.name
                ),
                "`sluice top` again counts from now on",
            )),
        }
    }
}

fn not_counted(server: &Server, pin_dir: &Path) -> Failure {
    Failure::new(
        Exit::Foreign,
        format!(
            "{} is in use by another process, which does not count {}",
            pin_dir.display(),
            server.name
        ),
        "name all servers in one `sluice top`, or count beside it with another --pin-dir, e.g. /sys/fs/bpf/sluice-2",
    )
}
