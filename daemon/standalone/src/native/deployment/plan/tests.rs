// SPDX-License-Identifier: Apache-2.0
//! Rollouts, played to their end by sets whose pods become available by chance.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn plan(replicas: i64, surge: i64, unavailable: i64) -> Plan {
    let strategy =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
    Plan::of(&json!({"spec": {"replicas": replicas, "strategy": strategy}}))
}

fn set(size: i64, available: i64) -> Set {
    Set {
        size,
        actual: size,
        available,
        ..Set::default()
    }
}

#[test]
fn shares_round_to_the_safe_side() {
    let of = |surge, unavailable| {
        let strategy = json!({"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}});
        let plan = Plan::of(&json!({"spec": {"replicas": 3, "strategy": strategy}}));
        (plan.surge, plan.unavailable)
    };
    assert_eq!(of(json!("25%"), json!("25%")), (1, 0));
    assert_eq!(of(json!("0%"), json!("0%")), (0, 1));
    assert_eq!(of(json!(2), json!("100%")), (2, 3));
    assert_eq!(of(json!("200%"), json!(9)), (6, 3));
}

#[test]
fn the_first_set_gets_all_at_once() {
    assert_eq!(plan(5, 1, 0).sizes(&[set(0, 0)], Some(0), false), [5]);
}

#[test]
fn a_rollout_surges_before_it_takes() {
    let plan = plan(4, 1, 0);
    assert_eq!(plan.sizes(&[set(4, 4), set(0, 0)], Some(1), true), [4, 1]);
    assert_eq!(plan.sizes(&[set(4, 4), set(1, 0)], Some(1), true), [4, 1]);
    assert_eq!(plan.sizes(&[set(4, 4), set(1, 1)], Some(1), true), [3, 1]);
    assert_eq!(plan.sizes(&[set(3, 3), set(1, 1)], Some(1), true), [3, 2]);
}

#[test]
fn old_pods_that_are_not_available_go_first() {
    let plan = plan(4, 0, 2);
    assert_eq!(plan.sizes(&[set(2, 0), set(2, 2), set(0, 0)], Some(2), true), [0, 2, 0]);
}

#[test]
fn recreation_waits_for_the_last_old_pod() {
    let plan = Plan::of(&json!({"spec": {"replicas": 3, "strategy": {"type": "Recreate"}}}));
    assert_eq!(plan.sizes(&[set(3, 3), set(0, 0)], Some(1), true), [0, 0]);
    assert_eq!(plan.sizes(&[set(0, 0), set(0, 0)], Some(1), false), [0, 3]);
}

#[test]
fn a_change_of_size_is_spread_in_proportion() {
    let noted = |size, available| Set {
        desired: Some(10),
        most: Some(13),
        ..set(size, available)
    };
    let sizes = plan(20, 3, 2).sizes(&[noted(8, 8), noted(5, 2)], Some(1), true);
    assert_eq!(sizes, [14, 9]);
    let sizes = plan(5, 2, 1).sizes(&[noted(8, 8), noted(5, 2)], Some(1), true);
    assert_eq!(sizes.iter().sum::<i64>(), 7);
    assert_eq!(plan(0, 3, 2).sizes(&[noted(8, 8), noted(5, 2)], Some(1), true), [0, 0]);
}

#[test]
fn a_paused_deployment_scales_and_does_not_roll() {
    let mut plan = plan(6, 1, 0);
    plan.is_paused = true;
    assert_eq!(plan.sizes(&[set(4, 4)], None, true), [6]);
}

proptest! {
    #[test]
    fn every_rollout_ends_within_its_bounds(
        replicas in 0_i64..30, surge in 0_i64..6, unavailable in 0_i64..6, old in 0_i64..30, chance in any::<u64>(),
    ) {
        let plan = plan(replicas, surge, unavailable);
        let mut sets = vec![set(old.min(replicas), old.min(replicas)), set(0, 0)];
        let mut random = fastrand::Rng::with_seed(chance);
        let mut steps = 0;
        while sets[0].size > 0 || sets[1].available < replicas {
            let total: i64 = sets.iter().map(|set| set.size).sum();
            let available: i64 = sets.iter().map(|set| set.available).sum();
            let sizes = plan.sizes(&sets, Some(1), true);
            prop_assert!(sizes.iter().sum::<i64>() <= plan.most().max(total), "{sizes:?}");
            for (set, size) in sets.iter_mut().zip(sizes) {
                prop_assert!(size >= 0);
                set.size = size;
                set.actual = size;
                set.available = set.available.min(size);
            }
            let left: i64 = sets.iter().map(|set| set.available).sum();
            prop_assert!(left >= plan.least().min(available), "{left} of {available} are left");
            let ready = random.i64(0..=sets[1].size - sets[1].available);
            sets[1].available += ready;
            steps += 1;
            prop_assert!(steps < 2_000, "it does not end: {sets:?}");
        }
        let end = sets.clone();
        prop_assert_eq!(plan.sizes(&sets, Some(1), false), [0, replicas]);
        prop_assert_eq!(end, sets);
    }

    #[test]
    fn a_change_of_size_never_asks_for_more_than_is_allowed(
        replicas in 0_i64..40, sizes in proptest::collection::vec(1_i64..20, 1..5),
    ) {
        let before = sizes.iter().sum::<i64>();
        let sets: Vec<Set> = sizes
            .iter()
            .map(|size| Set { desired: Some(before), most: Some(before + 2), ..set(*size, *size) })
            .collect();
        let plan = plan(replicas, 2, 1);
        prop_assume!(before != replicas);
        let total: i64 = plan.sizes(&sets, Some(sets.len() - 1), true).iter().sum();
        prop_assert!(total <= plan.most(), "{total}");
        prop_assert!(total >= replicas, "{total}");
    }
}
