// SPDX-License-Identifier: Apache-2.0
//! One reconciliation of a DomainMapping, as a decision: control-plane spec 4.9.
//!
//! Problem: claim, target, certificate and Ingress of a domain follow from each other and from what is there.
//! Mechanism: `Pass` walks Knative's order: claim, certificate, target, Ingress; each step adds writes and marks the status.
//! Invariants: pure; an error keeps the writes and marks of the steps before it; nothing panics.
//! Depends on: desired, target, status, conditions, certificate, ingress, cluster_domain_claim.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use logic::settings::Network;
use logic::settings::network::HttpProtocol;
use thiserror::Error;

use super::status::TLS_CERTIFICATE_PROVIDED_EXTERNALLY;
use super::target::{self, Target};
use super::{DomainMapping, DomainMappingStatus, desired};
use crate::address::Addressable;
use crate::certificate::{Certificate, Http01Challenge};
use crate::cluster_domain_claim::{ClusterDomainClaim, ClusterDomainClaimSpec};
use crate::condition::ConditionStatus;
use crate::conditions::{Conditioned, is, pass};
use crate::ingress::http_option::WrongProtocol;
use crate::ingress::{Ingress, IngressTls};
use crate::names::{first, networking};

/// Why no certificate is wanted: the operator does not want any, or the user.
const TLS_NOT_ENABLED: &str = "external-domain-tls is not enabled";

/// What is there.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The claim of the domain.
    pub claim: Option<&'a ClusterDomainClaim>,
    /// The address of what the domain shall lead to, or why it has none.
    pub address: Result<&'a str, &'a str>,
    /// The Certificate of the wanted name.
    pub certificate: Option<&'a Certificate>,
    /// The Ingress of the wanted name.
    pub ingress: Option<&'a Ingress>,
}

/// What the operator wants.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// config-network.
    pub network: &'a Network,
    /// The domain of the cluster.
    pub cluster_domain: &'a str,
}

/// What shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The status to write.
    pub status: DomainMappingStatus,
    /// What to write, in this order.
    pub writes: Vec<Write>,
    /// What went wrong; the DomainMapping is then tried again, later each time.
    pub error: Option<DomainMappingError>,
}

/// A change of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// The claim is made.
    CreateClaim(Box<ClusterDomainClaim>),
    /// The Certificate is made.
    CreateCertificate(Box<Certificate>),
    /// The Certificate is written again.
    UpdateCertificate(Box<Certificate>),
    /// The Ingress is made.
    CreateIngress(Box<Ingress>),
    /// The Ingress is written again.
    UpdateIngress(Box<Ingress>),
}

/// What goes wrong with a DomainMapping.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DomainMappingError {
    /// Nobody has claimed the domain, and the operator does not want that to happen by itself.
    #[error("no ClusterDomainClaim found for domain {0:?}")]
    NoClaim(String),
    /// The domain is another namespace's.
    #[error("namespace {namespace:?} does not own ClusterDomainClaim for {domain:?}")]
    ClaimNotOwned {
        /// The namespace of the DomainMapping.
        namespace: String,
        /// The domain.
        domain: String,
    },
    /// What the domain shall lead to is not there, or is nothing that it can lead to.
    #[error("resolving reference: {0}")]
    Reference(String),
    /// An object of the wanted name belongs to somebody else.
    #[error("owner: {name} with Type *v1beta1.DomainMapping does not own {kind}: {name:?}")]
    NotOwned {
        /// `Certificate` or `Ingress`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// The annotation for plain HTTP is wrong.
    #[error(transparent)]
    Protocol(#[from] WrongProtocol),
}

/// Decides what shall be done for a DomainMapping that is not being deleted.
#[must_use]
pub fn reconcile(mapping: &DomainMapping, seen: Seen<'_>, settings: Settings<'_>, now: &Time) -> Decision {
    let mut status = mapping.status.clone();
    pass::begin(&mut status, mapping.generation(), now);
    let mut pass = Pass {
        mapping,
        seen,
        settings,
        now,
        status,
        writes: Vec::new(),
    };
    let error = pass.run().err();
    let before = &mapping.status.observed.conditions;
    pass::end(&mut pass.status, before, mapping.generation(), now);
    Decision {
        status: pass.status,
        writes: pass.writes,
        error,
    }
}

/// Whether the claim goes with the DomainMapping: it was made for its namespace by itself.
#[must_use]
pub fn releases_claim(mapping: &DomainMapping, claim: &ClusterDomainClaim, network: &Network) -> bool {
    network.autocreate_cluster_domain_claims && claim.spec.namespace == mapping.namespace()
}

struct Pass<'a> {
    mapping: &'a DomainMapping,
    seen: Seen<'a>,
    settings: Settings<'a>,
    now: &'a Time,
    status: DomainMappingStatus,
    writes: Vec<Write>,
}

