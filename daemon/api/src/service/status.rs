// SPDX-License-Identifier: Apache-2.0
//! How a Service is: its Configuration and its Route together; control-plane spec 4.2.
//!
//! Depends on: conditions, configuration, route.

pub mod migration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ServiceStatus;
use crate::condition::Observed;
use crate::conditions::{ConditionSet, Conditioned, READY};
use crate::configuration::ConfigurationStatus;
use crate::route::RouteStatus;

/// The Configuration made a Revision that is ready.
pub const CONFIGURATIONS_READY: &str = "ConfigurationsReady";
/// The Route sends traffic where it should.
pub const ROUTES_READY: &str = "RoutesReady";

impl Conditioned for ServiceStatus {
    const SET: ConditionSet = ConditionSet::living(&[CONFIGURATIONS_READY, ROUTES_READY]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl ServiceStatus {
    /// The Configuration of the wanted name belongs to somebody else.
    pub fn mark_configuration_not_owned(&mut self, name: &str, now: &Time) {
        let message = format!("There is an existing Configuration \"{name}\" that we do not own.");
        self.marks(now).mark_false(CONFIGURATIONS_READY, "NotOwned", &message);
    }

    /// The Route of the wanted name belongs to somebody else.
    pub fn mark_route_not_owned(&mut self, name: &str, now: &Time) {
        let message = format!("There is an existing Route \"{name}\" that we do not own.");
        self.marks(now).mark_false(ROUTES_READY, "NotOwned", &message);
    }

    /// The Configuration's status describes an older generation of it.
    pub fn mark_configuration_not_reconciled(&mut self, now: &Time) {
        let message = "The Configuration is still working to reflect the latest desired specification.";
        self.marks(now).mark_unknown(CONFIGURATIONS_READY, "OutOfDate", message);
    }

    /// The Route's status describes an older generation of it.
    pub fn mark_route_not_reconciled(&mut self, now: &Time) {
        let message = "The Route is still working to reflect the latest desired specification.";
        self.marks(now).mark_unknown(ROUTES_READY, "OutOfDate", message);
    }

    /// The Route is ready, but for a Revision that is not the latest.
    pub fn mark_route_not_yet_ready(&mut self, now: &Time) {
        let message = "Traffic is not yet migrated to the latest revision.";
        self.marks(now)
            .mark_unknown(ROUTES_READY, "TrafficNotMigrated", message);
    }

    /// A Revision of the wanted name exists and is another one.
    pub fn mark_revision_name_taken(&mut self, name: &str, now: &Time) {
        let message =
            format!("The revision name \"{name}\" is taken by a conflicting Revision, so traffic will not be migrated");
        self.marks(now).mark_false(ROUTES_READY, "RevisionNameTaken", &message);
    }

    /// Takes over what the Configuration says of itself.
    pub fn propagate_configuration_status(&mut self, configuration: &ConfigurationStatus, now: &Time) {
        self.latest_ready_revision_name
            .clone_from(&configuration.latest_ready_revision_name);
        self.latest_created_revision_name
            .clone_from(&configuration.latest_created_revision_name);
        if let Some(ready) = configuration.condition(READY) {
            self.marks(now).mirror(CONFIGURATIONS_READY, ready);
        }
    }

    /// Takes over what the Route says of itself.
    pub fn propagate_route_status(&mut self, route: &RouteStatus, now: &Time) {
        self.url.clone_from(&route.url);
        self.address.clone_from(&route.address);
        self.traffic.clone_from(&route.traffic);
        if let Some(ready) = route.condition(READY) {
            self.marks(now).mirror(ROUTES_READY, ready);
        }
    }
}
