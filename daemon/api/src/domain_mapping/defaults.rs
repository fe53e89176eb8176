// SPDX-License-Identifier: Apache-2.0
//! What a DomainMapping gets that does not say it: control-plane spec 3.
//!
//! Depends on: metadata.

use super::DomainMapping;
use crate::admitted::SetDefaults;
use crate::context::Context;
use crate::metadata;

impl SetDefaults for DomainMapping {
    fn set_defaults(&mut self, old: Option<&Self>, context: &Context) {
        if self.spec.reference.namespace.is_empty() {
            self.spec.reference.namespace = self.namespace().to_owned();
        }
        let has_changed = old.is_none_or(|old| old.spec != self.spec);
        metadata::sign(&mut self.metadata, context, has_changed);
    }
}