impl<'a> Pass<'a> {
    fn run(&mut self) -> Result<(), DomainMappingError> {
        // Lest an error further on leaves a new generation ready.
        if self.mapping.generation() != self.mapping.status.observed.observed_generation {
            self.status.mark_ingress_not_configured(self.now);
        }
        let scheme = self.settings.network.default_external_scheme.clone();
        self.set_url(&scheme);
        self.claim()?;
        let (tls, challenges) = self.certify()?;
        let target = self.target()?;
        self.programme(target, tls, &challenges)
    }

    fn set_url(&mut self, scheme: &str) {
        let url = Some(format!("{scheme}://{}", self.mapping.name()));
        self.status.url.clone_from(&url);
        self.status.address = Some(Addressable {
            url,
            ..Addressable::default()
        });
    }

    fn claim(&mut self) -> Result<(), DomainMappingError> {
        let (domain, namespace) = (self.mapping.name(), self.mapping.namespace());
        match self.seen.claim {
            Some(claim) if claim.spec.namespace == namespace => {}
            Some(_) => {
                self.status.mark_domain_claim_not_owned(self.now);
                return Err(DomainMappingError::ClaimNotOwned {
                    namespace: namespace.to_owned(),
                    domain: domain.to_owned(),
                });
            }
            None if self.settings.network.autocreate_cluster_domain_claims => {
                let mut claim = ClusterDomainClaim {
                    spec: ClusterDomainClaimSpec {
                        namespace: namespace.to_owned(),
                    },
                    ..ClusterDomainClaim::default()
                };
                claim.metadata.name = Some(domain.to_owned());
                self.writes.push(Write::CreateClaim(Box::new(claim)));
            }
            None => {
                self.status.mark_domain_claim_not_owned(self.now);
                return Err(DomainMappingError::NoClaim(domain.to_owned()));
            }
        }
        self.status.mark_domain_claimed(self.now);
        Ok(())
    }

    fn certify(&mut self) -> Result<(Vec<IngressTls>, Vec<Http01Challenge>), DomainMappingError> {
        let own = desired::own_tls(self.mapping);
        if !own.is_empty() {
            self.status
                .mark_certificate_not_required(TLS_CERTIFICATE_PROVIDED_EXTERNALLY, self.now);
            self.set_url("https");
            return Ok((own, Vec::new()));
        }
        if !self.wants_certificate() {
            self.status.mark_tls_not_enabled(TLS_NOT_ENABLED, self.now);
            return Ok((Vec::new(), Vec::new()));
        }
        let certificate = self.ensure_certificate()?;
        self.set_url("https");
        if certificate.is_ready() {
            self.status.mark_certificate_ready(self.now);
            let is_renewing = is(certificate.status.condition("Renewing"), ConditionStatus::True);
            let challenges = match is_renewing {
                true => certificate.status.http01_challenges.clone(),
                false => Vec::new(),
            };
            let tls = IngressTls {
                hosts: certificate.spec.dns_names.clone(),
                secret_name: certificate.spec.secret_name.clone(),
                secret_namespace: certificate.namespace().to_owned(),
            };
            return Ok((vec![tls], challenges));
        }
        if self.settings.network.http_protocol == HttpProtocol::Enabled {
            self.set_url("http");
            self.status.mark_http_downgrade(certificate.name(), self.now);
        } else {
            self.status.mark_certificate_not_ready(certificate.name(), self.now);
        }
        Ok((Vec::new(), certificate.status.http01_challenges.clone()))
    }

