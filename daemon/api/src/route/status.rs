// SPDX-License-Identifier: Apache-2.0
//! How a Route is: its targets, its Ingress, its certificates; control-plane spec 4.7.
//!
//! Depends on: certificate, conditions, ingress.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::RouteStatus;
use crate::certificate::Certificate;
use crate::condition::Observed;
use crate::conditions::{ConditionSet, Conditioned, READY};
use crate::ingress::IngressStatus;

/// Every target of the traffic was found and is ready.
pub const ALL_TRAFFIC_ASSIGNED: &str = "AllTrafficAssigned";
/// The gateways are programmed.
pub const INGRESS_READY: &str = "IngressReady";
/// The certificates are there, or none is wanted.
pub const CERTIFICATE_PROVISIONED: &str = "CertificateProvisioned";
/// Why no certificate is wanted: the operator does not want any.
pub const TLS_NOT_ENABLED: &str = "external-domain-tls is not enabled";
/// Why no certificate is wanted: nothing is reachable from outside.
pub const TLS_NOT_ENABLED_FOR_CLUSTER_LOCAL: &str = "TLS is not enabled for cluster-local";

impl Conditioned for RouteStatus {
    const SET: ConditionSet = ConditionSet::living(&[ALL_TRAFFIC_ASSIGNED, INGRESS_READY, CERTIFICATE_PROVISIONED]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl RouteStatus {
    /// The placeholder Service of the wanted name belongs to somebody else.
    pub fn mark_service_not_owned(&mut self, name: &str, now: &Time) {
        let message = format!("There is an existing placeholder Service \"{name}\" that we do not own.");
        self.marks(now).mark_false(INGRESS_READY, "NotOwned", &message);
    }

    /// The Endpoints of the wanted name belong to somebody else.
    pub fn mark_endpoint_not_owned(&mut self, name: &str, now: &Time) {
        let message = format!("There is an existing placeholder Endpoint \"{name}\" that we do not own.");
        self.marks(now).mark_false(INGRESS_READY, "NotOwned", &message);
    }

    /// Traffic moves to the latest Revision step by step.
    pub fn mark_ingress_rollout_in_progress(&mut self, now: &Time) {
        let message = "A gradual rollout of the latest revision(s) is in progress.";
        self.marks(now)
            .mark_unknown(INGRESS_READY, "RolloutInProgress", message);
    }

    /// The Ingress has no status for its generation.
    pub fn mark_ingress_not_configured(&mut self, now: &Time) {
        let message = "Ingress has not yet been reconciled.";
        self.marks(now)
            .mark_unknown(INGRESS_READY, "IngressNotConfigured", message);
    }

    /// Every target was found and is ready.
    pub fn mark_traffic_assigned(&mut self, now: &Time) {
        self.marks(now).mark_true(ALL_TRAFFIC_ASSIGNED);
    }

    /// The targets could not be looked up.
    pub fn mark_unknown_traffic_error(&mut self, message: &str, now: &Time) {
        self.marks(now).mark_unknown(ALL_TRAFFIC_ASSIGNED, "Unknown", message);
    }

    /// A target cannot have traffic.
    pub fn mark_revision_target_traffic_error(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_false(ALL_TRAFFIC_ASSIGNED, reason, message);
    }

    /// A Configuration has no ready Revision yet.
    pub fn mark_configuration_not_ready(&mut self, name: &str, now: &Time) {
        let message = format!("Configuration \"{name}\" is waiting for a Revision to become ready.");
        self.marks(now)
            .mark_unknown(ALL_TRAFFIC_ASSIGNED, "RevisionMissing", &message);
    }

    /// A Configuration failed before any Revision of it was ready.
    pub fn mark_configuration_failed(&mut self, name: &str, now: &Time) {
        let message = format!("Configuration \"{name}\" does not have any ready Revision.");
        self.mark_revision_target_traffic_error("RevisionMissing", &message, now);
    }

    /// A Revision is not ready yet.
    pub fn mark_revision_not_ready(&mut self, name: &str, now: &Time) {
        let message = format!("Revision \"{name}\" is not yet ready.");
        self.marks(now)
            .mark_unknown(ALL_TRAFFIC_ASSIGNED, "RevisionMissing", &message);
    }

    /// A Revision failed.
    pub fn mark_revision_failed(&mut self, name: &str, now: &Time) {
        let message = format!("Revision \"{name}\" failed to become ready.");
        self.mark_revision_target_traffic_error("RevisionMissing", &message, now);
    }

    /// A Revision belongs to the Service `owner`, or to none when empty, and the Route to `service`.
    pub fn mark_revision_not_owned(&mut self, name: &str, service: &str, owner: &str, now: &Time) {
        let message = match owner {
            "" => format!("Revision \"{name}\" does not belong to Service \"{service}\"."),
            owner => format!("Revision \"{name}\" belongs to Service \"{owner}\", not Service \"{service}\"."),
        };
        self.mark_revision_target_traffic_error("RevisionNotOwned", &message, now);
    }

    /// A Configuration or Revision is not there.
    pub fn mark_missing_traffic_target(&mut self, kind: &str, name: &str, now: &Time) {
        let message = format!("{kind} \"{name}\" referenced in traffic not found.");
        self.mark_revision_target_traffic_error(&format!("{kind}Missing"), &message, now);
    }

    /// A certificate will not come.
    pub fn mark_certificate_provision_failed(&mut self, certificate: &Certificate, now: &Time) {
        let message = format!(
            "Certificate {} fails to be provisioned: {}",
            certificate.name(),
            reason(certificate)
        );
        self.marks(now)
            .mark_false(CERTIFICATE_PROVISIONED, "CertificateProvisionFailed", &message);
    }

    /// Every certificate is there.
    pub fn mark_certificate_ready(&mut self, now: &Time) {
        self.marks(now).mark_true(CERTIFICATE_PROVISIONED);
    }

    /// A certificate is not there yet.
    pub fn mark_certificate_not_ready(&mut self, certificate: &Certificate, now: &Time) {
        let message = format!(
            "Certificate {} is not ready: {}",
            certificate.name(),
            reason(certificate)
        );
        self.marks(now)
            .mark_unknown(CERTIFICATE_PROVISIONED, "CertificateNotReady", &message);
    }

    /// The Certificate of the wanted name belongs to somebody else.
    pub fn mark_certificate_not_owned(&mut self, name: &str, now: &Time) {
        let message = format!("There is an existing certificate {name} that we don't own.");
        self.marks(now)
            .mark_false(CERTIFICATE_PROVISIONED, "CertificateNotOwned", &message);
    }

    /// No certificate is wanted; `message` says why.
    pub fn mark_tls_not_enabled(&mut self, message: &str, now: &Time) {
        self.marks(now)
            .mark_true_with_reason(CERTIFICATE_PROVISIONED, "TLSNotEnabled", message);
    }

    /// Plain HTTP serves until the certificate is there.
    pub fn mark_http_downgrade(&mut self, name: &str, now: &Time) {
        let message = format!("Certificate {name} is not ready downgrade HTTP.");
        self.marks(now)
            .mark_true_with_reason(CERTIFICATE_PROVISIONED, "HTTPDowngrade", &message);
    }

    /// Takes over what the Ingress says of itself.
    pub fn propagate_ingress_status(&mut self, ingress: &IngressStatus, now: &Time) {
        match ingress.condition(READY) {
            None => self.mark_ingress_not_configured(now),
            Some(ready) => self.marks(now).mirror(INGRESS_READY, ready),
        }
    }
}

/// Why a certificate is not ready, in one word.
fn reason(certificate: &Certificate) -> &str {
    certificate
        .status
        .condition(READY)
        .map_or("", |ready| ready.reason.as_str())
}
