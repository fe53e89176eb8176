// SPDX-License-Identifier: Apache-2.0
//! The algebra of conditions: control-plane spec 7.
//!
//! Problem: an object is ready when everything it depends on is; what made it not ready must be what its top condition says.
//! Mechanism: a kind names its top condition and the dependents of it ([`ConditionSet`]); marking one of them ([`Marks`])
//! carries over to the top condition by Knative's rules.
//! Invariants: the list is sorted by type and has no type twice; `lastTransitionTime` moves only with something else of the
//! condition; within one pass a later mark has a later time even if the clock stood still.
//! Depends on: condition, object.

pub mod pass;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::condition::{Condition, ConditionStatus, Observed, Severity};
use crate::object::Object;

/// The top condition of whatever lives on.
pub const READY: &str = "Ready";
/// The top condition of whatever ends.
pub const SUCCEEDED: &str = "Succeeded";

/// Marks so close ahead of the clock were made in this same pass.
const SAME_PASS: SignedDuration = SignedDuration::from_millis(1);

/// The conditions that a kind promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConditionSet {
    top: &'static str,
    dependents: &'static [&'static str],
}

impl ConditionSet {
    /// Of something that lives on: `Ready` when every dependent is true.
    #[must_use]
    pub const fn living(dependents: &'static [&'static str]) -> Self {
        Self { top: READY, dependents }
    }

    /// Of something that ends: `Succeeded` when every dependent is true.
    #[must_use]
    pub const fn batch(dependents: &'static [&'static str]) -> Self {
        Self {
            top: SUCCEEDED,
            dependents,
        }
    }

    /// The type of the top condition.
    #[must_use]
    pub const fn top(self) -> &'static str {
        self.top
    }

    /// The types that the top condition depends on, in their order.
    #[must_use]
    pub const fn dependents(self) -> &'static [&'static str] {
        self.dependents
    }

    /// Whether the top condition is this one or depends on it; such conditions are never removed.
    #[must_use]
    pub fn is_terminal(self, kind: &str) -> bool {
        kind == self.top || self.is_dependent(kind)
    }

    fn is_dependent(self, kind: &str) -> bool {
        self.dependents.contains(&kind)
    }

    fn severity(self, kind: &str) -> Severity {
        match self.is_terminal(kind) {
            true => Severity::Error,
            false => Severity::Info,
        }
    }
}

/// A status with conditions.
pub trait Conditioned {
    /// What the kind promises.
    const SET: ConditionSet;

    /// Generation and conditions.
    fn observed(&self) -> &Observed;

    /// Generation and conditions, to be changed.
    fn observed_mut(&mut self) -> &mut Observed;

    /// A condition by its type.
    fn condition(&self, kind: &str) -> Option<&Condition> {
        find(&self.observed().conditions, kind)
    }

    /// Whether the top condition is true, for whichever generation it was.
    fn is_happy(&self) -> bool {
        is(self.condition(Self::SET.top), ConditionStatus::True)
    }

    /// Sets conditions, at the time `now`.
    fn marks<'a>(&'a mut self, now: &'a Time) -> Marks<'a> {
        Marks {
            set: Self::SET,
            conditions: &mut self.observed_mut().conditions,
            now,
        }
    }
}

impl<S, T: Conditioned> Object<S, T> {
    /// Whether the spec as it is now is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_observed() && self.status.is_happy()
    }

    /// Whether the spec as it is now has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.is_observed() && is(self.status.condition(T::SET.top), ConditionStatus::False)
    }

    /// Whether the status describes the spec as it is now.
    #[must_use]
    pub fn is_observed(&self) -> bool {
        self.status.observed().observed_generation == self.generation()
    }
}

/// Whether a condition has this status; one that is not there counts as unknown.
#[must_use]
pub fn is(condition: Option<&Condition>, status: ConditionStatus) -> bool {
    condition.map_or(ConditionStatus::Unknown, |condition| condition.status) == status
}

fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// A terminal condition stays: in Knative's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("clearing terminal conditions not implemented")]
pub struct Terminal;

/// Sets the conditions of one status at one time.
#[derive(Debug)]
pub struct Marks<'a> {
    set: ConditionSet,
    conditions: &'a mut Vec<Condition>,
    now: &'a Time,
}

