// SPDX-License-Identifier: Apache-2.0
//! What a Route gets that does not say it: control-plane spec 3.
//!
//! Depends on: metadata.

use super::{Route, TrafficTarget};
use crate::admitted::SetDefaults;
use crate::context::Context;
use crate::metadata;

impl SetDefaults for Route {
    fn set_defaults(&mut self, old: Option<&Self>, context: &Context) {
        targets(&mut self.spec.traffic);
        if metadata::is_unowned(&self.metadata) {
            let has_changed = old.is_none_or(|old| old.spec != self.spec);
            metadata::sign(&mut self.metadata, context, has_changed);
        }
    }
}

/// The traffic of a Service that says nothing about it.
pub(crate) fn all_to_latest() -> Vec<TrafficTarget> {
    vec![TrafficTarget {
        latest_revision: Some(true),
        percent: Some(100),
        ..TrafficTarget::default()
    }]
}

/// Fills in each target.
pub(crate) fn targets(targets: &mut [TrafficTarget]) {
    for target in targets {
        target.latest_revision.get_or_insert(target.revision_name.is_empty());
        target.percent.get_or_insert(0);
    }
}
