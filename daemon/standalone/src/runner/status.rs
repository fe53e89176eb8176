// SPDX-License-Identifier: Apache-2.0
//! A pod's status, written again until the state file has it.
//!
//! Problem: a status counts at once, and is taken back when the disk refuses it; then nothing may change any more that would
//! write it another time.
//! Mechanism: who writes hands on what tells of the file; a future beside the pod's life waits for that, and writes again.
//! Invariants: the newest status alone is written again.
//! Depends on: objects, state.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::objects::{Identity, Objects};
use crate::state::Kept;

/// How long the disk has before it is asked again.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// A status that the file may not have yet.
#[derive(Debug)]
pub(super) struct Written {
    status: Value,
    kept: Kept,
}

/// Writes a pod's statuses.
#[derive(Debug)]
pub(super) struct Statuses {
    written: mpsc::Sender<Written>,
}

impl Statuses {
    /// With what [`keep`] is to follow.
    #[must_use]
    pub(super) fn new() -> (Self, mpsc::Receiver<Written>) {
        let (written, follow) = mpsc::channel(8);
        (Self { written }, follow)
    }

    /// Writes a status, if it says something new.
    pub(super) async fn write(&self, objects: &Objects, pod: &Identity, status: Value) {
        // What the API refuses it would refuse again.
        if let Ok(Some(kept)) = objects.write_status(pod, &status) {
            // A pod that nobody follows has ended.
            let _ = self.written.send(Written { status, kept }).await;
        }
    }
}

/// Writes what the disk refused again; never returns.
pub(super) async fn keep(objects: Objects, pod: Identity, mut written: mpsc::Receiver<Written>) -> Infallible {
    let mut newest = written.recv().await;
    while let Some(one) = newest {
        newest = tokio::select! {
            biased;
            newer = written.recv() => newer,
            () = persist(&objects, &pod, one) => written.recv().await,
        };
    }
    std::future::pending().await
}

async fn persist(objects: &Objects, pod: &Identity, one: Written) {
    let mut waited = one.kept.wait().await;
    while waited.is_err() {
        sleep(RETRY).await;
        waited = match objects.write_status(pod, &one.status) {
            Ok(Some(kept)) => kept.wait().await,
            Ok(None) | Err(_) => return,
        };
    }
}
