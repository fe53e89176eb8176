// SPDX-License-Identifier: Apache-2.0
//! `sluice check` says what there is, in its last line in one word.

use crate::rig::{Ended, Rig};

fn last(ended: &Ended) -> &str {
    ended.out.lines().last().unwrap_or_default()
}

#[test]
fn it_loads_for_real_and_leaves_nothing() {
    let Some(rig) = Rig::new() else { return };
    let ended = rig.sluice(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(last(&ended), "tier: exact");
    for said in ["bpf_loop", "memory", "ingress", "cgroup v2 at"] {
        assert!(ended.out.contains(said), "{said} in {ended:?}");
    }
    let json = rig.sluice(&["check", "-o", "json"]).json().remove(0);
    assert_eq!(
        (&json["tier"], &json["missing"]),
        (&"exact".into(), &serde_json::json!([]))
    );
    assert!(json["memory"]["bytes"].as_u64().unwrap() > 100_000, "{json}");
    assert!(json["memory"]["bytes_per_connection"].as_u64().unwrap() > 0, "{json}");
    let left: Vec<_> = std::fs::read_dir(&rig.pins)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert!(
        left.iter().all(|name| name.to_string_lossy().ends_with(".debug")),
        "{left:?}"
    );
}

#[test]
fn without_bpf_loop_the_word_is_connections() {
    let Some(rig) = Rig::new() else { return };
    let ended = rig.sluice(&["check", "--refuse", "bpf_loop"]);
    assert_eq!((ended.code, last(&ended)), (Some(0), "tier: connections"), "{ended:?}");
    assert!(ended.out.contains("for exact counts: bpf_loop"), "{ended:?}");
}

#[test]
fn without_privilege_it_says_what_it_could_not_look_at() {
    let Some(rig) = Rig::new() else { return };
    let ended = rig.sluice_by(&crate::faults::NOBODY, &["check"]);
    assert_eq!((ended.code, last(&ended)), (Some(3), "tier: none"), "{ended:?}");
    for said in ["could not be looked at", "CAP_BPF", "CAP_NET_ADMIN", "?    "] {
        assert!(ended.out.contains(said), "{said} in {ended:?}");
    }
    let json = rig
        .sluice_by(&crate::faults::NOBODY, &["check", "-o", "json"])
        .json()
        .remove(0);
    assert!(
        json["features"][0]["is_there"].is_null(),
        "unknown is not absent: {json}"
    );
}
