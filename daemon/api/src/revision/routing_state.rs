// SPDX-License-Identifier: Apache-2.0
//! Whether a Route points at a Revision, and since when: control-plane spec 4.3 and 4.5.
//!
//! Invariants: the time moves only with the state.
//! Depends on: names.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::fmt::strtime;

use super::Revision;
use crate::names::serving;

/// Writes the state, and `now` with it if it is another one than before.
pub fn set_routing_state(revision: &mut Revision, state: &str, now: &Time) {
    let is_dated = revision
        .annotation(serving::ROUTING_STATE_MODIFIED)
        .is_some_and(|since| !since.is_empty());
    if is_dated && revision.label(serving::ROUTING_STATE) == Some(state) {
        return;
    }
    let metadata = &mut revision.metadata;
    metadata
        .labels
        .get_or_insert_default()
        .insert(serving::ROUTING_STATE.to_owned(), state.to_owned());
    metadata
        .annotations
        .get_or_insert_default()
        .insert(serving::ROUTING_STATE_MODIFIED.to_owned(), text_of(now));
}

/// The time as the annotation has it: RFC 3339 in UTC, whole seconds.
fn text_of(time: &Time) -> String {
    strtime::format("%Y-%m-%dT%H:%M:%SZ", time.0).unwrap_or_else(|_| time.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    #[test]
    fn the_time_moves_only_with_the_state() {
        let at = |second| Time(Timestamp::from_second(second).unwrap());
        let mut revision = Revision::default();
        set_routing_state(&mut revision, "active", &at(0));
        set_routing_state(&mut revision, "active", &at(5));
        let since = |revision: &Revision| revision.annotation(serving::ROUTING_STATE_MODIFIED).map(str::to_owned);
        assert_eq!(since(&revision).as_deref(), Some("1970-01-01T00:00:00Z"));
        set_routing_state(&mut revision, "reserve", &at(5));
        assert_eq!(since(&revision).as_deref(), Some("1970-01-01T00:00:05Z"));
    }
}
