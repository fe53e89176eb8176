// SPDX-License-Identifier: Apache-2.0
//! The table of the condition Active, row by row (data-plane spec 1.12).

use super::*;
use Active::{Activating, No, Yes};

#[test]
fn every_row_of_the_table_is_knatives() {
    let rows = [
        (0, 5, 1, Activating, Activity::TimedOut),
        (0, 5, 1, Yes, Activity::NoTraffic),
        (0, 5, 1, No, Activity::NoTraffic),
        (-1, 0, 0, Activating, Activity::NoTraffic),
        (0, 0, 0, Activating, Activity::NoTraffic),
        (3, 0, 0, Yes, Activity::NoTraffic),
        (3, 0, 1, No, Activity::Queued),
        (3, 0, 1, Yes, Activity::Queued),
        (3, 0, 1, Activating, Activity::Queued),
        (-1, 0, 1, Activating, Activity::Queued),
        (-1, 0, 1, Yes, Activity::Queued),
        (-1, 0, 1, No, Activity::NoTraffic),
        (3, 1, 1, No, Activity::Active),
        (-1, 1, 1, Yes, Activity::Active),
        (-1, 1, 1, Activating, Activity::Active),
        (-1, 1, 1, No, Activity::Unchanged),
    ];
    for (want, ready, threshold, before, expected) in rows {
        let found = Activity::of(want, ready, threshold, before);
        assert_eq!(
            found, expected,
            "want {want}, ready {ready}, threshold {threshold}, {before:?}"
        );
    }
}

#[test]
fn a_condition_that_is_not_true_says_why() {
    for activity in [Activity::Queued, Activity::NoTraffic, Activity::TimedOut] {
        assert!(!activity.reason().is_empty() && activity.message().ends_with('.'));
        assert_ne!(activity.status(), Some(Yes));
    }
    assert_eq!(Activity::Unchanged.status(), None);
    assert_eq!(Activity::Active.status(), Some(Yes));
}
