// SPDX-License-Identifier: Apache-2.0
//! When a revision counts as unreachable.

use super::*;

const NONE_OF_TWO: Option<Replicas> = Some(Replicas {
    wanted: Some(2),
    ready: 0,
});

#[test]
fn the_routing_state_decides() {
    let of = |state| Reachability::of(false, NONE_OF_TWO, state);
    assert_eq!(of(Some(RoutingState::Active)), Reachability::Reachable);
    assert_eq!(of(Some(RoutingState::Reserve)), Reachability::Unreachable);
    assert_eq!(of(Some(RoutingState::Other)), Reachability::Unknown);
    assert_eq!(of(None), Reachability::Unknown);
}

#[test]
fn a_broken_revision_without_a_ready_pod_is_unreachable() {
    let active = Some(RoutingState::Active);
    assert_eq!(Reachability::of(true, NONE_OF_TWO, active), Reachability::Unreachable);
    let one = Some(Replicas {
        wanted: Some(2),
        ready: 1,
    });
    assert_eq!(Reachability::of(true, one, active), Reachability::Reachable);
    let unset = Some(Replicas { wanted: None, ready: 0 });
    assert_eq!(Reachability::of(true, unset, active), Reachability::Reachable);
    assert_eq!(Reachability::of(true, None, active), Reachability::Reachable);
}
