// SPDX-License-Identifier: Apache-2.0
//! One reconciliation of a Route, as a decision: control-plane spec 4.7.
//!
//! Problem: Services, Endpoints, Certificates, the Ingress and the status of a Route follow from its spec, from what it
//! refers to and from what was there before.
//! Mechanism: `Pass` walks Knative's order: traffic, placeholder Services, certificates, Ingress, Services again; each
//! step adds actions and marks the status. What a write would answer is known beforehand: a changed spec is a new
//! generation, which nobody has observed yet.
//! Invariants: pure; an error keeps the actions and marks of the steps before it; nothing panics.
//! Depends on: targets, naming, placeholder, certificates, effective, programme, action, conditions.

mod certify;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use logic::settings::{Features, Network};
use logic::traffic::rollout::{Rollout, Stepped};
use thiserror::Error;

use super::action::{Action, Change, Write};
use super::effective;
use super::naming::{Naming, NamingError, Visibility};
use super::programme::{Programme, ingress_name};
use super::targets::{self, DEFAULT_GROUP, Reference, Targets, Traffic};
use super::{Route, RouteStatus};
use crate::address::Addressable;
use crate::certificate::{Certificate, Http01Challenge};
use crate::conditions::pass;
use crate::ingress::http_option::{self, WrongProtocol, http_option};
use crate::ingress::{Ingress, IngressTls};

/// What is there.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Configurations and Revisions of the namespace.
    pub targets: Targets<'a>,
    /// Kubernetes Services of the namespace, by name: those with the Route's label and those with names that it wants.
    pub services: &'a BTreeMap<String, Service>,
    /// Endpoints of the namespace, by name: those with names of such Services.
    pub endpoints: &'a BTreeMap<String, Endpoints>,
    /// Certificates of the namespace, by name.
    pub certificates: &'a BTreeMap<String, Certificate>,
    /// The Route's Ingress.
    pub ingress: Option<&'a Ingress>,
}

/// What the operator wants.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// How hosts are named; config-network among it.
    pub naming: Naming<'a>,
    /// config-features.
    pub features: &'a Features,
    /// Whether the system's own connections use TLS; config-network refuses it for now (design 5).
    pub is_system_internal_tls: bool,
    /// The class of our own gateway: its Routes get Services with addresses of their own from the start (design 4.2).
    pub own_class: Option<&'a str>,
}

/// What shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The status to write.
    pub status: RouteStatus,
    /// What to do, in this order.
    pub actions: Vec<Action>,
    /// What must be watched: when any of it changes, the Route is looked at again.
    pub references: BTreeSet<Reference>,
    /// When the Route must be looked at again at the latest.
    pub requeue_after: Option<Duration>,
    /// What went wrong; the Route is then tried again, later each time.
    pub error: Option<RouteError>,
}

