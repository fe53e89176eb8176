// SPDX-License-Identifier: Apache-2.0
//! Each fault has a message, an advice and an exit code, and nothing stays attached.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use crate::rig::{Ended, Rig, SLUICE, Server, eventually};

pub(crate) const NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

#[test]
fn without_root() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let top = rig.sluice_by(&NOBODY, &["top", "--pid", &server.pid(), "--once"]);
    top.assert_fault(3, &["missing privileges", "CAP_BPF", "root"]);
    rig.sluice_by(&NOBODY, &["cleanup"])
        .assert_fault(3, &["missing privileges"]);
    rig.assert_nothing_left();
}

fn without(capabilities: &[&str]) -> [String; 3] {
    let dropped: Vec<String> = capabilities.iter().map(|one| format!("-{one}")).collect();
    let dropped = dropped.join(",");
    [
        "setpriv".to_owned(),
        format!("--bounding-set={dropped}"),
        format!("--inh-caps={dropped}"),
    ]
}

/// `top --once` without some capabilities.
fn top_without(rig: &Rig, capabilities: &[&str], server: &Server) -> Ended {
    let by = without(capabilities);
    let by: Vec<&str> = by.iter().map(String::as_str).collect();
    rig.sluice_by(&by, &["top", "--pid", &server.pid(), "--once"])
}

#[test]
fn each_capability_that_is_missing_is_named() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let cases: [(&[&str], &str); 4] = [
        (&["net_admin"], "CAP_NET_ADMIN"),
        // CAP_SYS_ADMIN has both in it.
        (&["bpf", "sys_admin"], "CAP_BPF"),
        (&["perfmon", "sys_admin"], "CAP_PERFMON"),
        (&["bpf", "perfmon", "sys_admin"], "CAP_BPF, CAP_PERFMON"),
    ];
    for (dropped, named) in cases {
        let top = top_without(&rig, dropped, &server);
        top.assert_fault(
            3,
            &[&format!("missing privileges: {named}\n"), &format!("or grant {named}")],
        );
        rig.assert_nothing_left();
    }
}

#[test]
fn on_a_kernel_that_is_too_old_for_any_counting() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let top = rig.sluice(&["top", "--once", "--pid", &server.pid(), "--refuse", "atomics"]);
    top.assert_fault(
        4,
        &["cannot count in the kernel: atomic instructions", "Linux 5.12 or newer"],
    );
    rig.assert_nothing_left();
    let check = rig.sluice(&["check", "--refuse", "atomics"]);
    assert_eq!(
        (check.code, check.out.lines().last()),
        (Some(4), Some("tier: none")),
        "{check:?}"
    );
    rig.assert_nothing_left();
}

#[test]
fn what_is_no_network_namespace_is_told_from_one_that_may_not_be_entered() {
    let Some(rig) = Rig::new() else { return };
    for other in ["/proc/self/ns/mnt", "/etc/hostname"] {
        let top = rig.sluice(&["top", "--once", "--netns", other, "--port", "80"]);
        top.assert_fault(6, &["not a network namespace", "ip netns"]);
    }
    rig.assert_nothing_left();
}

#[test]
fn on_a_bpffs_that_cannot_be_written() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let pins = rig.pins.display();
    let script = format!("mount -o remount,bind,ro {pins} && exec \"$0\" \"$@\"");
    let top = rig.sluice_by(
        &["unshare", "-m", "sh", "-c", &script],
        &["top", "--pid", &server.pid(), "--once"],
    );
    top.assert_fault(1, &["Read-only", "writable bpffs"]);
    rig.assert_nothing_left();
}

#[test]
fn without_sys_admin_only_the_own_network_namespace_is_counted() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let own = top_without(&rig, &["sys_admin"], &server);
    assert_eq!(own.code, Some(0), "{own:?}");
    let cgroup = rig.below("elsewhere");
    let script = "exec unshare --net sh -c 'ip link set lo up && exec \"$0\" sample --port 0' \"$0\"";
    let elsewhere = rig.server_by(&cgroup, script);
    top_without(&rig, &["sys_admin"], &elsewhere).assert_fault(3, &["CAP_SYS_ADMIN"]);
    rig.assert_nothing_left();
}

