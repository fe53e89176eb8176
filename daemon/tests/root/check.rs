// SPDX-License-Identifier: Apache-2.0
//! `sluice check` says what there is, in its last line in one word.

use std::{
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::rig::{Ended, Rig, eventually};

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
    assert!(
        ended.out.contains("counted exactly: 2 of 2"),
        "a real request is the proof: {ended:?}"
    );
    assert_eq!(
        json["loopback"],
        serde_json::json!({"counted": true, "made": 2, "why_not": null})
    );
    assert_no_cgroup_left();
    assert!(json["memory"]["bytes"].as_u64().unwrap() > 100_000, "{json}");
    assert!(json["memory"]["bytes_per_connection"].as_u64().unwrap() > 0, "{json}");
    assert!(ended.out.contains("out of order"), "{ended:?}");
    let stash = |name: &str| json["memory"][name].as_u64().unwrap();
    assert!(
        stash("bytes_per_stash") > 15_000 && stash("stashes_per_connection") == 4,
        "{json}"
    );
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
    assert!(ended.out.contains("counted as connections: 2 of 2"), "{ended:?}");
}

#[test]
fn without_cookies_requests_are_counted_by_address() {
    let Some(rig) = Rig::new() else { return };
    let ended = rig.sluice(&["check", "--refuse", "netns_cookie"]);
    assert!(ended.out.contains("counted exactly: 2 of 2"), "{ended:?}");
}

#[test]
fn where_no_request_can_be_made_it_says_why_and_leaves_nothing() {
    let Some(rig) = Rig::new() else { return };
    // A network namespace whose loopback is down.
    let ended = rig.sluice_by(&["unshare", "-n"], &["check"]);
    assert_eq!((ended.code, last(&ended)), (Some(0), "tier: exact"), "{ended:?}");
    assert!(
        ended.out.contains("not tried (a request over HTTP/1.1: "),
        "unknown is not absent: {ended:?}"
    );
    // A cgroup root that nothing can be made in.
    let remount = format!(
        "mount -o remount,ro,bind {} && exec \"$0\" \"$@\"",
        rig.cgroup.display()
    );
    let script = format!("mount --bind {0} {0} && {remount}", rig.cgroup.display());
    let by = ["unshare", "-m", "sh", "-c", &script];
    let ended = rig.sluice_by(&by, &["check", "--cgroup-root", rig.cgroup.to_str().unwrap()]);
    assert!(ended.out.contains("not tried (making a cgroup: Read-only"), "{ended:?}");
    assert_no_cgroup_left();
}

#[test]
fn a_signal_in_the_middle_waits_until_all_is_removed() {
    let Some(rig) = Rig::new() else { return };
    let mut child = std::process::Command::new(crate::rig::SLUICE)
        .args(["check", "--pin-dir"])
        .arg(rig.pin_dir())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let folder = rig.pins.join(format!("sluice-check-{}", child.id()));
    assert!(eventually(|| folder.exists()));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    assert!(!folder.exists());
    assert!(!cgroup_of(child.id()).exists());
}

fn cgroup_of(pid: u32) -> PathBuf {
    let root = kernel::host::find_cgroup2(Path::new("/proc")).unwrap();
    root.join(format!("sluice-check-{pid}"))
}

/// None of a process that has ended: others may be checking at the same time.
fn assert_no_cgroup_left() {
    let root = kernel::host::find_cgroup2(Path::new("/proc")).unwrap();
    let names = std::fs::read_dir(root)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let pids = names.filter_map(|name| Some(name.strip_prefix("sluice-check-")?.to_owned()));
    let left: Vec<String> = pids.filter(|pid| !Path::new("/proc").join(pid).exists()).collect();
    assert!(left.is_empty(), "{left:?}");
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
