// SPDX-License-Identifier: Apache-2.0
//! What a PodAutoscaler makes is as it shall be: ServerlessService, Metric, HorizontalPodAutoscaler.
//!
//! Invariants: only the spec is brought back; what belongs to somebody else is left alone and told.
//! Depends on: context, kept, api.

use std::sync::Arc;

use api::pod_autoscaler::{PodAutoscaler, PodAutoscalerStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::caches::Cached;
use crate::context::Context;
use crate::failure::Failure;
use crate::kept::controls;
use crate::key::Key;

/// Makes an object, or brings the one of its name to what is wanted: `differs` says whether it must, `bring` how.
///
/// # Errors
/// The server refuses, or the object belongs to somebody else; the status says so then.
pub(super) async fn ensure<K: Cached>(
    context: &Context,
    (scaling, status, now): (&PodAutoscaler, &mut PodAutoscalerStatus, &Time),
    wanted: K,
    bring: impl FnOnce(&mut K, K) -> bool,
) -> Result<Arc<K>, Failure> {
    let key = Key::of(wanted.meta());
    let Some(found) = context.get::<K>(&key) else {
        let made = context.create(wanted).await;
        if made.is_err() {
            status.mark_resource_failed_creation(K::kind(), &key.name, now);
        }
        return made;
    };
    if !controls(&scaling.metadata, found.meta()) {
        status.mark_resource_not_owned(K::kind(), &key.name, now);
        let message = format!(
            "PodAutoscaler: {:?} does not own {}: {:?}",
            scaling.name(),
            K::kind(),
            key.name
        );
        return Err(Failure::Decided(message));
    }
    let mut changed = K::clone(&found);
    match bring(&mut changed, wanted) {
        true => context.update(changed).await,
        false => Ok(found),
    }
}
