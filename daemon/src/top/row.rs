// SPDX-License-Identifier: Apache-2.0
//! One server while it is shown.
//!
//! Depends on: `counted`, `figures`, `history`, `reading`, `attachment`, kernel.

use kernel::{View, sockets};

use crate::{
    failure::Failure,
    top::{
        attachment::Watch,
        counted::Counted,
        figures::{Figures, Snapshot, WINDOWS},
        history::History,
        reading::Reading,
    },
};

/// One server while it is shown.
pub(crate) struct Row<'a> {
    counted: &'a Counted,
    tier: String,
    history: History<Snapshot>,
    now: Snapshot,
    unaccounted: Option<u64>,
    is_listening: Option<bool>,
    is_there: bool,
}

impl<'a> Row<'a> {
    /// From now on.
    pub(crate) fn begin(view: &View, counted: &'a Counted) -> Result<Self, Failure> {
        let (time, now) = read(view, counted)?;
        let mut row = Self {
            counted,
            tier: view.tier().to_owned(),
            history: History::new(WINDOWS[2], time, now.clone()),
            now,
            unaccounted: None,
            is_listening: None,
            is_there: true,
        };
        row.look_around(view);
        Ok(row)
    }

    /// One interval on.
    pub(crate) fn advance(&mut self, view: &View) -> Result<(), Failure> {
        let (time, now) = read(view, self.counted)?;
        self.history.push(time, now.clone());
        self.now = now;
        self.look_around(view);
        Ok(())
    }

    /// What the counters do not tell. What cannot be asked at the moment is not known.
    fn look_around(&mut self, view: &View) {
        let server = &self.counted.server;
        self.unaccounted = view
            .accounted(&server.netns, server.port)
            .ok()
            .map(|found| found.unaccounted);
        let listening = sockets::listening(&server.netns, Some(server.port)).ok();
        self.is_listening = listening.map(|sockets| sockets.iter().any(|socket| socket.local.port() == server.port));
        self.is_there = self.counted.is_there();
    }

    /// Whether its cgroup is still there.
    pub(crate) fn is_there(&self) -> bool {
        self.is_there
    }

    /// What is to be shown.
    pub(crate) fn reading(&self, watch: &Watch, is_read_only: bool) -> Reading {
        let server = &self.counted.server;
        Reading {
            name: server.name.clone(),
            cgroup: server.cgroup.display().to_string(),
            netns: server.cookie,
            port: server.port,
            tier: self.tier.clone(),
            figures: Figures::of(&self.history, &self.now),
            unaccounted: self.unaccounted,
            is_listening: self.is_listening,
            is_there: self.is_there,
            lost: watch.lost(&server.cgroup),
            is_read_only,
        }
    }
}

fn read(view: &View, counted: &Counted) -> Result<(u64, Snapshot), Failure> {
    let counts = view.counts(counted.pod)?;
    let now = kernel::monotonic();
    Ok((now, Snapshot::of(&counts, now)))
}
