// SPDX-License-Identifier: Apache-2.0
//! One server, counted.

use std::{path::Path, process::Command};

use abi::POD_CONNECTIONS_ONLY;
use kernel::{Accounted, Event, Hooks, Kernel, Netns, PodId, PodKey, Refuse, Tier, monotonic, sockets};

use crate::rig::{Client, Rig, eventually};

const COUNT: Hooks = Hooks {
    account: true,
    redirect: false,
};

#[test]
fn every_request_of_a_server_is_counted() {
    let Some(mut rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    assert_eq!(kernel.tier(), &Tier::Exact);
    kernel.attach(&rig.cgroup, COUNT).unwrap();
    kernel.attach(&rig.cgroup, COUNT).unwrap();
    assert!(kernel.verify().unwrap().is_complete(), "{:?}", kernel.verify());
    assert_eq!(kernel.verify().unwrap().links.len(), 3, "twice is the same as once");
    let mut server = rig.server();
    kernel.track(server.key(), PodId(5), 0).unwrap();
    let (before, then) = (kernel.counts(PodId(5)).unwrap(), monotonic());
    let mut client = server.connect();
    for _ in 0..20 {
        client.get();
    }
    let counts = kernel.counts(PodId(5)).unwrap();
    assert_eq!(
        (counts.core.started, counts.core.ended, counts.in_flight()),
        (20, 20, 0)
    );
    assert_eq!(
        (counts.connections, counts.open_connections(), counts.uncertain),
        (1, 1, 0)
    );
    assert_eq!(counts.status, [0, 0, 20, 0, 0, 0]);
    assert_eq!(counts.latency.iter().sum::<u64>(), 20);
    assert!(counts.quantile(0.5).unwrap() <= counts.quantile(0.99).unwrap());
    assert!(counts.bytes_in > 20 * 20 && counts.bytes_out > 20 * 20);
    let mean = counts.mean_since(monotonic(), &before, then);
    assert!(mean > 0.0 && mean <= 1.0, "one client at a time: {mean}");

    client.ask("/slow");
    assert!(eventually(|| kernel.counts(PodId(5)).unwrap().in_flight() == 1));
    assert_eq!(kernel.pods().get(PodId(5)).in_flight, 1);
    server.process.say();
    client.answer();
    drop(client);
    assert!(eventually(|| kernel.counts(PodId(5)).unwrap().open_connections() == 0));
    assert_eq!(kernel.counts(PodId(5)).unwrap().in_flight_raw(), 0);
    assert_eq!(kernel.pods().get(PodId(5)).in_flight, 0);
    assert_eq!(kernel.pods().reset_maximum(PodId(5)), 1);
    assert_eq!(kernel.pods().get(PodId(5)).maximum, 0);
    let memory = kernel.memory().unwrap();
    assert!(
        memory
            .iter()
            .any(|(name, bytes)| *name == "COUNTS" && *bytes >= 64 * 544),
        "{memory:?}"
    );
}

#[test]
fn an_event_is_raised_when_the_threshold_is_reached() {
    let Some(mut rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    kernel.attach(&rig.cgroup, COUNT).unwrap();
    let mut server = rig.server();
    kernel.track(server.key(), PodId(3), 0).unwrap();
    let mut events = kernel.events().unwrap();
    assert!(kernel.pods().set_threshold(PodId(3), 2));
    assert!(!kernel.pods().set_threshold(PodId(64), 2), "outside of the room");
    let mut clients = [server.connect(), server.connect()];
    for client in &mut clients {
        client.ask("/slow");
    }
    let mut seen = None;
    assert!(eventually(|| {
        seen = seen.or(events.next());
        seen.is_some()
    }));
    assert!(
        matches!(
            seen,
            Some(Event::PodBurst {
                pod: PodId(3),
                in_flight: 2,
                ..
            })
        ),
        "{seen:?}"
    );
    server.process.say();
    server.process.say();
    clients.iter_mut().for_each(Client::answer);
}

#[test]
fn connections_older_than_tracking_are_unaccounted_and_not_zero() {
    let Some(mut rig) = Rig::with_object() else { return };
    let server = rig.server();
    let netns = Netns::current(Path::new("/proc")).unwrap();
    let mut old = server.connect();
    old.get();
    let kernel = rig.open();
    kernel.attach(&rig.cgroup, COUNT).unwrap();
    kernel.track(server.key(), PodId(1), 0).unwrap();
    assert_eq!(
        kernel.accounted(&netns, server.port).unwrap(),
        Accounted {
            open: 1,
            unaccounted: 1
        }
    );
    let mut new = server.connect();
    new.get();
    assert_eq!(
        kernel.accounted(&netns, server.port).unwrap(),
        Accounted {
            open: 2,
            unaccounted: 1
        }
    );
    assert_eq!(kernel.sockets_with_state().unwrap(), 1);
    old.get();
    assert_eq!(kernel.counts(PodId(1)).unwrap().core.started, 1);
    drop((old, new));
    assert!(eventually(|| kernel.accounted(&netns, server.port).unwrap().open == 0));
    assert!(eventually(|| kernel.sockets_with_state().unwrap() == 0));
}

#[test]
fn without_bpf_loop_connections_are_counted() {
    let Some(mut rig) = Rig::with_object() else { return };
    let mut settings = rig.settings();
    settings.refuse = Refuse {
        bpf_loop: true,
        ..Refuse::default()
    };
    let kernel = Kernel::open(settings).unwrap();
    assert_eq!(kernel.tier().word(), "connections");
    assert!(kernel.tier().why().unwrap().contains("bpf_loop"));
    kernel.attach(&rig.cgroup, COUNT).unwrap();
    assert_eq!(kernel.verify().unwrap().links.len(), 1, "sock_ops only");
    let server = rig.server();
    kernel.track(server.key(), PodId(0), POD_CONNECTIONS_ONLY).unwrap();
    let (mut a, b) = (server.connect(), server.connect());
    a.get();
    assert!(eventually(|| kernel.counts(PodId(0)).unwrap().in_flight() == 2));
    assert_eq!(kernel.counts(PodId(0)).unwrap().connections, 2);
    drop((a, b));
    assert!(eventually(|| kernel.counts(PodId(0)).unwrap().in_flight() == 0));
    assert_eq!(kernel.counts(PodId(0)).unwrap().closed, 2);
}

#[test]
fn without_cookies_pods_are_known_by_address() {
    let Some(mut rig) = Rig::with_object() else { return };
    let mut settings = rig.settings();
    settings.refuse = Refuse {
        netns_cookie: true,
        ..Refuse::default()
    };
    let kernel = Kernel::open(settings).unwrap();
    assert!(!kernel.is_by_netns());
    kernel.attach(&rig.cgroup, COUNT).unwrap();
    let server = rig.server();
    assert!(
        kernel.track(server.key(), PodId(2), 0).is_err(),
        "a cookie says nothing here"
    );
    let key = PodKey {
        addr: kernel::words(server.address().ip()),
        port: server.port,
        ..PodKey::default()
    };
    kernel.track(key, PodId(2), 0).unwrap();
    server.connect().get();
    assert!(eventually(|| kernel.counts(PodId(2)).unwrap().connections == 1));
}

#[test]
fn listeners_are_found_with_their_process_and_cgroup() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let proc_root = Path::new("/proc");
    let netns = Netns::current(proc_root).unwrap();
    let found = sockets::listening(&netns, Some(server.port)).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].local, server.address());
    let owners = sockets::owners(proc_root, &[found[0].inode]);
    let pid = owners[&found[0].inode];
    assert_eq!(kernel::host::cgroup_of(proc_root, pid).unwrap(), rig.cgroup);
    assert_eq!(
        netns.cookie().unwrap(),
        Netns::of_process(proc_root, pid).unwrap().cookie().unwrap()
    );
}

