// SPDX-License-Identifier: Apache-2.0
//! What an Ingress gets that does not say it: control-plane spec 3.
//!
//! Depends on: nothing.

use super::Ingress;
use crate::admitted::SetDefaults;
use crate::context::Context;

/// Rules are for requests from outside unless they say otherwise.
const EXTERNAL: &str = "ExternalIP";

impl SetDefaults for Ingress {
    fn set_defaults(&mut self, _: Option<&Self>, _: &Context) {
        for rule in &mut self.spec.rules {
            if rule.visibility.is_empty() {
                EXTERNAL.clone_into(&mut rule.visibility);
            }
            for path in rule.http.iter_mut().flat_map(|http| &mut http.paths) {
                if let [only] = &mut *path.splits
                    && only.percent == 0
                {
                    only.percent = 100;
                }
            }
        }
    }
}
