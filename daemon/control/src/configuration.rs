// SPDX-License-Identifier: Apache-2.0
//! Configuration: makes a Revision of each generation, and knows the latest that is ready; control-plane spec 4.3.
//!
//! Depends on: controller, pass, api (configuration).

use std::sync::Arc;

use api::condition::ConditionStatus;
use api::conditions::{Conditioned, READY, is};
use api::configuration::desired::{self, is_name_taken};
use api::configuration::status::latest;
use api::configuration::{Configuration, ConfigurationSpec, ConfigurationStatus};
use api::names::serving;
use api::revision::Revision;

use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::failure::Failure;
use crate::key::Key;
use crate::pass::Pass;
use crate::queue::Queue;

/// Starts it.
pub fn start(context: &Context) {
    let queue = Arc::new(Queue::default());
    controller::watch_self::<Configuration>(context, &queue);
    controller::watch_made::<Configuration, Revision>(context, &queue);
    let configurations = Configurations {
        context: context.speaking_as(Configurations::NAME),
    };
    controller::start(context, &queue, configurations);
}

struct Configurations {
    context: Context,
}

type Look = Pass<ConfigurationSpec, ConfigurationStatus>;

/// The Revision of the present generation.
enum Latest {
    Found(Arc<Revision>),
    Missing,
    /// Another Revision has the name that the user gave.
    Taken(String),
}

impl Controller for Configurations {
    type Object = Configuration;

    const NAME: &'static str = "configuration-controller";

    async fn reconcile(&self, configuration: Arc<Configuration>) -> Result<Again, Failure> {
        let mut look = Look::begin(&self.context, configuration);
        let result = self.work(&mut look).await;
        look.end(&self.context, result.map(|()| None)).await
    }
}

impl Configurations {
    async fn work(&self, look: &mut Look) -> Result<(), Failure> {
        let created = match self.find_latest(&look.object) {
            Latest::Found(revision) => revision,
            Latest::Missing => self.create(look).await?,
            Latest::Taken(name) => {
                let message = format!("revisions.serving.knative.dev {name:?} already exists");
                look.object.status.mark_revision_creation_failed(&message, &look.now);
                return Ok(());
            }
        };
        latest::observe_created(&mut look.object, &created, &look.now);
        self.tell_of_created(look, &created);
        let name = look.object.name();
        let revisions = self.context.caches.revisions.labelled(look.object.namespace(), name);
        if let Some(ready) = latest::latest_ready(&look.object, &revisions) {
            if look.object.status.latest_ready_revision_name != ready.name() {
                let message = format!("LatestReadyRevisionName updated to {:?}", ready.name());
                self.context.events.tell(look.before(), "LatestReadyUpdate", &message);
            }
            look.object
                .status
                .set_latest_ready_revision_name(ready.name(), &look.now);
        }
        Ok(())
    }

    fn find_latest(&self, configuration: &Configuration) -> Latest {
        let given = configuration.spec.template.metadata.name.as_deref().unwrap_or_default();
        if !given.is_empty() {
            let key = Key::new(configuration.namespace(), given);
            return match self.context.get::<Revision>(&key) {
                None => Latest::Missing,
                Some(existing) if is_name_taken(configuration, &existing) => Latest::Taken(given.to_owned()),
                Some(existing) => Latest::Found(existing),
            };
        }
        let generation = configuration.generation().to_string();
        let revisions = self
            .context
            .caches
            .revisions
            .labelled(configuration.namespace(), configuration.name());
        let found = revisions
            .into_iter()
            .find(|revision| revision.label(serving::CONFIGURATION_GENERATION) == Some(&generation));
        found.map_or(Latest::Missing, Latest::Found)
    }

    async fn create(&self, look: &mut Look) -> Result<Arc<Revision>, Failure> {
        let events = &self.context.events;
        match self.context.create(desired::revision(&look.object, &look.now)).await {
            Ok(revision) => {
                let message = format!("Created Revision {:?}", revision.name());
                events.tell(look.before(), "Created", &message);
                Ok(revision)
            }
            // The next look finds it.
            Err(failure) if failure.already_exists() => Err(failed(failure)),
            Err(failure) => {
                let message = format!("Failed to create Revision: {failure}");
                events.warn(look.before(), "CreationFailed", &message);
                look.object
                    .status
                    .mark_revision_creation_failed(&failure.to_string(), &look.now);
                Err(failed(failure))
            }
        }
    }

    fn tell_of_created(&self, look: &Look, created: &Revision) {
        let (events, before) = (&self.context.events, look.before());
        let was = &before.status;
        let ready = created.status.condition(READY);
        if is(ready, ConditionStatus::True) && was.latest_ready_revision_name.is_empty() {
            events.tell(before, "ConfigurationReady", "Configuration becomes ready");
        }
        if !is(ready, ConditionStatus::False) {
            return;
        }
        let said = |status: &ConfigurationStatus| {
            let ready = status.condition(READY)?;
            Some((ready.status, ready.reason.clone(), ready.message.clone()))
        };
        if said(was) == said(&look.object.status) {
            return;
        }
        let name = created.name();
        if name == was.latest_ready_revision_name {
            let message = format!("Latest ready revision {name:?} has failed");
            events.warn(before, "LatestReadyFailed", &message);
        } else {
            let message = format!("Latest created revision {name:?} has failed");
            events.warn(before, "LatestCreatedFailed", &message);
        }
    }
}

fn failed(failure: Failure) -> Failure {
    failure.while_trying_to("create Revision")
}
