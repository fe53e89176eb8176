// SPDX-License-Identifier: Apache-2.0
//! Which pods count as what.

use super::*;

fn pod(phase: Phase, is_deleted: bool, is_ready: bool) -> Pod {
    Pod {
        phase,
        is_deleted,
        is_ready,
    }
}

#[test]
fn a_pod_counts_by_phase_deletion_and_readiness() {
    let pods = [
        pod(Phase::Pending, false, false),
        pod(Phase::Pending, true, false),
        pod(Phase::Running, true, true),
        pod(Phase::Running, false, true),
        pod(Phase::Running, false, false),
        pod(Phase::Other, false, true),
    ];
    let expected = PodCounts {
        ready: 1,
        not_ready: 4,
        pending: 2,
        terminating: 1,
    };
    assert_eq!(pods.into_iter().collect::<PodCounts>(), expected);
}
