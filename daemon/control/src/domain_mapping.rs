// SPDX-License-Identifier: Apache-2.0
//! DomainMapping: claims a domain and leads it to a Service; control-plane spec 4.9.
//!
//! Mechanism: what is there is gathered from the caches, `api::domain_mapping::reconcile` decides.
//! Depends on: controller, tracker, address, api (domain_mapping).

mod address;

use std::collections::BTreeSet;
use std::sync::Arc;

use api::certificate::Certificate;
use api::child_name::child_name;
use api::cluster_domain_claim::ClusterDomainClaim;
use api::conditions::pass;
use api::domain_mapping::DomainMapping;
use api::domain_mapping::reconcile::{self, Decision, Seen, Settings as MappingSettings, Write};
use api::ingress::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::caches::Cached;
use crate::context::Context;
use crate::controller::{self, Again, Controller};
use crate::failure::Failure;
use crate::key::Key;
use crate::pass::{set_defaults, write_status};
use crate::queue::Queue;
use crate::settings::Settings;
use crate::tracker::Tracker;

/// Starts it.
pub fn start(context: &Context) {
    let queue = Arc::new(Queue::default());
    let tracker = Arc::new(Tracker::default());
    controller::watch_self::<DomainMapping>(context, &queue);
    controller::watch_made::<DomainMapping, Certificate>(context, &queue);
    controller::watch_made::<DomainMapping, Ingress>(context, &queue);
    // A domain that becomes free is one that another namespace may have at once.
    let mappings = context.caches.domain_mappings.clone();
    controller::watch(context, &queue, move |claim: &ClusterDomainClaim| {
        let keys = mappings.keys().into_iter();
        keys.filter(|key| key.name == claim.name()).collect()
    });
    watch_tracked::<api::service::Service>(context, &queue, &tracker);
    watch_tracked::<api::route::Route>(context, &queue, &tracker);
    watch_tracked::<k8s_openapi::api::core::v1::Service>(context, &queue, &tracker);
    controller::watch_settings::<DomainMapping, _>(context, &queue, Mappings::NAME, |settings| {
        settings.network.clone()
    });
    let mappings = Mappings {
        context: context.speaking_as(Mappings::NAME),
        tracker,
    };
    controller::start(context, &queue, mappings);
}

fn watch_tracked<K: Cached>(context: &Context, queue: &Arc<Queue>, tracker: &Arc<Tracker>) {
    let tracker = Arc::clone(tracker);
    controller::watch(context, queue, move |object: &K| {
        tracker.sources(address::name_of::<K>(), Key::of(object.meta()))
    });
}

struct Mappings {
    context: Context,
    tracker: Arc<Tracker>,
}

impl Controller for Mappings {
    type Object = DomainMapping;

    const NAME: &'static str = "domainmapping-controller";
    const FINALIZER: Option<&'static str> = Some("domainmappings.serving.knative.dev");

    async fn reconcile(&self, before: Arc<DomainMapping>) -> Result<Again, Failure> {
        let (settings, now) = (self.context.settings(), self.context.now());
        let mut mapping = DomainMapping::clone(&before);
        set_defaults(&mut mapping, &settings);
        let reference = address::reference(&mapping);
        let references = reference.into_iter().collect::<BTreeSet<_>>();
        self.tracker.track(&Key::of(&mapping.metadata), references);
        let decision = self.decide(&mapping, &settings, &now);
        let done = self.apply(&mapping, &decision).await;
        let status = match &done {
            Ok(()) => decision.status,
            Err(failure) => interrupted(&mapping, failure, &decision, &now),
        };
        write_status(&self.context, &before, status).await?;
        done?;
        match decision.error {
            Some(error) => Err(Failure::Decided(error.to_string())),
            None => Ok(None),
        }
    }

    async fn finalize(&self, mapping: Arc<DomainMapping>) -> Result<(), Failure> {
        let settings = self.context.settings();
        let Some(claim) = self.claim(&mapping) else {
            return Ok(());
        };
        match reconcile::releases_claim(&mapping, &claim, &settings.network) {
            true => self.context.delete(claim.as_ref()).await,
            false => Ok(()),
        }
    }

    fn forget(&self, key: &Key) {
        self.tracker.forget(key);
    }
}

impl Mappings {
    fn claim(&self, mapping: &DomainMapping) -> Option<Arc<ClusterDomainClaim>> {
        self.context.get(&Key::new("", mapping.name()))
    }

    fn decide(&self, mapping: &DomainMapping, settings: &Settings, now: &Time) -> Decision {
        let name = Key::new(mapping.namespace(), child_name(mapping.name(), ""));
        let claim = self.claim(mapping);
        let certificate = self.context.get::<Certificate>(&name);
        let ingress = self.context.get::<Ingress>(&name);
        let address = address::of(&self.context, mapping, settings.cluster_domain());
        let seen = Seen {
            claim: claim.as_deref(),
            address: address.as_deref().map_err(String::as_str),
            certificate: certificate.as_deref(),
            ingress: ingress.as_deref(),
        };
        let settings = MappingSettings {
            network: &settings.network,
            cluster_domain: settings.cluster_domain(),
        };
        reconcile::reconcile(mapping, seen, settings, now)
    }

    async fn apply(&self, mapping: &DomainMapping, decision: &Decision) -> Result<(), Failure> {
        for write in &decision.writes {
            self.write(mapping, write).await?;
        }
        Ok(())
    }

    async fn write(&self, mapping: &DomainMapping, write: &Write) -> Result<(), Failure> {
        match write {
            Write::CreateClaim(claim) => {
                let made = self.context.create(ClusterDomainClaim::clone(claim)).await;
                made.map(drop)
                    .map_err(|failure| failure.while_trying_to("create ClusterDomainClaim"))
            }
            Write::CreateCertificate(certificate) => self.create(mapping, certificate.as_ref()).await,
            Write::UpdateCertificate(certificate) => {
                self.context.update(Certificate::clone(certificate)).await.map(drop)
            }
            Write::CreateIngress(ingress) => self.create(mapping, ingress.as_ref()).await,
            Write::UpdateIngress(ingress) => self.context.update(Ingress::clone(ingress)).await.map(drop),
        }
    }

    async fn create<K: Cached>(&self, mapping: &DomainMapping, object: &K) -> Result<(), Failure> {
        let (kind, events) = (K::kind(), &self.context.events);
        let name = object.meta().name.clone().unwrap_or_default();
        match self.context.create(K::clone(object)).await {
            Ok(_) => {
                events.tell(mapping, "Created", &format!("Created {kind} {name:?}"));
                Ok(())
            }
            Err(failure) => {
                let message = format!("Failed to create {kind}: {failure}");
                events.warn(mapping, "CreationFailed", &message);
                Err(failure.while_trying_to(format!("create {kind}")))
            }
        }
    }
}

/// The status of a DomainMapping whose writes were not all done: what it said before, but not ready for a new generation.
fn interrupted(
    mapping: &DomainMapping,
    failure: &Failure,
    decision: &Decision,
    now: &Time,
) -> api::domain_mapping::DomainMappingStatus {
    let mut status = mapping.status.clone();
    pass::begin(&mut status, mapping.generation(), now);
    if status.observed.observed_generation != mapping.generation() {
        status.mark_ingress_not_configured(now);
    }
    // The claim is the first thing that is written.
    if matches!(decision.writes.first(), Some(Write::CreateClaim(_))) && !failure.is_conflict() {
        status.mark_domain_claim_failed(&failure.to_string(), now);
    }
    pass::end(
        &mut status,
        &mapping.status.observed.conditions,
        mapping.generation(),
        now,
    );
    status
}
