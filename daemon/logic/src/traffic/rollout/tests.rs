// SPDX-License-Identifier: Apache-2.0

use super::*;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_700_000_010 * SECOND;

fn revision(name: &str, percent: i64) -> RevisionRollout {
    RevisionRollout {
        revision_name: name.into(),
        percent,
    }
}

fn configuration(percent: i64, revisions: &[(&str, i64)]) -> ConfigurationRollout {
    ConfigurationRollout {
        configuration_name: "hello".into(),
        percent,
        revisions: revisions
            .iter()
            .map(|(name, percent)| revision(name, *percent))
            .collect(),
        ..ConfigurationRollout::default()
    }
}

fn of(configurations: &[ConfigurationRollout]) -> Rollout {
    Rollout {
        configurations: configurations.to_vec(),
    }
}

fn goal(name: &str, percent: i64) -> Rollout {
    of(&[configuration(percent, &[(name, percent)])])
}

fn step(goal: Rollout, before: &Rollout, seconds: u64, ready: bool, now: i64) -> Stepped {
    let text = before.to_text();
    let seen = Observation {
        annotation: Some(&text),
        duration: Duration::from_secs(seconds),
        ingress_became_ready: ready,
        now,
    };
    reconcile(goal, &seen)
}

#[test]
fn the_text_is_knatives_byte_for_byte() {
    let text = concat!(
        r#"{"configurations":[{"configurationName":"hello","percent":100,"revisions":[{"revisionName":"hello-00001","percent":97},"#,
        r#"{"revisionName":"hello-00002","percent":3}],"stepParams":{"starttime":1700000010000000000,"nextStepTime":1700000022000000000,"#,
        r#""stepDuration":2000000000,"stepSize":2}},{"configurationName":"hello","tag":"cur","percent":100,"#,
        r#""revisions":[{"revisionName":"hello-00001","percent":100}],"stepParams":{}}]}"#
    );
    assert_eq!(Rollout::parse(text).unwrap().to_text(), text);
    assert_eq!(Rollout::default().to_text(), "{}");
}

