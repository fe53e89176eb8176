// SPDX-License-Identifier: Apache-2.0
//! The state of the rollouts of one Route, and its text.
//!
//! Invariants: `Rollout::parse` returns only consistent states; writing what was read gives the same bytes as Knative.
//! Depends on: serde.

use serde::{Deserialize, Deserializer, Serialize};

/// The rollouts of one Route, sorted by tag and then by configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    /// One entry a tag and configuration.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<ConfigurationRollout>,
}

/// The rollout of one configuration within one tag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationRollout {
    /// Name of the configuration.
    #[serde(default, deserialize_with = "or_default")]
    pub configuration_name: String,
    /// The tag; empty for the Route itself.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// Share of this tag's traffic that the configuration has, 0 to 100; the revisions' shares sum to it.
    #[serde(default, deserialize_with = "or_default")]
    pub percent: i64,
    /// The revisions that have a share, oldest first; two or more while a rollout is in progress.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<RevisionRollout>,
    /// When and how far the next step goes.
    #[serde(default, deserialize_with = "or_default")]
    pub step_params: StepParams,
}

/// The share of one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionRollout {
    /// Name of the revision.
    #[serde(default, deserialize_with = "or_default")]
    pub revision_name: String,
    /// Share of this tag's traffic (not of the configuration's share).
    #[serde(default, deserialize_with = "or_default")]
    pub percent: i64,
}

/// Time and size of the steps; zero means "not known", as in the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepParams {
    /// Unix time in nanoseconds at which the newest revision got its first 1 %.
    #[serde(
        rename = "starttime",
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_zero"
    )]
    pub start_time: i64,
    /// Unix time in nanoseconds of the next step.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub next_step_time: i64,
    /// Nanoseconds between two steps.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub step_duration: i64,
    /// Percentage points that move in one step.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub step_size: i64,
}

/// Why a stored state is discarded.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// The text is not the JSON of a rollout.
    #[error("not the JSON of a rollout: {0}")]
    Text(#[from] serde_json::Error),
    /// A share is above 100 %, a step is larger than the share, or the revisions' shares do not sum to it.
    #[error("shares of configuration {0:?} are not consistent")]
    Shares(String),
}

impl Rollout {
    /// The state that `text` holds, as Knative reads it: unknown keys are ignored, `null` and missing are zero.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let read: Self = serde_json::from_str(text)?;
        match read.configurations.iter().find(|one| !one.is_consistent()) {
            Some(bad) => Err(Malformed::Shares(bad.configuration_name.clone())),
            None => Ok(read),
        }
    }

    /// The text of the annotation, byte for byte as Knative writes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        // A tree of text and integers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The entries of one tag; the empty tag is the Route itself.
    pub fn of_tag<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a ConfigurationRollout> {
        self.configurations.iter().filter(move |one| one.tag == tag)
    }

    /// Whether no configuration is between two revisions.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.configurations.iter().all(ConfigurationRollout::is_done)
    }

    /// Sorts by tag, then by configuration: the order of the text.
    pub fn sort(&mut self) {
        self.configurations
            .sort_by(|a, b| (&a.tag, &a.configuration_name).cmp(&(&b.tag, &b.configuration_name)));
    }
}

impl ConfigurationRollout {
    /// Whether at most one revision has a share.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.revisions.len() < 2
    }

    /// Whether the shares add up (control-plane spec 4.8); a negative percent fails, since no step fits in it.
    fn is_consistent(&self) -> bool {
        let sum: i128 = self.revisions.iter().map(|revision| i128::from(revision.percent)).sum();
        self.percent <= 100
            && (0..=self.percent).contains(&self.step_params.step_size)
            && sum == i128::from(self.percent)
    }
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
