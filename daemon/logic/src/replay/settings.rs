// SPDX-License-Identifier: Apache-2.0
//! By what a trace is played: config-autoscaler, annotations and the model, as `key=value`.
//!
//! Problem: people know these keys from ConfigMaps and annotations, and mistype them.
//! Mechanism: keys of config-autoscaler go through the parser of that ConfigMap, on top of a profile; annotations and the
//! model have tables of their own (`keys`). `variants` multiplies what is to be compared.
//! Invariants: an unknown key is refused with the nearest known ones; what Knative would refuse is refused in its words; no
//! setting is infinite.
//! Depends on: kpa, model, nearest, settings (the ConfigMaps).

mod error;
mod keys;

use super::model::Model;
use super::nearest::nearest;
use crate::kpa::{Annotations, Config, Profile, Reachability, Spec, derive};
use crate::settings::{Autoscaler, Data};

pub use error::{MOST_VARIANTS, SettingError};

/// The prefixes that annotations are written with.
const PREFIXES: [&str; 2] = ["autoscaling.knative.dev/", "serving.knative.dev/"];
/// The key that chooses a profile.
const PROFILE: &str = "profile";

/// A key and its value.
pub type Pair = (String, String);

/// By what a trace is played.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// What the operator sets.
    pub config: Config,
    /// What the user sets.
    pub annotations: Annotations,
    /// What the simulator assumes.
    pub model: Model,
}

/// Settings, and what tells them from the others that they are compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// `key=value` of what is compared, empty if nothing is.
    pub label: String,
    /// All that was set for it.
    pub pairs: Vec<Pair>,
    /// The settings.
    pub settings: Settings,
}

impl Settings {
    /// The defaults with these in their place. The profile, wherever it stands, comes first.
    pub fn of(pairs: &[Pair]) -> Result<Self, SettingError> {
        Self::default().with(pairs)
    }

    /// These settings with those in their place. The profile, wherever it stands, comes first.
    pub fn with(&self, pairs: &[Pair]) -> Result<Self, SettingError> {
        let mut made = self.clone();
        let mut own = Data::new();
        let mut profile = Profile::default();
        for (key, value) in pairs {
            let name = plain(key);
            if name == PROFILE {
                profile = named(value)?;
            } else if let Some(key) = keys::ALL.iter().find(|known| known.is(name)) {
                key.read(value, &mut made.annotations, &mut made.model)?;
            } else if Autoscaler::knows(name) {
                keys::uncover(name, &mut made.annotations);
                own.insert(name.to_owned(), value.clone());
            } else {
                return Err(SettingError::Unknown {
                    key: key.clone(),
                    nearest: nearest(name, known()),
                });
            }
        }
        let mut data = keys::data(&made.config);
        if pairs.iter().any(|(key, _)| plain(key) == PROFILE) {
            for (key, value) in keys::profile(profile) {
                keys::uncover(&key, &mut made.annotations);
                data.insert(key, value);
            }
        }
        data.extend(own);
        made.config = keys::config(&data)?;
        Ok(made)
    }

    /// What the decider works with.
    pub fn spec(&self) -> Spec {
        Spec::derive(
            &self.annotations,
            i64::from(self.model.capacity),
            Reachability::Reachable,
            &self.config,
        )
    }

    /// Pods that a new revision begins with.
    pub(super) fn initial_pods(&self) -> u32 {
        u32::try_from(derive::initial_scale(&self.annotations, &self.config)).unwrap_or(0)
    }
}

/// Every key that can be set.
pub fn known() -> impl Iterator<Item = &'static str> {
    let own = keys::ALL.iter().flat_map(|key| key.names());
    let mut all: Vec<_> = Autoscaler::keys().into_iter().chain(own).chain([PROFILE]).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter()
}

/// The settings of every combination of what is compared; one, without a label, if nothing is.
pub fn variants(set: &[Pair], compare: &[(String, Vec<String>)]) -> Result<Vec<Variant>, SettingError> {
    let all: Vec<_> = set
        .iter()
        .map(|(key, _)| key)
        .chain(compare.iter().map(|(key, _)| key))
        .collect();
    for (index, key) in all.iter().enumerate() {
        if all.iter().skip(index + 1).any(|other| plain(other) == plain(key)) {
            return Err(SettingError::Twice(plain(key).to_owned()));
        }
    }
    let count = compare
        .iter()
        .map(|(_, values)| values.len())
        .fold(1, usize::saturating_mul);
    if count > MOST_VARIANTS {
        return Err(SettingError::TooMany(count));
    }
    let mut combinations: Vec<Vec<Pair>> = vec![Vec::new()];
    for (key, values) in compare {
        let longer = combinations.iter().flat_map(|before| {
            let with = |value: &String| [before.as_slice(), &[(key.clone(), value.clone())]].concat();
            values.iter().map(with)
        });
        combinations = longer.collect();
    }
    combinations.iter().map(|compared| variant(set, compared)).collect()
}

fn variant(set: &[Pair], compared: &[Pair]) -> Result<Variant, SettingError> {
    let pairs = [set, compared].concat();
    Ok(Variant {
        label: label(compared),
        settings: Settings::of(&pairs)?,
        pairs,
    })
}

/// `key=value` of each, in one line.
pub fn label(pairs: &[Pair]) -> String {
    let each: Vec<_> = pairs
        .iter()
        .map(|(key, value)| format!("{}={value}", plain(key)))
        .collect();
    each.join(" ")
}

fn plain(key: &str) -> &str {
    let without = |prefix: &&str| key.strip_prefix(*prefix);
    PREFIXES.iter().find_map(without).unwrap_or(key)
}

fn named(value: &str) -> Result<Profile, SettingError> {
    Profile::named(value).ok_or_else(|| SettingError::Value {
        key: PROFILE,
        value: value.to_owned(),
        expected: "default or articles",
    })
}

#[cfg(test)]
mod tests;