#[test]
fn without_a_bpffs() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    // In a mount namespace of its own, the bpffs is gone.
    let script = format!("umount -l {} && exec \"$0\" \"$@\"", rig.pins.display());
    let by = ["unshare", "-m", "sh", "-c", &script];
    let top = rig.sluice_by(&by, &["top", "--pid", &server.pid(), "--once"]);
    top.assert_fault(4, &["not on a bpffs", "mount -t bpf"]);
    let check = rig.sluice_by(&by, &["check"]);
    assert_eq!(check.code, Some(4), "{check:?}");
    assert!(check.out.contains("mount -t bpf") && check.out.ends_with("tier: exact, once what is missing is there\n"));
    rig.assert_nothing_left();
}

#[test]
fn without_cgroup_v2() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mount = rig.cgroup.parent().unwrap().to_owned();
    let script = format!("umount -l {} && exec \"$0\" \"$@\"", mount.display());
    let by = ["unshare", "-m", "sh", "-c", &script];
    let top = rig.sluice_by(&by, &["top", "--pid", &server.pid(), "--once"]);
    top.assert_fault(4, &["cgroup v2 is not mounted", "mount -t cgroup2"]);
    let elsewhere = rig.sluice(&["top", "--pid", &server.pid(), "--once", "--cgroup-root", "/tmp"]);
    elsewhere.assert_fault(4, &["/tmp", "--cgroup-root"]);
    rig.assert_nothing_left();
}

#[test]
fn without_procfs() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    for arguments in [&["top", "--once", "--pid", &server.pid()][..], &["cleanup"]] {
        let ended = rig.sluice(&[arguments, &["--proc-root", "/tmp"]].concat());
        ended.assert_fault(4, &["procfs is not mounted at /tmp", "--proc-root"]);
    }
    let check = rig.sluice(&["check", "--proc-root", "/tmp"]);
    assert_eq!(check.code, Some(4), "{check:?}");
    assert!(
        check
            .out
            .contains("procfs at /tmp\n    name where it is with --proc-root"),
        "{check:?}"
    );
    assert!(check.out.lines().last().is_some_and(|line| line.starts_with("tier: ")));
    rig.assert_nothing_left();
}

#[test]
fn what_is_named_is_not_there() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let (cgroup, empty) = (rig.cgroup.to_str().unwrap().to_owned(), rig.below("empty"));
    let port = server.port.to_string();
    let cases: [(&[&str], &str); 6] = [
        (&["--pid", "4194305"], "no process 4194305"),
        (
            &["--pid", &server.pid(), "--port", "1"],
            &format!("listening there: {port}"),
        ),
        (&["--cgroup", &cgroup, "--port", "1"], "nobody listens on port 1"),
        (&["--cgroup", "no/such/cgroup"], "no cgroup"),
        (&["--cgroup", empty.to_str().unwrap()], "no process is in cgroup"),
        (&["--netns", "sluice-no-such", "--port", "80"], "no network namespace"),
    ];
    for (arguments, said) in cases {
        rig.sluice(&[&["top", "--once"], arguments].concat())
            .assert_fault(6, &[said]);
        rig.assert_nothing_left();
    }
    let idle = rig.sluice(&["top", "--once", "--pid", &std::process::id().to_string()]);
    assert!(
        matches!(idle.code, Some(2 | 6)),
        "this process may listen in other tests: {idle:?}"
    );
}

#[test]
fn a_port_that_is_named_is_looked_for_in_the_namespace_of_a_process_without_sockets() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    // A namespace of its own, and nobody in it who listens.
    let cgroup = rig.cgroup.clone();
    let idle = rig.server_by(&cgroup, "exec unshare -n sh -c 'echo x:1 && exec sleep 60'");
    let port = server.port.to_string();
    let top = rig.sluice(&["top", "--once", "--pid", &idle.pid(), "--port", &port]);
    top.assert_fault(
        6,
        &[&format!(
            "nobody listens on port {port} in the network namespace of process"
        )],
    );
    rig.assert_nothing_left();
}

#[test]
fn a_sample_joins_nothing_that_is_no_cgroup() {
    let Some(rig) = Rig::new() else { return };
    let sample = |cgroup: &Path| {
        let mut command = Command::new(SLUICE);
        command.args(["sample", "--port", "0", "--cgroup"]).arg(cgroup);
        Ended::of(command.output().unwrap())
    };
    sample(&rig.pins).assert_fault(6, &["not a cgroup of version 2"]);
    assert!(!rig.pins.join("cgroup.procs").exists());
    sample(Path::new("no/such/cgroup")).assert_fault(6, &["no cgroup"]);
}

