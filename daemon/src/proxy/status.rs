// SPDX-License-Identifier: Apache-2.0
//! How all stands, as JSON over HTTP: for tests, and for people who wonder why a target is not direct.
//!
//! Depends on: steer, node, page.

use super::steer::Shared;
use crate::node::Standing;
use crate::page::{self, Page};
use life::Tasks;
use proxy::LogCounts;
use serde_json::{Value, json};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use tokio::net::TcpListener;

/// Answers until the tasks are drained.
pub(super) fn serve(listener: TcpListener, shared: Arc<Shared>, logged: Option<Arc<LogCounts>>, tasks: &Tasks) {
    let page = Page {
        content: "application/json",
        write: Arc::new(move || tell(&shared, logged.as_deref()).to_string()),
    };
    page::serve(listener, page, tasks);
}

fn tell(shared: &Shared, logged: Option<&LogCounts>) -> Value {
    let revisions = shared.revisions.lock().unwrap_or_else(PoisonError::into_inner);
    let bursts = shared.bursts.lock().unwrap_or_else(PoisonError::into_inner);
    let revision = |(name, path): (&String, &Arc<proxy::Revision>)| {
        let reading = shared.node.reading(name)?;
        Some(json!({
            "name": name,
            "in_flight": reading.in_flight + reading.held,
            "on_pods": reading.in_flight,
            "held": reading.held,
            "integral_ns": reading.integral,
            "at_ns": reading.at,
            "started": reading.started,
            "uncertain": reading.counts.as_ref().map(|counts| counts.uncertain),
            "counted_by": if reading.is_counted { "kernel" } else { "gateway" },
            "pods": reading.pods,
            "through_gateway": path.counters.requests.load(Relaxed),
            "bursts": bursts.get(name).copied().unwrap_or(0),
        }))
    };
    json!({
        "revisions": revisions.iter().filter_map(revision).collect::<Vec<_>>(),
        "targets": shared.node.targets().iter().map(target).collect::<Vec<_>>(),
        "log": logged.map(|counts| json!({
            "written": counts.written.load(Relaxed),
            "dropped": counts.dropped.load(Relaxed),
        })),
        "obstacle": shared.node.obstacle(),
    })
}

fn target(standing: &Standing) -> Value {
    json!({
        "address": standing.address,
        "data_path": standing.path.word(),
        "reason": standing.path.reason(),
        "message": standing.path.message(),
        "connections": standing.connections,
    })
}
