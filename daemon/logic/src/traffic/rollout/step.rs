// SPDX-License-Identifier: Apache-2.0
//! One step: the goal merged with the state before it (control-plane spec 4.8, "Merge goal").
//!
//! Invariants: the newest revision never loses; a configuration's shares sum to its percent.
//! Differs from Knative in one input: when a configuration's percent falls so far that the oldest revision of a rollout in progress
//! loses its whole share, Knative indexes past the end of its list and the reconcile panics, each time again. Here the rollout goes on
//! with the revisions that are left.
//! Depends on: state.

use super::state::{ConfigurationRollout, RevisionRollout, Rollout, StepParams};

/// The goal, as far as it may hold already.
pub(super) fn merged(goal: Rollout, previous: &Rollout, now: i64) -> Rollout {
    if previous.configurations.is_empty() {
        return goal;
    }
    let mut groups: Vec<Vec<ConfigurationRollout>> = Vec::new();
    for one in goal.configurations {
        match groups
            .iter_mut()
            .find(|group| group.first().is_some_and(|first| first.tag == one.tag))
        {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let mut effective = Rollout::default();
    for group in groups {
        let tag = group.first().map(|first| first.tag.clone()).unwrap_or_default();
        let before: Vec<_> = previous.of_tag(&tag).collect();
        effective.configurations.extend(group_merged(group, &before, now));
    }
    effective.sort();
    effective
}

/// The earliest step to come among the entries that were there before; entries that are new never roll.
pub(super) fn next_step(effective: &Rollout, previous: &Rollout) -> Option<i64> {
    if previous.configurations.is_empty() {
        return None;
    }
    effective
        .configurations
        .iter()
        .map(|one| one.step_params.next_step_time)
        .filter(|time| *time > 0)
        .min()
}

/// One tag: both lists are sorted by configuration, and walked together.
fn group_merged(
    goal: Vec<ConfigurationRollout>,
    before: &[&ConfigurationRollout],
    now: i64,
) -> Vec<ConfigurationRollout> {
    if before.is_empty() {
        // Knative takes up only the first configuration of a new tag here; the others follow with the next reconcile.
        return goal.into_iter().take(1).collect();
    }
    let mut effective = Vec::with_capacity(goal.len());
    let mut before = before.iter().peekable();
    for one in goal {
        while before
            .next_if(|old| old.configuration_name < one.configuration_name)
            .is_some()
        {}
        match before.peek() {
            None => effective.push(one),
            Some(old) if old.configuration_name == one.configuration_name => {
                match one.percent {
                    2.. => effective.push(stepped(one, old, now)),
                    1 => effective.push(one),
                    _ => {}
                }
                before.next();
            }
            Some(_) if one.percent != 0 => effective.push(one),
            Some(_) => {}
        }
    }
    effective
}

/// One configuration that was there before.
fn stepped(mut goal: ConfigurationRollout, before: &ConfigurationRollout, now: i64) -> ConfigurationRollout {
    goal.step_params = StepParams::default();
    let mut left = before.revisions.clone();
    adjust(&mut left, goal.percent, before.percent);
    let (Some(newest), Some(wanted)) = (left.last(), goal.revisions.first()) else {
        return goal;
    };
    if newest.revision_name != wanted.revision_name {
        let wanted = RevisionRollout {
            revision_name: wanted.revision_name.clone(),
            percent: 1,
        };
        goal.revisions = begun(left, wanted);
        goal.step_params.start_time = now;
    } else if left.len() > 1 {
        goal.revisions = left;
        goal.step_params = before.step_params;
        if goal.step_params.step_size > 0 && now >= goal.step_params.next_step_time {
            advance(&mut goal, now);
        }
    }
    goal
}

/// The configuration's share changed: more goes to the newest revision, less is taken from the oldest first.
fn adjust(revisions: &mut Vec<RevisionRollout>, goal: i64, before: i64) {
    let gain = goal.saturating_sub(before);
    if gain > 0
        && let Some(newest) = revisions.last_mut()
    {
        newest.percent = newest.percent.saturating_add(gain);
    }
    let mut loss = gain.saturating_neg();
    let mut emptied = 0;
    for revision in revisions.iter_mut() {
        if loss <= 0 {
            break;
        }
        if revision.percent > loss {
            revision.percent -= loss;
            break;
        }
        loss = loss.saturating_sub(revision.percent);
        emptied += 1;
    }
    revisions.drain(..emptied);
}

/// A new revision gets its first 1 %, from the newest one that has any.
fn begun(mut left: Vec<RevisionRollout>, wanted: RevisionRollout) -> Vec<RevisionRollout> {
    if let Some(giver) = left.iter_mut().rev().find(|revision| revision.percent > 0) {
        giver.percent -= 1;
    }
    left.retain(|revision| revision.percent != 0);
    left.push(wanted);
    left
}

/// A step is due: the newest revision takes its size from the second-newest backwards.
fn advance(rollout: &mut ConfigurationRollout, now: i64) {
    let Some(mut newest) = rollout.revisions.pop() else {
        return;
    };
    let mut remaining = rollout.step_params.step_size;
    while remaining > 0
        && let Some(giver) = rollout.revisions.last_mut()
    {
        if giver.percent > remaining {
            giver.percent -= remaining;
            break;
        }
        remaining = remaining.saturating_sub(giver.percent);
        rollout.revisions.pop();
    }
    // A step may be larger than what was left to take.
    newest.percent = newest
        .percent
        .saturating_add(rollout.step_params.step_size)
        .min(rollout.percent);
    rollout.revisions.push(newest);
    if rollout.is_done() {
        rollout.step_params = StepParams::default();
    } else {
        rollout.step_params.next_step_time = now.saturating_add(rollout.step_params.step_duration);
    }
}
