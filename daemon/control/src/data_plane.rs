// SPDX-License-Identifier: Apache-2.0
//! The controllers that meet the data plane: scaling, endpoints, Ingresses and what gateways run.
//!
//! Mechanism: the data plane tells by [`Live`]; it is told by [`Gateway::programmes`].
//! Depends on: pod_autoscaler, metric, serverless_service, ingress, gateway.

use std::sync::Arc;

use crate::context::Context;
use crate::gateway::Gateway;
use crate::ingress::{self, Reached};
use crate::live::Live;
use crate::metric;
use crate::pod_autoscaler::{self, Horizontal, scaler::Scaler};
use crate::serverless_service::{self, Gateways};

/// The data plane, as controllers see it.
#[derive(Clone)]
pub struct DataPlane {
    /// What it tells.
    pub live: Arc<dyn Live>,
    /// Where gateways take requests from inside the cluster.
    pub gateways: Gateways,
    /// Where gateways can be reached from outside.
    pub reached: Reached,
    /// Who acts on HorizontalPodAutoscalers.
    pub horizontal: Horizontal,
}

/// What the process has of it.
pub struct Started {
    /// For the page of figures: `life::metrics::Registry::add`.
    pub scaler: Arc<Scaler>,
    /// For the data plane: what it shall run.
    pub gateway: Gateway,
}

/// Starts them on what is known now.
#[must_use]
pub fn start(context: &Context, data_plane: DataPlane) -> Started {
    let DataPlane {
        live,
        gateways,
        reached,
        horizontal,
    } = data_plane;
    let scaler = pod_autoscaler::start(context, &live, horizontal);
    metric::start(context, &scaler);
    serverless_service::start(context, gateways);
    let gateway = ingress::start(context, &live, reached);
    Started { scaler, gateway }
}
