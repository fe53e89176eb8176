// SPDX-License-Identifier: Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::route::fixture::{World, latest, pinned, revision, texts};

fn bad(world: &World) -> BadTarget {
    resolve(&world.route, world.targets()).traffic.unwrap_err()
}

#[test]
fn a_hard_failure_wins_over_a_soft_one_before_it() {
    let mut world = World::with(vec![pinned("hello-1", "", 50), pinned("gone", "", 50)]);
    let waiting = world.revisions.get_mut("hello-1").unwrap();
    waiting.status.observed.conditions.clear();
    assert!(matches!(bad(&world), BadTarget::Missing(missing) if missing.name == "gone"));
    world.route.spec.traffic.pop();
    assert!(matches!(
        bad(&world),
        BadTarget::UnreadyRevision { has_failed: false, .. }
    ));
}

#[test]
fn what_is_missing_is_watched_too() {
    let world = World::with(vec![pinned("gone", "", 50), latest("", 50)]);
    let references = resolve(&world.route, world.targets()).references;
    let names: Vec<_> = references.iter().map(|reference| reference.name.as_str()).collect();
    assert_eq!(names, ["hello", "gone", "hello-2"]);
}

#[test]
fn a_route_of_a_service_pins_only_that_services_revisions() {
    let mut world = World::with(vec![pinned("other", "", 100)]).of_service("hello");
    let mut other = revision("other");
    world.revisions.insert("other".to_owned(), other.clone());
    assert!(matches!(bad(&world), BadTarget::NotOwned { owner, .. } if owner.is_empty()));
    other.metadata.labels = Some(texts([(serving::SERVICE, "hello")]));
    world.revisions.insert("other".to_owned(), other);
    assert!(resolve(&world.route, world.targets()).traffic.is_ok());
}

#[test]
fn a_configuration_without_a_ready_revision_fails_only_when_it_says_so() {
    let mut world = World::with(vec![latest("", 100)]);
    let configuration = world.configurations.get_mut("hello").unwrap();
    configuration.status.latest_ready_revision_name.clear();
    assert!(!bad(&world).is_failure());
    let configuration = world.configurations.get_mut("hello").unwrap();
    configuration.status.observed.conditions[0].status = ConditionStatus::False;
    assert!(bad(&world).is_failure());
}

#[test]
fn a_tag_without_a_share_has_everything_under_its_own_name() {
    let world = World::with(vec![latest("", 100), pinned("hello-1", "old", 0)]);
    let traffic = resolve(&world.route, world.targets()).traffic.unwrap();
    let shares = |tag: &str| -> Vec<_> { traffic.groups[tag].iter().map(|target| target.percent).collect() };
    assert_eq!(shares(""), [100, 0]);
    assert_eq!(shares("old"), [100]);
}

proptest! {
    #[test]
    fn the_shares_of_the_route_stay_those_of_the_spec(shares in proptest::collection::vec(0_i64..=100, 1..6)) {
        let revisions = ["hello-1", "hello-2", "hello-3"];
        let targets = shares.iter().enumerate();
        let world = World::with(targets.map(|(index, share)| pinned(revisions[index % 3], "", *share)).collect());
        let traffic = resolve(&world.route, world.targets()).traffic.unwrap();
        let group = &traffic.groups[DEFAULT_GROUP];
        let sum: i64 = group.iter().map(|target| target.percent).sum();
        prop_assert_eq!(sum, if group.len() == 1 { 100 } else { shares.iter().sum() });
        prop_assert_eq!(traffic.targets.iter().map(|target| target.percent).sum::<i64>(), shares.iter().sum::<i64>());
    }

    #[test]
    fn absurd_shares_do_no_harm(left in any::<i64>(), right in any::<i64>()) {
        let world = World::with(vec![pinned("hello-1", "a", left), pinned("hello-1", "a", right)]);
        prop_assert!(resolve(&world.route, world.targets()).traffic.is_ok());
    }
}
