// SPDX-License-Identifier: Apache-2.0
//! The algebra's own tests; the golden cases are in tests/golden.

use super::pass;
use super::*;
use proptest::prelude::*;

const SET: ConditionSet = ConditionSet::living(&["A", "B"]);

#[derive(Clone, Debug, Default, PartialEq)]
struct Status(Observed);

impl Conditioned for Status {
    const SET: ConditionSet = SET;

    fn observed(&self) -> &Observed {
        &self.0
    }

    fn observed_mut(&mut self) -> &mut Observed {
        &mut self.0
    }
}

fn at(seconds: i64) -> Time {
    Time(Timestamp::new(1_700_000_000 + seconds, 0).unwrap())
}

fn top(status: &Status) -> (ConditionStatus, &str) {
    let top = status.condition(READY).unwrap();
    (top.status, top.reason.as_str())
}

#[test]
fn it_is_ready_when_every_dependent_is() {
    let mut status = Status::default();
    status.marks(&at(0)).initialize();
    status.marks(&at(1)).mark_true("A");
    assert_eq!(top(&status), (ConditionStatus::Unknown, ""));
    status.marks(&at(2)).mark_true("B");
    assert!(status.is_happy());
}

#[test]
fn what_is_false_is_told_before_what_is_unknown() {
    let mut status = Status::default();
    status.marks(&at(0)).mark_false("A", "Broken", "");
    status.marks(&at(1)).mark_unknown("B", "Wait", "");
    assert_eq!(top(&status), (ConditionStatus::False, "Broken"));
}

#[test]
fn the_latest_of_several_is_told_even_if_the_clock_stands_still() {
    let mut status = Status::default();
    let now = at(0);
    status.marks(&now).mark_false("B", "First", "");
    status.marks(&now).mark_false("A", "Second", "");
    status.marks(&now).mark_true("Other");
    assert_eq!(top(&status), (ConditionStatus::False, "Second"));
}

#[test]
fn a_condition_that_only_tells_changes_nothing() {
    let mut status = Status::default();
    status.marks(&at(0)).initialize();
    status.marks(&at(1)).mark_true("A");
    status.marks(&at(1)).mark_true("B");
    status.marks(&at(2)).mark_false("Told", "No", "");
    assert!(status.is_happy());
    assert_eq!(status.marks(&at(3)).clear("Told"), Ok(()));
    assert_eq!(status.marks(&at(3)).clear("A"), Err(Terminal));
}

#[test]
fn a_condition_of_others_that_is_true_keeps_nothing_back() {
    let mut status = Status::default();
    status.marks(&at(0)).initialize();
    status.marks(&at(1)).set(Condition {
        kind: "Other".to_owned(),
        status: ConditionStatus::True,
        severity: Severity::Error,
        ..Condition::default()
    });
    status.marks(&at(2)).mark_true("A");
    status.marks(&at(2)).mark_true("B");
    assert!(status.is_happy());
}

#[test]
fn the_time_of_a_condition_moves_only_with_the_condition() {
    let mut status = Status::default();
    status.marks(&at(0)).mark_unknown("A", "Wait", "");
    status.marks(&at(9)).mark_unknown("A", "Wait", "");
    assert_eq!(status.condition("A").unwrap().last_transition_time, Some(at(0)));
    status.marks(&at(9)).mark_unknown("A", "Wait", "longer");
    assert_eq!(status.condition("A").unwrap().last_transition_time, Some(at(9)));
}

#[test]
fn a_dependent_that_is_new_in_an_upgrade_is_true_where_the_object_was_ready() {
    let mut status = Status::default();
    status.marks(&at(0)).set(Condition {
        kind: READY.to_owned(),
        status: ConditionStatus::True,
        ..Condition::default()
    });
    status.marks(&at(1)).initialize();
    assert!(is(status.condition("B"), ConditionStatus::True));
}

#[test]
fn a_generation_never_seen_to_the_end_is_not_ready() {
    let mut status = Status::default();
    for kind in ["A", "B"] {
        status.marks(&at(0)).mark_true(kind);
    }
    pass::begin(&mut status, 2, &at(1));
    assert_eq!(top(&status), (ConditionStatus::Unknown, "NewObservedGenFailure"));
}

#[test]
fn a_pass_that_changes_nothing_in_the_end_keeps_the_times() {
    let mut status = Status::default();
    for kind in ["A", "B"] {
        status.marks(&at(0)).mark_true(kind);
    }
    pass::end(&mut status, &[], 1, &at(0));
    let before = status.clone();
    pass::begin(&mut status, 1, &at(5));
    status.marks(&at(5)).mark_unknown("A", "Wait", "");
    status.marks(&at(5)).mark_true("A");
    pass::end(&mut status, &before.0.conditions, 1, &at(5));
    assert_eq!(status, before);
}

#[derive(Clone, Debug)]
enum Mark {
    True(&'static str),
    False(&'static str),
    Unknown(&'static str),
}

fn marks() -> impl Strategy<Value = Vec<Mark>> {
    let kind = || prop::sample::select(vec!["A", "B", "Told"]);
    prop::collection::vec(
        prop_oneof![
            kind().prop_map(Mark::True),
            kind().prop_map(Mark::False),
            kind().prop_map(Mark::Unknown),
        ],
        0..20,
    )
}

fn play(status: &mut Status, marks: &[Mark], now: &Time) {
    for mark in marks {
        let mut conditions = status.marks(now);
        match mark {
            Mark::True(kind) => conditions.mark_true(kind),
            Mark::False(kind) => conditions.mark_false(kind, "False", kind),
            Mark::Unknown(kind) => conditions.mark_unknown(kind, "Unknown", kind),
        }
    }
}

proptest! {
    #[test]
    fn conditions_are_sorted_and_unique(list in marks()) {
        let mut status = Status::default();
        status.marks(&at(0)).initialize();
        play(&mut status, &list, &at(0));
        prop_assert!(status.0.conditions.windows(2).all(|pair| pair[0].kind < pair[1].kind));
    }

    #[test]
    fn after_a_true_mark_the_top_is_true_iff_all_dependents_are(list in marks()) {
        let mut status = Status::default();
        status.marks(&at(0)).initialize();
        play(&mut status, &list, &at(0));
        status.marks(&at(0)).mark_true("Told");
        let all = ["A", "B"].iter().all(|kind| is(status.condition(kind), ConditionStatus::True));
        prop_assert_eq!(status.is_happy(), all);
    }

    #[test]
    fn the_top_is_never_true_beside_a_dependent_that_is_not(list in marks()) {
        let mut status = Status::default();
        status.marks(&at(0)).initialize();
        play(&mut status, &list, &at(0));
        let all = ["A", "B"].iter().all(|kind| is(status.condition(kind), ConditionStatus::True));
        prop_assert!(all || !status.is_happy());
    }

    #[test]
    fn the_last_mark_again_changes_nothing(list in marks()) {
        let mut status = Status::default();
        status.marks(&at(0)).initialize();
        play(&mut status, &list, &at(0));
        let before = status.clone();
        play(&mut status, &list[list.len().saturating_sub(1)..], &at(9));
        prop_assert_eq!(status, before);
    }
}
