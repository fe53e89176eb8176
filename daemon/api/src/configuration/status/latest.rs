// SPDX-License-Identifier: Apache-2.0
//! Which Revision of a Configuration is the latest that is ready: control-plane spec 4.3, steps 3 to 5.
//!
//! Problem: traffic follows the latest ready Revision; a newer one may be failing, an older one may be named again.
//! Mechanism: of the Revisions between the one that is ready now and the present generation, the newest that is ready; a
//! name that the user gave comes first.
//! Invariants: the answer never goes back to an older generation, but to a Revision that the user names or after the one
//! that was ready is gone; it does not depend on the order of the list.
//! Depends on: its parent, names, revision.

use std::borrow::Borrow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::condition::ConditionStatus;
use crate::conditions::{Conditioned, READY};
use crate::configuration::Configuration;
use crate::names::serving;
use crate::revision::Revision;

/// Takes over how the Revision of the present generation is.
pub fn observe_created(configuration: &mut Configuration, created: &Revision, now: &Time) {
    let status = &mut configuration.status;
    status.set_latest_created_revision_name(created.name(), now);
    let ready = created.status.condition(READY);
    if let Some(failed) = ready.filter(|ready| ready.status == ConditionStatus::False) {
        status.mark_latest_created_failed(created.name(), &failed.message, now);
    }
}

/// The latest Revision that is ready; `revisions`: those that carry the Configuration's label.
#[must_use]
pub fn latest_ready<'a, R: Borrow<Revision>>(
    configuration: &Configuration,
    revisions: &'a [R],
) -> Option<&'a Revision> {
    let named = configuration.spec.template.metadata.name.as_deref();
    let named = named.filter(|name| !name.is_empty());
    let find = |name: &str| revisions.iter().map(R::borrow).find(|revision| revision.name() == name);
    let present = find(&configuration.status.latest_ready_revision_name).map(generation);
    let created = named
        .and_then(|_| find(&configuration.status.latest_created_revision_name))
        .map(generation);
    revisions
        .iter()
        .map(R::borrow)
        .filter(|revision| revision.is_ready())
        .filter(|revision| {
            let generation = generation(revision);
            let is_newer = |present| (present..=configuration.generation()).contains(&generation);
            present.is_none_or(is_newer) || created == Some(generation)
        })
        .max_by_key(|revision| (Some(revision.name()) == named, generation(revision), revision.name()))
}

/// The generation of the Configuration that the Revision was made of; 0 where its label is none.
fn generation(revision: &Revision) -> i64 {
    revision
        .label(serving::CONFIGURATION_GENERATION)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;
    use serde_json::json;

    fn revision(name: &str, generation: i64, status: &str) -> Revision {
        serde_json::from_value(json!({
            "metadata": {"name": name, "generation": 1,
                "labels": {(serving::CONFIGURATION_GENERATION): generation.to_string()}},
            "status": {"observedGeneration": 1,
                "conditions": [{"type": "Ready", "status": status, "reason": "R", "message": "boom"}]},
        }))
        .unwrap()
    }

    fn configuration(generation: i64, ready: &str, name: &str) -> Configuration {
        serde_json::from_value(json!({
            "metadata": {"name": "hello", "generation": generation},
            "spec": {"template": {"metadata": {"name": name}}},
            "status": {"latestReadyRevisionName": ready, "latestCreatedRevisionName": name},
        }))
        .unwrap()
    }

    fn latest<'a>(configuration: &Configuration, revisions: &'a [Revision]) -> Option<&'a str> {
        latest_ready(configuration, revisions).map(Revision::name)
    }

    #[test]
    fn a_ready_one_in_between_is_taken_while_the_newest_fails() {
        let revisions = [
            revision("a", 1, "True"),
            revision("b", 2, "True"),
            revision("c", 3, "False"),
        ];
        assert_eq!(latest(&configuration(3, "a", ""), &revisions), Some("b"));
    }

    #[test]
    fn it_never_goes_back_while_the_present_one_is_there() {
        let revisions = [revision("a", 1, "True"), revision("b", 2, "False")];
        assert_eq!(latest(&configuration(2, "b", ""), &revisions), None);
        assert_eq!(latest(&configuration(2, "gone", ""), &revisions), Some("a"));
    }

    #[test]
    fn a_name_that_the_user_gives_again_is_taken() {
        let revisions = [revision("hello-blue", 1, "True"), revision("hello-green", 2, "True")];
        assert_eq!(
            latest(&configuration(3, "hello-green", "hello-blue"), &revisions),
            Some("hello-blue")
        );
    }

    #[test]
    fn why_the_newest_failed_is_told() {
        let mut configuration = configuration(1, "", "");
        observe_created(
            &mut configuration,
            &revision("a", 1, "False"),
            &Time(Timestamp::UNIX_EPOCH),
        );
        let ready = configuration.status.condition(READY).unwrap();
        assert_eq!(ready.message, "Revision \"a\" failed with message: boom.");
        assert_eq!(configuration.status.latest_created_revision_name, "a");
    }
}
