// SPDX-License-Identifier: Apache-2.0
//! What a Route points at, now and when its spec is met: control-plane spec 4.5.
//!
//! Depends on: context, api (route).

use std::collections::BTreeSet;
use std::sync::Arc;

use api::configuration::Configuration;
use api::revision::Revision;
use api::route::Route;

use crate::context::Context;
use crate::kept::{Kept, maker};
use crate::key::Key;
use crate::tracker::Reference;

/// Names in the Route's namespace.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) revisions: BTreeSet<String>,
    pub(super) configurations: BTreeSet<String>,
    /// What must be watched, missing objects too.
    pub(super) references: BTreeSet<Reference>,
}

/// What the Route points at.
pub(super) fn of(context: &Context, route: &Route) -> Wanted {
    let mut wanted = Wanted::default();
    for target in route.status.traffic.iter().chain(&route.spec.traffic) {
        if !target.revision_name.is_empty() {
            let revision = wanted.revision(context, route, &target.revision_name);
            let owner = revision.and_then(|revision| maker::<Configuration, _>(revision.as_ref()));
            if let Some(owner) = owner {
                // The newest must not go before it is ready.
                wanted.configuration(context, route, &owner.name, target.latest_revision == Some(true));
            }
        } else if !target.configuration_name.is_empty() {
            let follows = target.latest_revision == Some(true);
            wanted.configuration(context, route, &target.configuration_name, follows);
        }
    }
    wanted
}

impl Wanted {
    fn revision(&mut self, context: &Context, route: &Route, name: &str) -> Option<Arc<Revision>> {
        let key = Key::new(route.namespace(), name);
        self.references.insert((Revision::kind(), key.clone()));
        let revision = context.get::<Revision>(&key)?;
        self.revisions.insert(name.to_owned());
        Some(revision)
    }

    fn configuration(&mut self, context: &Context, route: &Route, name: &str, follows: bool) {
        let key = Key::new(route.namespace(), name);
        self.references.insert((Configuration::kind(), key.clone()));
        let Some(configuration) = context.get::<Configuration>(&key) else {
            return;
        };
        self.configurations.insert(name.to_owned());
        let created = &configuration.status.latest_created_revision_name;
        if follows && !created.is_empty() {
            self.revision(context, route, created);
        }
    }
}
