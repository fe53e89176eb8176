// SPDX-License-Identifier: Apache-2.0
//! How a DomainMapping is: its claim, its target, its Ingress, its certificate; control-plane spec 4.9.
//!
//! Depends on: conditions, ingress.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::DomainMappingStatus;
use crate::condition::Observed;
use crate::conditions::{ConditionSet, Conditioned, READY};
use crate::ingress::IngressStatus;

/// The domain belongs to this namespace.
pub const DOMAIN_CLAIMED: &str = "DomainClaimed";
/// The target was found.
pub const REFERENCE_RESOLVED: &str = "ReferenceResolved";
/// The gateways are programmed.
pub const INGRESS_READY: &str = "IngressReady";
/// The certificate is there, or none is wanted.
pub const CERTIFICATE_PROVISIONED: &str = "CertificateProvisioned";
/// Why no certificate is made: the user brings one.
pub const TLS_CERTIFICATE_PROVIDED_EXTERNALLY: &str = "TLS certificate was provided externally";

impl Conditioned for DomainMappingStatus {
    const SET: ConditionSet = ConditionSet::living(&[
        DOMAIN_CLAIMED,
        REFERENCE_RESOLVED,
        INGRESS_READY,
        CERTIFICATE_PROVISIONED,
    ]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl DomainMappingStatus {
    /// No certificate is wanted; `message` says why.
    pub fn mark_tls_not_enabled(&mut self, message: &str, now: &Time) {
        self.marks(now)
            .mark_true_with_reason(CERTIFICATE_PROVISIONED, "TLSNotEnabled", message);
    }

    /// The user brings the certificate; `message` says so.
    pub fn mark_certificate_not_required(&mut self, message: &str, now: &Time) {
        self.marks(now)
            .mark_true_with_reason(CERTIFICATE_PROVISIONED, "CertificateExternallyProvided", message);
    }

    /// The certificate is there.
    pub fn mark_certificate_ready(&mut self, now: &Time) {
        self.marks(now).mark_true(CERTIFICATE_PROVISIONED);
    }

    /// The certificate is not there yet.
    pub fn mark_certificate_not_ready(&mut self, name: &str, now: &Time) {
        let message = format!("Certificate {name} is not ready.");
        self.marks(now)
            .mark_unknown(CERTIFICATE_PROVISIONED, "CertificateNotReady", &message);
    }

    /// The Certificate of the wanted name belongs to somebody else.
    pub fn mark_certificate_not_owned(&mut self, name: &str, now: &Time) {
        let message = format!("There is an existing certificate {name} that we don't own.");
        self.marks(now)
            .mark_false(CERTIFICATE_PROVISIONED, "CertificateNotOwned", &message);
    }

    /// The certificate will not come.
    pub fn mark_certificate_provision_failed(&mut self, name: &str, now: &Time) {
        let message = format!("Certificate {name} failed to be provisioned.");
        self.marks(now)
            .mark_false(CERTIFICATE_PROVISIONED, "CertificateProvisionFailed", &message);
    }

    /// Plain HTTP serves until the certificate is there.
    pub fn mark_http_downgrade(&mut self, name: &str, now: &Time) {
        let message = format!("Certificate {name} is not ready downgrade HTTP.");
        self.marks(now)
            .mark_true_with_reason(CERTIFICATE_PROVISIONED, "HTTPDowngrade", &message);
    }

    /// The Ingress has no status for its generation.
    pub fn mark_ingress_not_configured(&mut self, now: &Time) {
        let message = "Ingress has not yet been reconciled.";
        self.marks(now)
            .mark_unknown(INGRESS_READY, "IngressNotConfigured", message);
    }

    /// The domain is this namespace's.
    pub fn mark_domain_claimed(&mut self, now: &Time) {
        self.marks(now).mark_true(DOMAIN_CLAIMED);
    }

    /// The domain is another namespace's, or nobody may claim it.
    pub fn mark_domain_claim_not_owned(&mut self, now: &Time) {
        let message = "The domain name is already in use by another DomainMapping";
        self.marks(now)
            .mark_false(DOMAIN_CLAIMED, "DomainAlreadyClaimed", message);
    }

    /// The claim could not be made.
    pub fn mark_domain_claim_failed(&mut self, message: &str, now: &Time) {
        self.marks(now).mark_false(DOMAIN_CLAIMED, "DomainClaimFailed", message);
    }

    /// The target was found.
    pub fn mark_reference_resolved(&mut self, now: &Time) {
        self.marks(now).mark_true(REFERENCE_RESOLVED);
    }

    /// The target was not found, or is none that a domain can have.
    pub fn mark_reference_not_resolved(&mut self, message: &str, now: &Time) {
        self.marks(now).mark_false(REFERENCE_RESOLVED, "ResolveFailed", message);
    }

    /// Takes over what the Ingress says of itself.
    pub fn propagate_ingress_status(&mut self, ingress: &IngressStatus, now: &Time) {
        match ingress.condition(READY) {
            None => self.mark_ingress_not_configured(now),
            Some(ready) => self.marks(now).mirror(INGRESS_READY, ready),
        }
    }
}