#[test]
fn sockets_of_another_namespace_are_seen_without_leaving_ours() {
    let Some(mut rig) = Rig::new() else { return };
    let (port, pid) = rig.server_elsewhere();
    let proc_root = Path::new("/proc");
    let (here, there) = (
        Netns::current(proc_root).unwrap(),
        Netns::of_process(proc_root, pid).unwrap(),
    );
    let before = here.cookie().unwrap();
    assert_ne!(there.cookie().unwrap(), before);
    assert_eq!(sockets::listening(&there, None).unwrap().len(), 1);
    assert_eq!(sockets::listening(&there, Some(port)).unwrap()[0].local.port(), port);
    let current = Netns::current(proc_root).unwrap().cookie().unwrap();
    assert_eq!(current, before, "the caller stays where it was");
    assert!(Netns::of_process(proc_root, u32::MAX).is_err());
    assert!(Netns::named("sluice-no-such-namespace").is_err());
}

/// Not a test: runs without CAP_SYS_ADMIN.
#[test]
#[ignore = "started by another test"]
#[expect(clippy::disallowed_methods, reason = "told by the parent")]
fn process_without_sys_admin() {
    let Ok(other) = std::env::var("SLUICE_TEST_ELSEWHERE") else {
        return;
    };
    let proc_root = Path::new("/proc");
    let here = Netns::current(proc_root).unwrap();
    assert_ne!(here.cookie().unwrap(), 0);
    sockets::listening(&here, None).unwrap();
    let there = Netns::of_process(proc_root, other.parse().unwrap()).unwrap();
    let error = there.cookie().unwrap_err();
    assert!(matches!(error, kernel::NetnsError::Enter(_)), "{error:?}");
    assert!(error.advice().contains("CAP_SYS_ADMIN"));
    println!("\nhere without, there refused");
}

#[test]
fn ones_own_namespace_needs_no_privilege_to_enter() {
    let Some(mut rig) = Rig::new() else { return };
    let (_, pid) = rig.server_elsewhere();
    let this = std::env::current_exe().unwrap();
    let output = Command::new("setpriv")
        .args(["--bounding-set", "-sys_admin", "--"])
        .arg(this)
        .args([
            "--exact",
            "counting::process_without_sys_admin",
            "--ignored",
            "--nocapture",
        ])
        .env("SLUICE_TEST_ELSEWHERE", pid.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("\nhere without, there refused"), "{output:?}");
}
