// SPDX-License-Identifier: Apache-2.0
//! config-gc: when old revisions go (data-plane spec 6, control-plane spec 4.6).
//!
//! Depends on: go, table.

use super::problem::Problems;
use super::table::{self, Check, Data, Key, Reader, Reading, check, key};
use crate::go::number;
use crate::go::span::Span;

/// The settings of config-gc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gc {
    /// A revision younger than this stays; nothing: every one does.
    pub retain_since_create_time: Option<Span>,
    /// A revision active more recently than this stays; nothing: every one does.
    pub retain_since_last_active_time: Option<Span>,
    /// So many inactive revisions stay, however old.
    pub min_non_active_revisions: i64,
    /// More inactive revisions than this go, however young; nothing: any number stays.
    pub max_non_active_revisions: Option<i64>,
}

impl Default for Gc {
    fn default() -> Self {
        Self {
            retain_since_create_time: Some(Span::from_secs(48 * 3600)),
            retain_since_last_active_time: Some(Span::from_secs(15 * 3600)),
            min_non_active_revisions: 20,
            max_non_active_revisions: Some(1000),
        }
    }
}

impl Gc {
    /// Reads the map.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut settings = Self::default();
        let mut reading = Reading::with_prefix(data, "failed to parse data: ");
        reading.read(KEYS, &mut settings);
        reading.check(CHECKS, &settings);
        reading.finish(settings)
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        table::names(KEYS).collect()
    }

    /// Whether the map has such a key.
    #[must_use]
    pub fn knows(key: &str) -> bool {
        table::knows(KEYS, key)
    }
}

const KEYS: &[Key<Gc>] = &[
    key(
        "min-non-active-revisions",
        Reader::Int64(|s| &mut s.min_non_active_revisions),
    ),
    key(
        "retain-since-create-time",
        Reader::Own(|s, text| retention("retain-since-create-time", text, &mut s.retain_since_create_time)),
    ),
    key(
        "retain-since-last-active-time",
        Reader::Own(|s, text| {
            retention(
                "retain-since-last-active-time",
                text,
                &mut s.retain_since_last_active_time,
            )
        }),
    ),
    key("max-non-active-revisions", Reader::Own(most)),
];

const CHECKS: &[Check<Gc>] = &[
    check(&["min-non-active-revisions"], |s| {
        let value = s.min_non_active_revisions;
        (value < 0).then(|| format!("min-non-active-revisions must be non-negative, was: {value}"))
    }),
    check(&["min-non-active-revisions", "max-non-active-revisions"], |s| {
        let (min, max) = (s.min_non_active_revisions, s.max_non_active_revisions?);
        (min > max).then(|| format!("min-non-active-revisions({min}) must be <= max-non-active-revisions({max})"))
    }),
];

/// An empty text leaves the default. These keys are texts to Knative, which may be `disabled`: spaces around them are dropped.
fn retention(key: &str, text: &str, field: &mut Option<Span>) -> Result<(), String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    if is_disabled(text) {
        *field = None;
        return Ok(());
    }
    let fault = |reason: String| format!("failed to parse {key}: {reason}");
    let span = Span::parse(text).map_err(|error| fault(error.to_string()))?;
    if span < Span::ZERO {
        return Err(fault("must be non-negative".to_owned()));
    }
    *field = Some(span);
    Ok(())
}

/// As [`retention`].
fn most(settings: &mut Gc, text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(());
    }
    let fault = |reason: String| format!("failed to parse max-non-active-revisions: {reason}");
    settings.max_non_active_revisions = if is_disabled(text) {
        None
    } else {
        let value = number::uint64(text).map_err(|error| fault(error.to_string()))?;
        Some(i64::try_from(value).map_err(|_| fault(format!("value should be lower than {}", i64::MAX)))?)
    };
    Ok(())
}

fn is_disabled(text: &str) -> bool {
    text.eq_ignore_ascii_case("disabled")
}
