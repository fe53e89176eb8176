// SPDX-License-Identifier: Apache-2.0
//! What a Configuration makes: one Revision for every generation of it; control-plane spec 4.3.
//!
//! Invariants: the same Configuration at the same time gives the same Revision.
//! Depends on: child_name, names, object, revision.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Configuration;
use crate::child_name::child_name;
use crate::names::serving;
use crate::revision::routing_state::set_routing_state;
use crate::revision::{Revision, RevisionStatus};

/// The name of the Revision of the present generation: the user's, or one counted up.
#[must_use]
pub fn revision_name(configuration: &Configuration) -> String {
    let given = configuration.spec.template.metadata.name.as_deref().unwrap_or_default();
    match given {
        "" => child_name(configuration.name(), &format!("-{:05}", configuration.generation())),
        given => given.to_owned(),
    }
}

/// Whether the name that the user gave to the next Revision is that of another one: of somebody else's, or of an older
/// generation with another spec (control-plane spec 2.7 and 4.3).
#[must_use]
pub fn is_name_taken(configuration: &Configuration, existing: &Revision) -> bool {
    let owners = existing.metadata.owner_references.as_deref().unwrap_or_default();
    let is_ours = owners
        .iter()
        .any(|owner| owner.controller == Some(true) && Some(&owner.uid) == configuration.metadata.uid.as_ref());
    let generation = configuration.generation().to_string();
    let is_present = existing.label(serving::CONFIGURATION_GENERATION) == Some(&generation);
    !is_ours || !(is_present || existing.spec == configuration.spec.template.spec)
}

/// The Revision of the present generation, created at `now`.
#[must_use]
pub fn revision(configuration: &Configuration, now: &Time) -> Revision {
    let template = configuration.spec.template.clone();
    let mut revision = Revision {
        metadata: template.metadata,
        spec: template.spec,
        status: RevisionStatus::default(),
    };
    let metadata = &mut revision.metadata;
    metadata.namespace.clone_from(&configuration.metadata.namespace);
    metadata.name = Some(revision_name(configuration));
    metadata
        .owner_references
        .get_or_insert_default()
        .push(configuration.controller_reference());
    set_routing_state(&mut revision, serving::routing_state::PENDING, now);
    let labels = revision.metadata.labels.get_or_insert_default();
    labels.extend(labels_of(configuration));
    let annotations = revision.metadata.annotations.get_or_insert_default();
    if let Some(modifier) = configuration.annotation(serving::LAST_MODIFIER) {
        annotations.insert(serving::CREATOR.to_owned(), modifier.to_owned());
    }
    if let Some(routes) = configuration.annotation(serving::ROUTES) {
        annotations.insert(serving::ROUTES.to_owned(), routes.to_owned());
        set_routing_state(&mut revision, serving::routing_state::ACTIVE, now);
    }
    revision
}

/// The labels by which a Revision is found; those without a value are left out.
fn labels_of(configuration: &Configuration) -> BTreeMap<String, String> {
    let label = |key| configuration.label(key).unwrap_or_default().to_owned();
    [
        (serving::CONFIGURATION, configuration.name().to_owned()),
        (
            serving::CONFIGURATION_GENERATION,
            configuration.generation().to_string(),
        ),
        (
            serving::CONFIGURATION_UID,
            configuration.metadata.uid.clone().unwrap_or_default(),
        ),
        (serving::SERVICE, label(serving::SERVICE)),
        (serving::SERVICE_UID, label(serving::SERVICE_UID)),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;
    use proptest::prelude::*;

    fn configuration(name: &str, generation: i64) -> Configuration {
        let mut configuration = Configuration::default();
        configuration.metadata.name = Some(name.to_owned());
        configuration.metadata.generation = Some(generation);
        configuration
    }

    #[test]
    fn the_users_own_name_is_taken() {
        let mut configuration = configuration("hello", 3);
        assert_eq!(revision_name(&configuration), "hello-00003");
        configuration.spec.template.metadata.name = Some("hello-blue".to_owned());
        assert_eq!(revision_name(&configuration), "hello-blue");
    }

    #[test]
    fn a_configuration_with_routes_makes_an_active_revision() {
        let mut configuration = configuration("hello", 1);
        let now = Time(Timestamp::UNIX_EPOCH);
        assert_eq!(
            revision(&configuration, &now).label(serving::ROUTING_STATE),
            Some("pending")
        );
        configuration.metadata.annotations = Some(BTreeMap::from([(serving::ROUTES.to_owned(), "r".to_owned())]));
        assert_eq!(
            revision(&configuration, &now).label(serving::ROUTING_STATE),
            Some("active")
        );
    }

    proptest! {
        #[test]
        fn names_fit_and_differ_by_generation(name in "[a-z]{1,63}", generation in 0i64..1_000_000) {
            let first = revision_name(&configuration(&name, generation));
            let second = revision_name(&configuration(&name, generation + 1));
            prop_assert!(first.len() <= 63);
            prop_assert_ne!(first, second);
        }
    }
}
