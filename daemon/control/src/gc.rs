// SPDX-License-Identifier: Apache-2.0
//! Deletes Revisions that nobody needs any more: control-plane spec 4.6.
//!
//! Depends on: controller, stale, api (configuration, revision).

pub mod stale;

use std::sync::Arc;

use api::configuration::Configuration;
use api::revision::Revision;

use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::failure::Failure;
use crate::queue::Queue;

/// Starts it.
pub fn start(context: &Context) {
    let queue = Arc::new(Queue::default());
    controller::watch_self::<Configuration>(context, &queue);
    controller::watch_made::<Configuration, Revision>(context, &queue);
    controller::watch_settings::<Configuration, _>(context, &queue, Collector::NAME, |settings| settings.gc.clone());
    let collector = Collector {
        context: context.speaking_as(Collector::NAME),
    };
    controller::start(context, &queue, collector);
}

struct Collector {
    context: Context,
}

impl Controller for Collector {
    type Object = Configuration;

    const NAME: &'static str = "revision-gc-controller";
    const WORKERS: usize = 1;

    async fn reconcile(&self, configuration: Arc<Configuration>) -> Result<Again, Failure> {
        let (settings, now) = (self.context.settings(), self.context.now());
        let namespace = configuration.namespace();
        let revisions = self.context.caches.revisions.labelled(namespace, configuration.name());
        for revision in stale::among(&revisions, &configuration, &settings.gc, &now) {
            if let Err(failure) = self.context.delete(revision).await {
                log::warn!("{namespace}/{} cannot be deleted: {failure}", revision.name());
            }
        }
        Ok(None)
    }
}