#[test]
fn states_that_do_not_add_up_are_discarded() {
    for bad in [
        "",
        r#"{"configurations":[null]}x"#,
        r#"{"configurations":[{"configurationName":"a","percent":101,"revisions":[{"revisionName":"r","percent":101}]}]}"#,
        r#"{"configurations":[{"configurationName":"a","percent":50,"revisions":[{"revisionName":"r","percent":40}]}]}"#,
        r#"{"configurations":[{"configurationName":"a","percent":-1,"revisions":[{"revisionName":"r","percent":-1}]}]}"#,
        r#"{"configurations":[{"configurationName":"a","percent":1.5}]}"#,
        r#"{"configurations":[{"percent":1,"revisions":[{"percent":1}],"stepParams":{"stepSize":2}}]}"#,
    ] {
        assert!(Rollout::parse(bad).is_err(), "{bad}");
    }
    assert!(Rollout::parse(r#"{"configurations":null,"other":1}"#).is_ok());
}

#[test]
fn a_new_revision_starts_with_one_percent_and_waits_for_the_ingress() {
    let begun = step(goal("v2", 100), &goal("v1", 100), 100, false, START);
    let one = &begun.rollout.configurations[0];
    assert_eq!(one.revisions, [revision("v1", 99), revision("v2", 1)]);
    assert_eq!((one.step_params.start_time, begun.next_step), (START, None));
    let again = step(goal("v2", 100), &begun.rollout, 100, false, START + 50 * SECOND);
    assert_eq!(again, begun);
}

#[test]
fn the_pace_follows_from_how_long_the_first_percent_took() {
    let begun = step(goal("v2", 100), &goal("v1", 100), 100, false, START).rollout;
    for (took, duration, step_duration, step_size) in [
        (2, 100, 2, 2),
        (1, 10, 1, 11),
        (9, 45, 9, 25),
        (600, 3600, 600, 20),
        (50, 40, 1, 99),
    ] {
        let paced = step(goal("v2", 100), &begun, duration, true, START + took * SECOND);
        let params = paced.rollout.configurations[0].step_params;
        let close = (params.step_duration - step_duration * SECOND).abs() < SECOND / 3;
        assert!(close && params.step_size == step_size, "{took} {duration}: {params:?}");
        assert_eq!(paced.next_step, Some(START + took * SECOND + params.step_duration));
    }
}

#[test]
fn a_share_of_two_percent_moves_in_one_step() {
    let begun = step(goal("v2", 2), &goal("v1", 2), 40, false, START).rollout;
    let paced = step(goal("v2", 2), &begun, 40, true, START + SECOND);
    assert_eq!(paced.rollout.configurations[0].step_params.step_duration, 39 * SECOND);
    let done = step(goal("v2", 2), &paced.rollout, 40, false, START + 40 * SECOND);
    assert_eq!((done.rollout, done.next_step), (goal("v2", 2), None));
}

#[test]
fn the_last_step_clears_the_pace() {
    let mut rolling = configuration(100, &[("v1", 24), ("v2", 76)]);
    rolling.step_params = StepParams {
        start_time: START,
        next_step_time: START + 55,
        step_duration: 9 * SECOND,
        step_size: 25,
    };
    let done = step(goal("v2", 100), &of(&[rolling]), 50, false, START + 55);
    assert_eq!((done.rollout, done.next_step), (goal("v2", 100), None));
}

#[test]
fn a_decrease_that_empties_the_oldest_goes_on_where_knative_panics() {
    let before = of(&[configuration(100, &[("v1", 40), ("v2", 60)])]);
    let fewer = step(goal("v2", 30), &before, 100, false, START);
    assert_eq!(fewer.rollout, goal("v2", 30));
    let third = step(goal("v3", 30), &before, 100, false, START);
    assert_eq!(
        third.rollout.configurations[0].revisions,
        [revision("v2", 29), revision("v3", 1)]
    );
}

#[test]
fn an_increase_goes_to_the_newest() {
    let before = of(&[configuration(50, &[("v1", 40), ("v2", 10)])]);
    let more = step(goal("v2", 70), &before, 100, false, START);
    assert_eq!(
        more.rollout.configurations[0].revisions,
        [revision("v1", 40), revision("v2", 30)]
    );
}

#[test]
fn what_is_new_has_one_percent_or_has_no_duration_holds_at_once() {
    let before = goal("v1", 100);
    let tagged = of(&[ConfigurationRollout {
        tag: "t".into(),
        ..configuration(100, &[("v2", 100)])
    }]);
    assert_eq!(step(tagged.clone(), &before, 100, false, START).rollout, tagged);
    assert_eq!(step(goal("v2", 1), &before, 100, false, START).rollout, goal("v2", 1));
    assert_eq!(step(goal("v2", 100), &before, 0, false, START).rollout, goal("v2", 100));
    assert_eq!(
        step(goal("v2", 100), &Rollout::default(), 100, false, START).rollout,
        goal("v2", 100)
    );
}

#[test]
fn a_share_of_one_percent_never_gets_a_pace() {
    let mut one = configuration(1, &[("v1", 1)]);
    one.step_params.start_time = START;
    let mut state = of(&[one]);
    let before = state.clone();
    state.observe_ready(START + SECOND, Duration::from_secs(10));
    assert_eq!(state, before);
}

proptest! {
    #[test]
    fn any_sequence_of_goals_keeps_the_shares_whole(
        moves in proptest::collection::vec((0_usize..4, 2_i64..=100, 0_i64..40, any::<bool>()), 1..40),
        duration in 1_u64..200,
    ) {
        let mut state = goal("v0", 100);
        let mut now = START;
        for (name, percent, seconds, ready) in moves {
            now += seconds * SECOND;
            let wanted = format!("v{name}");
            let stepped = step(goal(&wanted, percent), &state, duration, ready, now);
            state = stepped.rollout;
            let one = &state.configurations[0];
            let parsed = Rollout::parse(&state.to_text()).ok();
            prop_assert_eq!(parsed.is_none(), one.step_params.step_size > percent);
            prop_assert_eq!(one.revisions.iter().map(|revision| revision.percent).sum::<i64>(), percent);
            prop_assert_eq!(one.percent, percent);
            prop_assert!(one.revisions.iter().all(|revision| revision.percent > 0));
            prop_assert_eq!(&one.revisions.last().unwrap().revision_name, &wanted);
        }
    }

    #[test]
    fn a_rollout_ends_within_its_duration_and_one_step(
        percent in 2_i64..=100, duration in 1_u64..2000, took in 1_i64..300,
    ) {
        let mut stepped = step(goal("v2", percent), &goal("v1", percent), duration, false, START);
        stepped = step(goal("v2", percent), &stepped.rollout, duration, true, START + took * SECOND);
        let mut last = START + took * SECOND;
        let mut length = 0;
        while let Some(next) = stepped.next_step {
            prop_assert!(next > last);
            length = next - last;
            last = next;
            stepped = step(goal("v2", percent), &stepped.rollout, duration, false, next);
        }
        prop_assert!(stepped.rollout.is_done());
        let remaining = (i64::try_from(duration).unwrap() - took).max(1) * SECOND;
        // Rounded step sizes: at most one and a half times the duration asked for (1.49 points rounded to 1).
        prop_assert!(last - START - took * SECOND <= remaining * 3 / 2 + 2 * length);
    }
}
