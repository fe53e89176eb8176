// SPDX-License-Identifier: Apache-2.0
//! The settings that admission goes by, as the ConfigMaps have them now.
//!
//! Mechanism: read anew when one of the ConfigMaps is at another place in the store, as each version is; in a
//! cluster the webhook follows some time later.
//! Invariants: a map that cannot be read changes nothing: its last good values stay.
//! Depends on: state, logic (settings).

use std::sync::{Arc, Mutex, PoisonError};

use api::context::Settings;
use api::json::texts;
use api::names::product::SYSTEM_NAMESPACE;
use logic::settings::{Autoscaler, Defaults, Features};

use crate::key::Key;
use crate::resource;
use crate::state::State;
use crate::store::Place;

const MAPS: [&str; 3] = ["config-autoscaler", "config-defaults", "config-features"];

/// Settings that follow the ConfigMaps.
#[derive(Debug)]
pub(super) struct Followed {
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    places: [Option<Place>; 3],
    settings: Arc<Settings>,
}

impl Followed {
    /// Settings that hold where no ConfigMap says otherwise.
    pub(super) fn new(settings: Settings) -> Self {
        let seen = Seen {
            places: Default::default(),
            settings: Arc::new(settings),
        };
        Self { seen: Mutex::new(seen) }
    }

    /// The settings now.
    pub(super) fn now(&self, state: &State) -> Arc<Settings> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(resource) = resource::find("", "v1", "configmaps") else {
            return Arc::clone(&seen.settings);
        };
        let changed: Vec<_> = state.read(|store| {
            let maps = MAPS.iter().enumerate().filter_map(|(index, name)| {
                let place = store.place(&Key::new(resource, SYSTEM_NAMESPACE, name))?;
                let seen = seen.places.get(index).and_then(Option::as_ref);
                let is_known = seen.is_some_and(|seen| Arc::ptr_eq(seen, place));
                (!is_known).then(|| (index, Arc::clone(place)))
            });
            maps.collect()
        });
        for (index, place) in changed {
            let map = place.get();
            let data = texts(&map["data"]);
            let mut next = Settings::clone(&seen.settings);
            match index {
                0 => next.autoscaler = Autoscaler::parse(&data).unwrap_or(next.autoscaler),
                1 => next.defaults = Defaults::parse(&data).unwrap_or(next.defaults),
                _ => next.features = Features::parse(&data).unwrap_or(next.features),
            }
            if let Some(seen) = seen.places.get_mut(index) {
                *seen = Some(place);
            }
            seen.settings = Arc::new(next);
        }
        Arc::clone(&seen.settings)
    }
}
