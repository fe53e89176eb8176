// SPDX-License-Identifier: Apache-2.0
//! Which Revisions of a Configuration go: control-plane spec 4.6.
//!
//! Invariants: one that a Route points at, that is the latest ready, whose routing is not decided yet or that its user wants
//! to keep never goes; never so many go that fewer than the operator's minimum remain.
//! Depends on: api (revision), logic (settings).

use std::borrow::Borrow;

use api::configuration::Configuration;
use api::names::serving::{self, routing_state};
use api::revision::Revision;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use logic::settings::{Gc, Span};

/// The Revisions to delete, those that were active longest ago first.
#[must_use]
pub fn among<'a, R: Borrow<Revision>>(
    revisions: &'a [R],
    configuration: &Configuration,
    settings: &Gc,
    now: &Time,
) -> Vec<&'a Revision> {
    let keeps_all = settings.max_non_active_revisions.is_none()
        && settings.retain_since_create_time.is_none()
        && settings.retain_since_last_active_time.is_none();
    let least = usize::try_from(settings.min_non_active_revisions).unwrap_or_default();
    if keeps_all || revisions.len() <= least {
        return Vec::new();
    }
    let mut idle: Vec<_> = revisions
        .iter()
        .map(R::borrow)
        .filter(|revision| !is_needed(revision, configuration))
        .collect();
    idle.sort_by(|left, right| {
        last_active(left)
            .cmp(&last_active(right))
            .then_with(|| left.name().cmp(right.name()))
    });
    let spare = idle.len().saturating_sub(least);
    let (mut gone, mut kept): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
    for revision in idle {
        match gone.len() < spare && is_stale(revision, settings, now) {
            true => gone.push(revision),
            false => kept.push(revision),
        }
    }
    let most = settings
        .max_non_active_revisions
        .map(|most| usize::try_from(most).unwrap_or_default());
    let surplus = most.map_or(0, |most| kept.len().saturating_sub(most));
    gone.extend(kept.into_iter().take(surplus));
    gone
}

fn is_needed(revision: &Revision, configuration: &Configuration) -> bool {
    let is_kept = revision
        .annotation(serving::NO_GC)
        .is_some_and(|text| text.eq_ignore_ascii_case("true"));
    revision.name() == configuration.status.latest_ready_revision_name
        || is_kept
        || revision.label(serving::ROUTING_STATE) != Some(routing_state::RESERVE)
}

fn is_stale(revision: &Revision, settings: &Gc, now: &Time) -> bool {
    let limits = [
        (settings.retain_since_create_time, created(revision)),
        (settings.retain_since_last_active_time, last_active(revision)),
    ];
    let is_past = |(limit, since): &(Option<Span>, Timestamp)| {
        limit.is_none_or(|limit| now.0.duration_since(*since) >= SignedDuration::from_nanos(limit.as_nanos()))
    };
    limits.iter().any(|(limit, _)| limit.is_some()) && limits.iter().all(is_past)
}

fn created(revision: &Revision) -> Timestamp {
    let created = revision.metadata.creation_timestamp.as_ref();
    created.map_or(Timestamp::UNIX_EPOCH, |created| created.0)
}

/// When its routing changed last, else when it was made.
fn last_active(revision: &Revision) -> Timestamp {
    let since = revision.annotation(serving::ROUTING_STATE_MODIFIED);
    since
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| created(revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOUR: i64 = 3600;

    /// Made and last active so many hours ago.
    fn revision(name: &str, made: i64, active: i64, state: &str) -> Revision {
        let ago = |hours: i64| Timestamp::from_second((1000 - hours) * HOUR).unwrap().to_string();
        serde_json::from_value(json!({"metadata": {"name": name, "creationTimestamp": ago(made),
            "labels": {(serving::ROUTING_STATE): state},
            "annotations": {(serving::ROUTING_STATE_MODIFIED): ago(active)}}}))
        .unwrap()
    }

    fn gone(revisions: &[Revision], settings: &Gc) -> Vec<String> {
        let mut configuration = Configuration::default();
        configuration.status.latest_ready_revision_name = "latest".to_owned();
        let now = Time(Timestamp::from_second(1000 * HOUR).unwrap());
        let found = among(revisions, &configuration, settings, &now);
        found.into_iter().map(|revision| revision.name().to_owned()).collect()
    }

    fn keep(min: i64, max: Option<i64>) -> Gc {
        Gc {
            min_non_active_revisions: min,
            max_non_active_revisions: max,
            ..Gc::default()
        }
    }

    #[test]
    fn what_is_needed_stays_however_old() {
        let mut kept = revision("kept", 900, 900, "reserve");
        let annotations = kept.metadata.annotations.get_or_insert_default();
        annotations.insert(serving::NO_GC.to_owned(), "True".to_owned());
        let revisions = [
            revision("latest", 900, 900, "reserve"),
            revision("active", 900, 900, "active"),
            revision("pending", 900, 900, "pending"),
            kept,
            revision("old", 900, 900, "reserve"),
        ];
        assert_eq!(gone(&revisions, &keep(0, Some(0))), ["old"]);
    }

    #[test]
    fn both_ages_must_be_past_and_the_minimum_stays() {
        let revisions = [
            revision("young", 47, 47, "reserve"),
            revision("recent", 900, 14, "reserve"),
            revision("old", 48, 15, "reserve"),
            revision("older", 90, 90, "reserve"),
        ];
        assert_eq!(gone(&revisions, &keep(0, None)), ["older", "old"]);
        assert_eq!(gone(&revisions, &keep(3, None)), ["older"]);
        assert!(gone(&revisions, &keep(4, None)).is_empty());
    }

    #[test]
    fn above_the_maximum_the_oldest_go_though_they_are_young() {
        let revisions = [
            revision("c", 1, 1, "reserve"),
            revision("b", 2, 2, "reserve"),
            revision("a", 3, 3, "reserve"),
        ];
        assert_eq!(gone(&revisions, &keep(0, Some(1))), ["a", "b"]);
    }

    #[test]
    fn nothing_goes_where_every_limit_is_disabled() {
        let disabled = Gc {
            retain_since_create_time: None,
            retain_since_last_active_time: None,
            ..keep(0, None)
        };
        assert!(gone(&[revision("a", 900, 900, "reserve")], &disabled).is_empty());
    }
}
