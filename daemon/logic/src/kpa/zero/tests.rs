// SPDX-License-Identifier: Apache-2.0
//! The way to zero, row by row.

use super::*;

const NOW: Moment = Moment::from_unix_seconds(1_700_000_000);

fn rules() -> Rules {
    Rules {
        is_enabled: true,
        progress_deadline: Duration::from_secs(600),
        stable_window: Duration::from_secs(60),
        grace: Duration::from_secs(30),
        retention: Duration::ZERO,
    }
}

fn ago(seconds: u64) -> Moment {
    Moment::from_unix_seconds(1_700_000_000 - seconds)
}

fn condition(active: Active, seconds: u64) -> ActiveSince {
    ActiveSince {
        active,
        since: ago(seconds),
    }
}

fn path(mode: Mode, proxied_for: Option<u64>) -> Path {
    Path {
        mode,
        proxied_since: proxied_for.map(ago),
    }
}

/// Wanted, applied, looked at again after so many seconds.
fn outcome(active: Active, age: u64, path: Path, rules: &Rules) -> (i32, bool, Option<u64>) {
    match next(NOW, condition(active, age), path, Probe::Answered, rules) {
        Next::Do(step) => (step.want, step.apply, step.again_after.map(|time| time.as_secs())),
        Next::Probe => panic!("the probe was answered"),
    }
}

#[test]
fn nothing_goes_to_zero_where_the_operator_forbids_it() {
    let rules = Rules {
        is_enabled: false,
        ..rules()
    };
    for active in [Active::Activating, Active::Yes, Active::No] {
        assert_eq!(
            outcome(active, 9999, path(Mode::Proxy, Some(9999)), &rules),
            (1, true, None)
        );
    }
}

#[test]
fn an_activation_has_the_progress_deadline_and_half_a_minute() {
    let path = path(Mode::Proxy, None);
    assert_eq!(outcome(Active::Activating, 630, path, &rules()), (-1, false, Some(630)));
    assert_eq!(outcome(Active::Activating, 631, path, &rules()), (0, true, None));
}

#[test]
fn a_freshly_activated_revision_keeps_one_pod_for_a_stable_window() {
    let serving = path(Mode::Serve, None);
    assert_eq!(outcome(Active::Yes, 20, serving, &rules()), (1, true, Some(40)));
    assert_eq!(outcome(Active::Yes, 60, serving, &rules()), (0, false, None));
    assert_eq!(
        outcome(Active::Yes, 60, path(Mode::Proxy, None), &rules()),
        (0, false, Some(3))
    );
}

#[test]
fn the_last_pod_waits_for_the_activator() {
    let asked = |probe| {
        next(
            NOW,
            condition(Active::No, 9999),
            path(Mode::Proxy, None),
            probe,
            &rules(),
        )
    };
    assert_eq!(asked(Probe::NotAsked), Next::Probe);
    let failed = Step {
        keep_probing: true,
        ..Step::default()
    };
    assert_eq!(asked(Probe::Failed), Next::Do(failed));
}

#[test]
fn the_grace_period_counts_from_when_the_activator_was_in_the_path() {
    assert_eq!(
        outcome(Active::No, 30, path(Mode::Proxy, None), &rules()),
        (0, true, None)
    );
    assert_eq!(
        outcome(Active::No, 5, path(Mode::Proxy, Some(10)), &rules()),
        (0, false, Some(20))
    );
    assert_eq!(
        outcome(Active::No, 5, path(Mode::Proxy, Some(30)), &rules()),
        (0, true, None)
    );
    assert_eq!(
        outcome(Active::No, 5, path(Mode::Proxy, None), &rules()),
        (0, false, Some(30))
    );
}

#[test]
fn the_last_pod_stays_for_the_retention_period() {
    let rules = Rules {
        retention: Duration::from_secs(300),
        ..rules()
    };
    let proxied = path(Mode::Proxy, Some(9999));
    assert_eq!(outcome(Active::No, 299, proxied, &rules), (0, false, Some(1)));
    assert_eq!(outcome(Active::No, 300, proxied, &rules), (0, true, None));
}
