// SPDX-License-Identifier: Apache-2.0
//! How a Configuration is: whether its latest Revision became ready; control-plane spec 4.3.
//!
//! Depends on: conditions.

pub mod latest;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::ConfigurationStatus;
use crate::condition::Observed;
use crate::conditions::{ConditionSet, Conditioned, READY};

impl Conditioned for ConfigurationStatus {
    const SET: ConditionSet = ConditionSet::living(&[]);

    fn observed(&self) -> &Observed {
        &self.observed
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.observed
    }
}

impl ConfigurationStatus {
    /// Records the newest Revision; until it is the ready one, nothing is known.
    pub fn set_latest_created_revision_name(&mut self, name: &str, now: &Time) {
        name.clone_into(&mut self.latest_created_revision_name);
        if self.latest_ready_revision_name != name {
            self.marks(now).mark_unknown(READY, "", "");
        }
    }

    /// Records the newest Revision that is ready; if it is the newest of all, the Configuration is ready too.
    pub fn set_latest_ready_revision_name(&mut self, name: &str, now: &Time) {
        name.clone_into(&mut self.latest_ready_revision_name);
        if self.latest_created_revision_name == name {
            self.marks(now).mark_true(READY);
        }
    }

    /// The newest Revision failed.
    pub fn mark_latest_created_failed(&mut self, name: &str, message: &str, now: &Time) {
        let message = format!("Revision \"{name}\" failed with message: {message}.");
        self.marks(now).mark_false(READY, "RevisionFailed", &message);
    }

    /// The Revision could not be created.
    pub fn mark_revision_creation_failed(&mut self, message: &str, now: &Time) {
        let message = format!("Revision creation failed with message: {message}.");
        self.marks(now).mark_false(READY, "RevisionFailed", &message);
    }

    /// The Revision that was ready is gone.
    pub fn mark_latest_ready_deleted(&mut self, now: &Time) {
        let message = format!("Revision \"{}\" was deleted.", self.latest_ready_revision_name);
        self.marks(now).mark_false(READY, "RevisionDeleted", &message);
    }
}