    fn wants_certificate(&self) -> bool {
        let annotations = self.mapping.metadata.annotations.as_ref();
        let disabled = annotations.and_then(|within| first(&networking::DISABLE_EXTERNAL_DOMAIN_TLS, within));
        let is_disabled = disabled.is_some_and(|(_, text)| ["1", "t", "T", "TRUE", "true", "True"].contains(&text));
        self.settings.network.external_domain_tls && !is_disabled
    }

    /// The Certificate as it will be.
    fn ensure_certificate(&mut self) -> Result<Certificate, DomainMappingError> {
        let wanted = desired::certificate(self.mapping, self.settings.network);
        let Some(existing) = self.seen.certificate else {
            self.writes.push(Write::CreateCertificate(Box::new(wanted.clone())));
            return Ok(wanted);
        };
        if !self.controls(&existing.metadata) {
            self.status.mark_certificate_not_owned(existing.name(), self.now);
            return Err(self.not_owned("Certificate", existing.name()));
        }
        let is_new_generation = existing.spec != wanted.spec;
        if !is_new_generation && existing.metadata.annotations == wanted.metadata.annotations {
            return Ok(existing.clone());
        }
        let mut updated = existing.clone();
        updated.spec = wanted.spec;
        updated.metadata.annotations = wanted.metadata.annotations;
        self.writes.push(Write::UpdateCertificate(Box::new(updated.clone())));
        let generation = updated.generation().saturating_add(i64::from(is_new_generation));
        updated.metadata.generation = Some(generation);
        Ok(updated)
    }

    fn target(&mut self) -> Result<Target<'a>, DomainMappingError> {
        let cluster_domain = self.settings.cluster_domain;
        let resolved = self.seen.address.map_err(str::to_owned).and_then(|address| {
            target::of_address(address, self.mapping.namespace(), cluster_domain).map_err(|error| error.to_string())
        });
        match resolved {
            Ok(target) => {
                self.status.mark_reference_resolved(self.now);
                Ok(target)
            }
            Err(why) => {
                self.status.mark_reference_not_resolved(&why, self.now);
                Err(DomainMappingError::Reference(why))
            }
        }
    }

    fn programme(
        &mut self,
        target: Target<'_>,
        tls: Vec<IngressTls>,
        challenges: &[Http01Challenge],
    ) -> Result<(), DomainMappingError> {
        let wanted = desired::ingress(self.mapping, target, tls, challenges, self.settings.network)?;
        let Some(existing) = self.seen.ingress else {
            self.writes.push(Write::CreateIngress(Box::new(wanted)));
            self.status.mark_ingress_not_configured(self.now);
            return Ok(());
        };
        if !self.controls(&existing.metadata) {
            return Err(self.not_owned("Ingress", existing.name()));
        }
        let is_new_generation = existing.spec != wanted.spec;
        let has_same_names = existing.metadata.labels == wanted.metadata.labels
            && existing.metadata.annotations == wanted.metadata.annotations;
        if is_new_generation || !has_same_names {
            let mut updated = existing.clone();
            updated.spec = wanted.spec;
            updated.metadata.labels = wanted.metadata.labels;
            updated.metadata.annotations = wanted.metadata.annotations;
            self.writes.push(Write::UpdateIngress(Box::new(updated)));
        }
        if is_new_generation || !existing.is_observed() {
            self.status.mark_ingress_not_configured(self.now);
        } else {
            self.status.propagate_ingress_status(&existing.status, self.now);
        }
        Ok(())
    }

    fn controls(&self, made: &ObjectMeta) -> bool {
        let owners = made.owner_references.as_deref().unwrap_or_default();
        owners
            .iter()
            .any(|owner| owner.controller == Some(true) && Some(&owner.uid) == self.mapping.metadata.uid.as_ref())
    }

    fn not_owned(&self, kind: &'static str, name: &str) -> DomainMappingError {
        DomainMappingError::NotOwned {
            kind,
            name: name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
