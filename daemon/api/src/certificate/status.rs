// SPDX-License-Identifier: Apache-2.0
//! How a certificate is; control-plane spec 4.13.
//!
//! Depends on: conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::CertificateStatus;
use crate::condition::Observed;
use crate::conditions::{ConditionSet, Conditioned, READY};

impl Conditioned for CertificateStatus {
    const SET: ConditionSet = ConditionSet::living(&[]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl CertificateStatus {
    /// The certificate is there.
    pub fn mark_ready(&mut self, now: &Time) {
        self.marks(now).mark_true(READY);
    }

    /// The certificate is not there yet.
    pub fn mark_not_ready(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_unknown(READY, reason, message);
    }

    /// The certificate will not come.
    pub fn mark_failed(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_false(READY, reason, message);
    }

    /// An object of the wanted name belongs to somebody else.
    pub fn mark_resource_not_owned(&mut self, kind: &str, name: &str, now: &Time) {
        let message = format!("There is an existing {kind} \"{name}\" that we do not own.");
        self.marks(now).mark_false(READY, "NotOwned", &message);
    }
}
