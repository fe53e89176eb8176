// SPDX-License-Identifier: Apache-2.0
//! All servers while they are shown, and whether they are still counted.
//!
//! Depends on: `source`, `row`, `attachment`.

use std::time::Instant;

use crate::{
    failure::{Exit, Failure},
    top::{attachment::Watch, reading::Reading, row::Row, source::Source},
};

/// From the beginning to the end of showing.
pub(crate) struct Live<'a> {
    source: &'a Source,
    rows: Vec<Row<'a>>,
    watch: Watch,
}

impl<'a> Live<'a> {
    /// Figures of `source` from now on.
    pub(crate) fn begin(source: &'a Source) -> Result<Self, Failure> {
        let view = source.view()?;
        let rows = source.counted().iter().map(|counted| Row::begin(view, counted));
        Ok(Self {
            source,
            rows: rows.collect::<Result<_, _>>()?,
            watch: Watch::begin(source.verify()??, Instant::now()),
        })
    }

    /// One interval on.
    pub(crate) fn advance(&mut self) -> Result<(), Failure> {
        self.source.check_tracked()?;
        let view = self.source.view()?;
        self.rows.iter_mut().try_for_each(|row| row.advance(view))?;
        let now = Instant::now();
        if self.watch.is_due(now) {
            // What cannot be asked at the moment is not known.
            self.watch.compare(self.source.verify()?.ok(), now);
        }
        Ok(())
    }

    /// What is to be shown.
    pub(crate) fn readings(&self) -> Vec<Reading> {
        let is_read_only = self.source.is_read_only();
        let reading = |row: &Row<'_>| row.reading(&self.watch, is_read_only);
        self.rows.iter().map(reading).collect()
    }

    /// Complains when there will never be another figure.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.rows.iter().all(|row| !row.is_there()) {
            return Err(Failure::new(
                Exit::Gone,
                "what was counted is gone: its cgroup has ended",
                "start the server, then `sluice top` again",
            ));
        }
        if self.watch.is_emptied() {
            return Err(Failure::new(
                Exit::Gone,
                "nothing is counted any more: somebody removed what was pinned",
                "`sluice top` again counts from now on",
            ));
        }
        Ok(())
    }
}
