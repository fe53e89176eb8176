// SPDX-License-Identifier: Apache-2.0
//! What a Service gets that does not say it: control-plane spec 3.
//!
//! Depends on: configuration, route.

use super::Service;
use crate::admitted::SetDefaults;
use crate::context::Context;
use crate::{configuration, metadata, route};

impl SetDefaults for Service {
    fn set_defaults(&mut self, old: Option<&Self>, context: &Context) {
        let old_template = old.map(|old| &old.spec.template);
        configuration::defaults::template(&mut self.spec.template, old_template, &self.metadata, context);
        if self.spec.traffic.is_empty() {
            self.spec.traffic = route::defaults::all_to_latest();
        }
        route::defaults::targets(&mut self.spec.traffic);
        let has_changed = old.is_none_or(|old| old.spec != self.spec);
        metadata::sign(&mut self.metadata, context, has_changed);
    }
}