#[test]
fn cleanup_touches_nothing_that_is_not_on_a_bpffs() {
    let Some(rig) = Rig::new() else { return };
    let script = format!("umount -l {} && exec \"$0\" \"$@\"", rig.pins.display());
    let by = ["unshare", "-m", "sh", "-c", &script];
    let cleaned = rig.sluice_by(&by, &["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "nothing is there: {cleaned:?}");
    let script = format!("{script} --pin-dir {}", rig.pins.display());
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script, SLUICE, "cleanup"]);
    Ended::of(command.output().unwrap()).assert_fault(4, &["not on a bpffs"]);
}

#[test]
fn arguments_that_make_no_sense() {
    let Some(rig) = Rig::new() else { return };
    for arguments in [
        &["top"][..],
        &["top", "--pid", "1", "--interval", "1h"],
        &["nonsense"],
        &["top", "--pid", "x"],
    ] {
        let ended = rig.sluice(arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err.contains("error:"), "{ended:?}");
    }
    rig.assert_nothing_left();
}

#[test]
fn an_object_that_cannot_be_read() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let top = |object: &Path| {
        rig.sluice(&[
            "top",
            "--once",
            "--pid",
            &server.pid(),
            "--object",
            object.to_str().unwrap(),
        ])
    };
    top(Path::new("/nowhere/sluice.o")).assert_fault(1, &["/nowhere/sluice.o", "cargo xtask build"]);
    top(Path::new("/proc/self/exe")).assert_fault(1, &["fingerprint"]);
    top(Path::new("/dev/null")).assert_fault(1, &["cannot be understood"]);
    rig.assert_nothing_left();
}

#[test]
fn state_of_another_build_stays_and_is_named() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let kept = rig.sluice(&["top", "--once", "--keep", "--pid", &server.pid(), "--interval", "100ms"]);
    assert_eq!(kept.code, Some(0), "{kept:?}");
    // The record as a build with other layouts would have written it.
    let meta = rig.pin_dir().join(format!("v{}", abi::ABI)).join("meta");
    let ours = format!("{:016x}", abi::FINGERPRINT);
    let text = fs::read_link(&meta).unwrap().to_str().unwrap().to_owned();
    assert!(text.contains(&ours), "{text}");
    fs::remove_file(&meta).unwrap();
    symlink(text.replace(&ours, "0123456789abcdef"), &meta).unwrap();
    let top = rig.sluice(&["top", "--once", "--pid", &server.pid()]);
    top.assert_fault(5, &["0123456789abcdef", "sluice cleanup"]);
    assert!(meta.is_symlink(), "what is not ours stays");
    let cleaned = rig.sluice(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{cleaned:?}");
    rig.assert_nothing_left();
    // A generation of another ABI that has a record and no counters.
    let newer = rig.pin_dir().join("v99");
    fs::create_dir_all(&newer).unwrap();
    symlink(text, newer.join("meta")).unwrap();
    let top = rig.sluice(&["top", "--once", "--pid", &server.pid()]);
    top.assert_fault(5, &["generation 99"]);
    rig.assert_nothing_attached();
    assert!(
        !newer.with_file_name(format!("v{}", abi::ABI)).exists(),
        "what this call made is gone"
    );
    assert_eq!(rig.sluice(&["cleanup"]).code, Some(0));
    rig.assert_nothing_left();
}

#[test]
fn a_folder_of_strangers_is_left_alone_by_cleanup() {
    let Some(rig) = Rig::new() else { return };
    let strange = rig.pin_dir().join("v1").join("maps").join("strange");
    fs::create_dir_all(strange.parent().unwrap()).unwrap();
    symlink("x", &strange).unwrap();
    rig.sluice(&["cleanup"]).assert_fault(5, &["v1"]);
    assert!(strange.is_symlink());
    fs::remove_file(&strange).unwrap();
    fs::remove_dir_all(rig.pin_dir()).unwrap();
}

#[test]
fn a_pod_that_vanishes_in_the_middle_of_attach() {
    let Some(mut rig) = Rig::new() else { return };
    for round in 0..3 {
        let pod = rig.below(&format!("pod{round}"));
        let server = rig.server_in(&pod);
        let top = rig.top(&["--pid", &server.pid()]);
        // The server was found; the programs are being loaded.
        assert!(eventually(|| rig.pin_dir().join(format!("v{}", abi::ABI)).exists()));
        rig.stop(&server);
        assert!(eventually(|| fs::remove_dir(&pod).is_ok()));
        let ended = top.finish();
        ended.assert_fault(6, &["error: "]);
        assert!(
            ["gone", "vanished", "does not run"]
                .iter()
                .any(|word| ended.err.contains(word)),
            "{ended:?}"
        );
        rig.assert_nothing_left();
    }
}
