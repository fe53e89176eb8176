// SPDX-License-Identifier: Apache-2.0
//! The HPA class: Kubernetes' own autoscaler scales, requests go to the pods. Data-plane spec 1.15.
//!
//! Invariants: it is always active, unless nothing acts on HorizontalPodAutoscalers; there is no way to zero.
//! Depends on: children, hpa, status, annotations, logic::kpa.

use api::pod_autoscaler::{PodAutoscaler, PodAutoscalerStatus, desired};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use logic::kpa::Config;
use logic::kpa::Mode;
use logic::kpa::hpa::{SERVICES_NOT_READY, is_initialised};

use super::{annotations, children, hpa, status};
use crate::context::Context;
use crate::controller::Again;
use crate::failure::Failure;
use crate::settings::Settings;

/// Who acts on HorizontalPodAutoscalers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Horizontal {
    /// Kubernetes, as in every cluster.
    #[default]
    Kubernetes,
    /// Nobody: the class cannot be had.
    Nobody,
}

/// Gateways that stand in front: all.
const ALL: i32 = 0;

/// One look at a PodAutoscaler.
pub(super) async fn reconcile(
    context: &Context,
    scaling: &PodAutoscaler,
    told: &mut PodAutoscalerStatus,
    settings: &Settings,
    (horizontal, now): (Horizontal, &Time),
) -> Result<Again, Failure> {
    let config = Config::of(settings.autoscaler(), &settings.deployment);
    let wanted = hpa::desired(scaling, &config);
    let autoscaler = children::ensure(context, (scaling, told, now), wanted, |found, wanted| {
        let differs = differs(found.spec.as_ref(), wanted.spec.as_ref());
        found.spec = wanted.spec;
        differs
    })
    .await?;
    let wanted = desired::serverless_service(scaling, status::mode(Mode::Serve), ALL);
    let services = children::ensure(context, (scaling, told, now), wanted, |found, wanted| {
        let differs = found.spec != wanted.spec;
        found.spec = wanted.spec;
        differs
    })
    .await?;

    told.service_name.clone_from(&services.status.service_name);
    told.metrics_service_name
        .clone_from(&services.status.private_service_name);
    match horizontal {
        Horizontal::Kubernetes => told.mark_active(now),
        Horizontal::Nobody => told.mark_without_horizontal_autoscaling(now),
    }
    match services.is_ready() {
        true => told.mark_sks_ready(now),
        false => told.mark_sks_not_ready(SERVICES_NOT_READY, now),
    }
    if let Some(scaled) = &autoscaler.status {
        told.desired_scale = Some(scaled.desired_replicas);
        told.actual_scale = scaled.current_replicas;
        let (current, reachability) = (
            scaled.current_replicas.unwrap_or_default(),
            annotations::reachability(scaling),
        );
        if is_initialised(
            services.is_ready(),
            current,
            &annotations::read(scaling),
            reachability,
            &config,
        ) {
            told.mark_scale_target_initialized(now);
        }
    }
    Ok(None)
}

type Spec = k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerSpec;

/// Whether what the server has is other than what is wanted; what it added where nothing was said is no difference.
fn differs(found: Option<&Spec>, wanted: Option<&Spec>) -> bool {
    let (Some(found), Some(wanted)) = (found, wanted) else {
        return found != wanted;
    };
    let mut filled = wanted.clone();
    filled.min_replicas = filled.min_replicas.or(found.min_replicas.filter(|min| *min == 1));
    filled.metrics = filled.metrics.or_else(|| found.metrics.clone());
    if let (Some(filled), Some(found)) = (&mut filled.behavior, &found.behavior) {
        for (filled, found) in [
            (&mut filled.scale_up, &found.scale_up),
            (&mut filled.scale_down, &found.scale_down),
        ] {
            if let (Some(filled), Some(found)) = (filled, found) {
                filled.policies.clone_from(&found.policies);
                filled.select_policy.clone_from(&found.select_policy);
                filled.tolerance.clone_from(&found.tolerance);
            }
        }
    } else if filled.behavior.is_none() {
        filled.behavior.clone_from(&found.behavior);
    }
    *found != filled
}
