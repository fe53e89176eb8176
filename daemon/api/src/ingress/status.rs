// SPDX-License-Identifier: Apache-2.0
//! How far the gateways are programmed; control-plane spec 5.2.
//!
//! Depends on: conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::IngressStatus;
use super::{LoadBalancerIngress, LoadBalancerStatus};
use crate::condition::Observed;
use crate::conditions::{ConditionSet, Conditioned, READY};

/// The rules were translated.
pub const NETWORK_CONFIGURED: &str = "NetworkConfigured";
/// Every gateway has confirmed them.
pub const LOAD_BALANCER_READY: &str = "LoadBalancerReady";

impl Conditioned for IngressStatus {
    const SET: ConditionSet = ConditionSet::living(&[NETWORK_CONFIGURED, LOAD_BALANCER_READY]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl IngressStatus {
    /// The rules were translated.
    pub fn mark_network_configured(&mut self, now: &Time) {
        self.marks(now).mark_true(NETWORK_CONFIGURED);
    }

    /// An object of the wanted name belongs to somebody else.
    pub fn mark_resource_not_owned(&mut self, kind: &str, name: &str, now: &Time) {
        let message = format!("There is an existing {kind} \"{name}\" that we do not own.");
        self.marks(now).mark_false(NETWORK_CONFIGURED, "NotOwned", &message);
    }

    /// Every gateway has confirmed the rules and can be reached here.
    pub fn mark_load_balancer_ready(
        &mut self,
        public: Vec<LoadBalancerIngress>,
        private: Vec<LoadBalancerIngress>,
        now: &Time,
    ) {
        self.public_load_balancer = Some(LoadBalancerStatus { ingress: public });
        self.private_load_balancer = Some(LoadBalancerStatus { ingress: private });
        self.marks(now).mark_true(LOAD_BALANCER_READY);
    }

    /// Some gateway has not confirmed the rules yet.
    pub fn mark_load_balancer_not_ready(&mut self, now: &Time) {
        self.marks(now).mark_unknown(
            LOAD_BALANCER_READY,
            "Uninitialized",
            "Waiting for load balancer to be ready",
        );
    }

    /// The gateways cannot have the rules.
    pub fn mark_load_balancer_failed(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_false(LOAD_BALANCER_READY, reason, message);
    }

    /// Nothing is known of the Ingress as a whole.
    pub fn mark_ingress_not_ready(&mut self, reason: &str, message: &str, now: &Time) {
        self.marks(now).mark_unknown(READY, reason, message);
    }
}
