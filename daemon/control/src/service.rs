// SPDX-License-Identifier: Apache-2.0
//! Service: keeps a Configuration and a Route of its name, and tells how they are; control-plane spec 4.2.
//!
//! Depends on: controller, pass, same, api (service).

use std::sync::Arc;

use api::configuration::{Configuration, desired::is_name_taken};
use api::revision::Revision;
use api::route::Route;
use api::service::status::migration;
use api::service::{Service, desired};

use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::failure::Failure;
use crate::kept::controls;
use crate::key::Key;
use crate::pass::{Pass, set_defaults};
use crate::queue::Queue;
use crate::same::{same, same_map};

/// Starts it.
pub fn start(context: &Context) {
    let queue = Arc::new(Queue::default());
    controller::watch_self::<Service>(context, &queue);
    controller::watch_made::<Service, Configuration>(context, &queue);
    controller::watch_made::<Service, Route>(context, &queue);
    let services = Services {
        context: context.speaking_as(Services::NAME),
    };
    controller::start(context, &queue, services);
}

struct Services {
    context: Context,
}

type Look = Pass<api::service::ServiceSpec, api::service::ServiceStatus>;

impl Controller for Services {
    type Object = Service;

    const NAME: &'static str = "service-controller";

    async fn reconcile(&self, service: Arc<Service>) -> Result<Again, Failure> {
        let mut look = Look::begin(&self.context, service);
        let result = self.work(&mut look).await;
        look.end(&self.context, result.map(|()| None)).await
    }
}

impl Services {
    async fn work(&self, look: &mut Look) -> Result<(), Failure> {
        let configuration = self.configuration(look).await?;
        let status = &mut look.object.status;
        let has_own_name = has_own_name(&configuration);
        if configuration.is_observed() {
            status.propagate_configuration_status(&configuration.status, &look.now);
        } else {
            status.mark_configuration_not_reconciled(&look.now);
            // Whether the name is free is not known before.
            if has_own_name {
                return Ok(());
            }
        }
        if has_own_name && let Some(name) = self.taken_name(&configuration) {
            status.mark_revision_name_taken(&name, &look.now);
            return Ok(());
        }
        let route = self.route(look).await?;
        let status = &mut look.object.status;
        if route.is_observed() {
            status.propagate_route_status(&route.status, &look.now);
        } else {
            status.mark_route_not_reconciled(&look.now);
        }
        migration::observe(status, &configuration, &route, &look.now);
        Ok(())
    }

    /// The name that the user gave to the next Revision, if it is another's.
    fn taken_name(&self, configuration: &Configuration) -> Option<String> {
        let name = configuration.spec.template.metadata.name.clone()?;
        let existing = self
            .context
            .get::<Revision>(&Key::new(configuration.namespace(), &name))?;
        is_name_taken(configuration, &existing).then_some(name)
    }

    async fn configuration(&self, look: &mut Look) -> Result<Arc<Configuration>, Failure> {
        let service = &look.object;
        let key = Key::of(&service.metadata);
        let Some(existing) = self.context.get::<Configuration>(&key) else {
            let made = self.context.create(desired::configuration(service, None)).await;
            return self.told(look, "Configuration", made);
        };
        if !controls(&service.metadata, &existing.metadata) {
            look.object.status.mark_configuration_not_owned(&key.name, &look.now);
            return Err(not_owned(&key.name, "configuration"));
        }
        let wanted = desired::configuration(service, Some(&existing));
        let mut present = Configuration::clone(&existing);
        set_defaults(&mut present, &look.settings);
        let is_same = same(&present.spec, &wanted.spec)
            && same_map(present.metadata.labels.as_ref(), wanted.metadata.labels.as_ref())
            && same_map(
                present.metadata.annotations.as_ref(),
                wanted.metadata.annotations.as_ref(),
            );
        if is_same {
            return Ok(existing);
        }
        present.spec = wanted.spec;
        present.metadata.labels = wanted.metadata.labels;
        present.metadata.annotations = wanted.metadata.annotations;
        self.context.update(present).await
    }

    async fn route(&self, look: &mut Look) -> Result<Arc<Route>, Failure> {
        let wanted = desired::route(&look.object);
        let key = Key::of(&look.object.metadata);
        let Some(existing) = self.context.get::<Route>(&key) else {
            let made = self.context.create(wanted).await;
            return self.told(look, "Route", made);
        };
        if !controls(&look.object.metadata, &existing.metadata) {
            look.object.status.mark_route_not_owned(&key.name, &look.now);
            return Err(not_owned(&key.name, "route"));
        }
        let mut present = Route::clone(&existing);
        set_defaults(&mut present, &look.settings);
        let is_same = same(&present.spec, &wanted.spec)
            && same_map(present.metadata.labels.as_ref(), wanted.metadata.labels.as_ref())
            && same_map(
                present.metadata.annotations.as_ref(),
                wanted.metadata.annotations.as_ref(),
            );
        if is_same {
            return Ok(existing);
        }
        present.spec = wanted.spec;
        present.metadata.labels = wanted.metadata.labels;
        present.metadata.annotations = wanted.metadata.annotations;
        self.context.update(present).await
    }

    /// Tells how making a child went.
    fn told<K>(&self, look: &Look, kind: &str, made: Result<Arc<K>, Failure>) -> Result<Arc<K>, Failure> {
        let (service, events) = (&look.object, &self.context.events);
        match &made {
            Ok(_) => events.tell(service, "Created", &format!("Created {kind} {:?}", service.name())),
            Err(failure) => {
                let message = format!("Failed to create {kind} {:?}: {failure}", service.name());
                events.warn(service, "CreationFailed", &message);
            }
        }
        made
    }
}

fn has_own_name(configuration: &Configuration) -> bool {
    let name = configuration.spec.template.metadata.name.as_deref();
    name.is_some_and(|name| !name.is_empty())
}

fn not_owned(name: &str, kind: &str) -> Failure {
    Failure::Decided(format!("service: {name:?} does not own {kind}: {name:?}"))
}