/// What goes wrong with a Route; the texts are Knative's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouteError {
    /// The Route has no host.
    #[error(transparent)]
    Naming(#[from] NamingError),
    /// A placeholder Service has no host to lead to.
    #[error("failed to construct placeholder k8s service: {0}")]
    Placeholder(#[source] NamingError),
    /// A Service or Endpoints of a wanted name belong to somebody else.
    #[error("route: \"{route}\" does not own {kind}: \"{name}\"")]
    NotOwned {
        /// The Route.
        route: String,
        /// `Service` or `Endpoints`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A Certificate of a wanted name belongs to somebody else.
    #[error("notowned: owner: {route} with Type *v1.Route does not own Certificate: \"{name}\"")]
    CertificateNotOwned {
        /// The Route.
        route: String,
        /// The name.
        name: String,
    },
    /// The annotation for plain HTTP is wrong.
    #[error(transparent)]
    Protocol(#[from] WrongProtocol),
}

/// Decides what shall be done for a Route that is not being deleted.
#[must_use]
pub fn reconcile(route: &Route, seen: Seen<'_>, settings: Settings<'_>, now: &Time) -> Decision {
    let mut status = route.status.clone();
    pass::begin(&mut status, route.generation(), now);
    let mut pass = Pass {
        route,
        seen,
        settings,
        now,
        status,
        actions: Vec::new(),
        references: BTreeSet::new(),
        requeue_after: None,
    };
    let error = pass.run().err();
    let before = &route.status.observed.conditions;
    pass::end(&mut pass.status, before, route.generation(), now);
    Decision {
        status: pass.status,
        actions: pass.actions,
        references: pass.references,
        requeue_after: pass.requeue_after,
        error,
    }
}

struct Pass<'a> {
    route: &'a Route,
    seen: Seen<'a>,
    settings: Settings<'a>,
    now: &'a Time,
    status: RouteStatus,
    actions: Vec<Action>,
    references: BTreeSet<Reference>,
    requeue_after: Option<Duration>,
}

/// The traffic and who can reach it.
struct Assigned {
    traffic: Traffic,
    visibilities: BTreeMap<String, Visibility>,
}

/// The certificates that are there, and the challenges of those that are not.
#[derive(Default)]
struct Certified {
    tls: Vec<IngressTls>,
    challenges: Vec<Http01Challenge>,
}

impl Pass<'_> {
    fn run(&mut self) -> Result<(), RouteError> {
        // Lest an error further on leaves a new generation ready.
        if self.route.generation() != self.route.status.observed.observed_generation {
            self.status.mark_ingress_not_configured(self.now);
        }
        let Some(assigned) = self.assign_traffic()? else {
            return Ok(());
        };
        self.status.address = Some(Addressable {
            url: Some(format!("http://{}", self.settings.naming.service_host(self.route))),
            ..Addressable::default()
        });
        let placed = self.place_services(&assigned.traffic)?;
        let certified = self.certify(&assigned)?;
        let rollout = self.programme(&assigned, &certified)?;
        self.lead_services_to_gateway(&placed);
        if !rollout.is_done() {
            self.status.mark_ingress_rollout_in_progress(self.now);
            self.status.traffic = self.status_traffic(&assigned, &rollout)?;
        }
        Ok(())
    }

    /// None: a target is missing or not ready, and all else stays as it is until that changes.
    fn assign_traffic(&mut self) -> Result<Option<Assigned>, RouteError> {
        let assigned = self.resolve();
        if let Err(RouteError::Naming(error)) = &assigned {
            self.status
                .mark_revision_target_traffic_error("ErrorConfig", &error.to_string(), self.now);
        }
        assigned
    }

    fn resolve(&mut self) -> Result<Option<Assigned>, RouteError> {
        let resolved = targets::resolve(self.route, self.seen.targets);
        self.references = resolved.references;
        let naming = self.settings.naming;
        let visibilities = naming.visibilities(self.route, self.seen.services)?;
        let visibility = visibilities
            .get(DEFAULT_GROUP)
            .copied()
            .unwrap_or(Visibility::ExternalIp);
        let host = naming.host(self.route, DEFAULT_GROUP, visibility)?;
        self.status.url = Some(effective::url(naming, &host, visibility));
        let traffic = match resolved.traffic {
            Ok(traffic) => traffic,
            Err(bad) => {
                bad.mark(&mut self.status, self.now);
                return Ok(None);
            }
        };
        let assigned = Assigned { traffic, visibilities };
        // As in Knative, a tag without a host takes what was told of the others with it.
        self.status.traffic.clear();
        self.status.traffic = self.status_traffic(&assigned, &Rollout::default())?;
        self.status.mark_traffic_assigned(self.now);
        Ok(Some(assigned))
    }

    fn status_traffic(&self, assigned: &Assigned, rollout: &Rollout) -> Result<Vec<super::TrafficTarget>, NamingError> {
        let Assigned { traffic, visibilities } = assigned;
        effective::status_traffic(self.route, traffic, visibilities, self.settings.naming, rollout)
    }

    /// Writes the Ingress; the rollout that it has then.
    fn programme(&mut self, assigned: &Assigned, certified: &Certified) -> Result<Rollout, RouteError> {
        let Stepped { rollout, next_step } = effective::rollout(
            self.route,
            &self.status,
            &assigned.traffic,
            self.seen.ingress,
            self.network(),
            self.now,
        );
        let left = |next: i64| next.saturating_sub(effective::nanoseconds(self.now));
        self.requeue_after = next_step.map(|next| Duration::from_nanos(u64::try_from(left(next)).unwrap_or_default()));
        let wanted = self.wanted_ingress(assigned, certified, &rollout)?;
        self.write_ingress(wanted, &rollout);
        Ok(rollout)
    }

    fn wanted_ingress(
        &self,
        assigned: &Assigned,
        certified: &Certified,
        rollout: &Rollout,
    ) -> Result<Ingress, RouteError> {
        let annotations = self.route.metadata.annotations.as_ref();
        let programme = Programme {
            route: self.route,
            naming: self.settings.naming,
            traffic: &assigned.traffic,
            visibilities: &assigned.visibilities,
            rollout,
            tls: &certified.tls,
            challenges: &certified.challenges,
            class: self.ingress_class(),
            http_option: http_option(annotations, self.network().http_protocol)?,
            routes_by_header: self.settings.features.tag_header_based_routing.is_enabled(),
            is_system_internal_tls: self.settings.is_system_internal_tls,
        };
        Ok(programme.ingress()?)
    }

    fn write_ingress(&mut self, wanted: Ingress, rollout: &Rollout) {
        let Some(existing) = self.seen.ingress else {
            let message = format!("Created Ingress \"{}\"", ingress_name(self.route));
            let write = Write::Ingress(Change::Create(Box::new(wanted)));
            self.actions.push(Action::told(write, "Created", message));
            self.status.mark_ingress_not_configured(self.now);
            return;
        };
        let is_new_generation = existing.spec != wanted.spec;
        if is_new_generation || !has_same_metadata(&existing.metadata, &wanted.metadata) {
            let mut updated = existing.clone();
            updated.spec = wanted.spec;
            updated.metadata.labels = wanted.metadata.labels;
            updated.metadata.annotations = wanted.metadata.annotations;
            let write = Write::Ingress(Change::Update(Box::new(updated)));
            self.actions.push(Action::silent(write));
        }
        if is_new_generation || !existing.is_observed() {
            self.status.mark_ingress_not_configured(self.now);
        } else if rollout.is_done() {
            self.status.propagate_ingress_status(&existing.status, self.now);
        }
    }

    fn network(&self) -> &Network {
        self.settings.naming.network
    }

    fn ingress_class(&self) -> &str {
        http_option::ingress_class(
            self.route.metadata.annotations.as_ref(),
            &self.settings.naming.network.ingress_class,
        )
    }
}

fn has_same_metadata(left: &ObjectMeta, right: &ObjectMeta) -> bool {
    let (labels, annotations) = (left.labels.clone(), left.annotations.clone());
    labels.unwrap_or_default() == right.labels.clone().unwrap_or_default()
        && annotations.unwrap_or_default() == right.annotations.clone().unwrap_or_default()
}

/// Whether the Route is the controller of an object.
fn controls(route: &Route, metadata: &ObjectMeta) -> bool {
    let owners = metadata.owner_references.iter().flatten();
    let mut controllers = owners.filter(|owner| owner.controller == Some(true));
    let uid = route.metadata.uid.as_deref().unwrap_or_default();
    controllers.next().is_some_and(|controller| controller.uid == uid)
}

#[cfg(test)]
mod tests;