impl Marks<'_> {
    /// Adds what is missing: unknown, or true where the top condition already is (an upgrade that adds a dependent).
    pub fn initialize(&mut self) {
        let top = self.get(self.set.top).map(|condition| condition.status);
        if top.is_none() {
            self.put(self.set.top, ConditionStatus::Unknown, "", "");
        }
        let status = match top {
            Some(ConditionStatus::True) => ConditionStatus::True,
            _ => ConditionStatus::Unknown,
        };
        for kind in self.set.dependents {
            if self.get(kind).is_none() {
                self.put(kind, status, "", "");
            }
        }
    }

    /// Marks a condition true; the top one follows from all of them.
    pub fn mark_true(&mut self, kind: &str) {
        self.mark_true_with_reason(kind, "", "");
    }

    /// Marks a condition true and says why; the top one follows from all of them.
    pub fn mark_true_with_reason(&mut self, kind: &str, reason: &str, message: &str) {
        self.put(kind, ConditionStatus::True, reason, message);
        match self.worst_dependent() {
            Some((status, reason, message)) => self.put(self.set.top, status, &reason, &message),
            None if kind != self.set.top => self.put(self.set.top, ConditionStatus::True, "", ""),
            None => {}
        }
    }

    /// Marks a condition false, and the top one with it if it depends on it.
    pub fn mark_false(&mut self, kind: &str, reason: &str, message: &str) {
        self.put(kind, ConditionStatus::False, reason, message);
        if self.set.is_dependent(kind) {
            self.put(self.set.top, ConditionStatus::False, reason, message);
        }
    }

    /// Marks a condition unknown, and the top one with it if it depends on it and no dependent is false.
    pub fn mark_unknown(&mut self, kind: &str, reason: &str, message: &str) {
        self.put(kind, ConditionStatus::Unknown, reason, message);
        let dependents = self.set.dependents;
        if dependents
            .iter()
            .any(|dependent| is(self.get(dependent), ConditionStatus::False))
        {
            if !is(self.get(self.set.top), ConditionStatus::False) {
                self.put(self.set.top, ConditionStatus::False, reason, message);
            }
        } else if self.set.is_dependent(kind) {
            self.put(self.set.top, ConditionStatus::Unknown, reason, message);
        }
    }

    /// Marks a condition as another object's condition is: true without a reason, else with status, reason and message.
    pub fn mirror(&mut self, kind: &str, other: &Condition) {
        match other.status {
            ConditionStatus::True => self.mark_true(kind),
            ConditionStatus::False => self.mark_false(kind, &other.reason, &other.message),
            ConditionStatus::Unknown => self.mark_unknown(kind, &other.reason, &other.message),
        }
    }

    /// Removes a condition.
    ///
    /// # Errors
    /// The top condition depends on it.
    pub fn clear(&mut self, kind: &str) -> Result<(), Terminal> {
        if self.set.is_terminal(kind) {
            return Err(Terminal);
        }
        self.conditions.retain(|condition| condition.kind != kind);
        Ok(())
    }

    /// Sets a condition as it is given, the top one aside; the time is `now` if anything else of it changes.
    pub fn set(&mut self, new: Condition) {
        let old = self.get(&new.kind);
        if old.is_some_and(|old| same_but_for_time(old, &new)) {
            return;
        }
        let stamp = self.stamp();
        self.conditions.retain(|condition| condition.kind != new.kind);
        self.conditions.push(Condition {
            last_transition_time: Some(stamp),
            ..new
        });
        self.conditions.sort_by(|left, right| left.kind.cmp(&right.kind));
    }

    fn put(&mut self, kind: &str, status: ConditionStatus, reason: &str, message: &str) {
        self.set(Condition {
            kind: kind.to_owned(),
            status,
            severity: self.set.severity(kind),
            last_transition_time: None,
            reason: reason.to_owned(),
            message: message.to_owned(),
        });
    }

    fn get(&self, kind: &str) -> Option<&Condition> {
        find(self.conditions, kind)
    }

    /// Status, reason and message of what keeps the top condition from being true: the latest that is false, else the
    /// latest that is unknown, else that something is not there yet.
    fn worst_dependent(&self) -> Option<(ConditionStatus, String, String)> {
        if self.set.dependents.is_empty() {
            return None;
        }
        let mut others: Vec<_> = self
            .conditions
            .iter()
            .filter(|condition| condition.severity == Severity::Error && condition.kind != self.set.top)
            .collect();
        let count = others.len();
        others.sort_by(|left, right| right.last_transition_time.cmp(&left.last_transition_time));
        [ConditionStatus::False, ConditionStatus::Unknown]
            .into_iter()
            .find_map(|status| others.iter().find(|condition| condition.status == status))
            .map(|found| (found.status, found.reason.clone(), found.message.clone()))
            .or_else(|| {
                (count < self.set.dependents.len()).then(|| (ConditionStatus::Unknown, String::new(), String::new()))
            })
    }

    /// `now`, or just after the latest mark of this pass.
    fn stamp(&self) -> Time {
        let recent = |time: Timestamp| time >= self.now.0 && time.duration_since(self.now.0) < SAME_PASS;
        let latest = self
            .conditions
            .iter()
            .filter_map(|condition| Some(condition.last_transition_time.as_ref()?.0))
            .filter(|time| recent(*time))
            .max()
            .and_then(|time| time.checked_add(SignedDuration::from_nanos(1)).ok());
        Time(latest.unwrap_or(self.now.0))
    }
}

/// Whether two conditions differ at most in their time.
fn same_but_for_time(left: &Condition, right: &Condition) -> bool {
    (&left.kind, left.status, left.severity, &left.reason, &left.message)
        == (&right.kind, right.status, right.severity, &right.reason, &right.message)
}

#[cfg(test)]
mod tests;
