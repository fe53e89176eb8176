// SPDX-License-Identifier: Apache-2.0
//! What a PodAutoscaler gets that does not say it: control-plane spec 3.
//!
//! Depends on: names.

use super::PodAutoscaler;
use crate::admitted::SetDefaults;
use crate::context::Context;
use crate::names::autoscaling as key;

impl SetDefaults for PodAutoscaler {
    fn set_defaults(&mut self, _: Option<&Self>, context: &Context) {
        let annotations = self.metadata.annotations.get_or_insert_default();
        let class = annotations
            .entry(key::CLASS.to_owned())
            .or_insert_with(|| context.settings.autoscaler.class.clone())
            .clone();
        let metric = match class.as_str() {
            key::KPA => key::CONCURRENCY,
            key::HPA => key::CPU,
            _ => "",
        };
        annotations
            .entry(key::METRIC.to_owned())
            .or_insert_with(|| metric.to_owned());
    }
}
