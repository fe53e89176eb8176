// SPDX-License-Identifier: Apache-2.0
//! The ports of a pod beside the application's, as tools know them of queue-proxy (data-plane spec 4.1): `/wait-for-drain`,
//! and what the pod has in flight.
//!
//! Problem: a pod has no process of ours in it, but hooks and scrapers ask by its address.
//! Mechanism: a door with `Entry::Nowhere` and one of these; every path but its own is not found.
//! Depends on: drainer, message, stat.

use crate::drainer::Drainer;
use crate::message::{Answer, Request};
use crate::stat::Stat;
use http::StatusCode;
use std::sync::Arc;

/// Prometheus' text format, as Knative's own library names it to clients that ask for nothing else.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// What a port answers.
#[derive(Clone)]
pub enum Beside {
    /// Port 8022: `/wait-for-drain` is answered when the pod has no requests left.
    Admin(Arc<Drainer>),
    /// Port 9090: `/metrics` is what an autoscaler of Knative's scrapes.
    Stat(Arc<dyn Fn() -> Stat + Send + Sync>),
    /// Port 9091: `/metrics` is the pod's page for Prometheus.
    Metrics(Arc<dyn Fn() -> String + Send + Sync>),
}

impl Beside {
    pub(crate) async fn answer(&self, request: &Request) -> Answer {
        match (self, request.target.path()) {
            (Self::Admin(drainer), "/wait-for-drain") => {
                drainer.wait().await;
                Answer::empty(StatusCode::OK)
            }
            (Self::Stat(tell), "/metrics") => Answer::body("application/protobuf", tell().encode()),
            (Self::Metrics(tell), "/metrics") => Answer {
                is_open: true,
                ..Answer::body(METRICS, tell())
            },
            _ => Answer::error(StatusCode::NOT_FOUND, "404 page not found"),
        }
    }
}
