// SPDX-License-Identifier: Apache-2.0
//! kill -9, restart, swaps under traffic, another generation beside ours, cleanup.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use kernel::{Hooks, Kernel, OpenError, PodId, Settings, cleanup};

use crate::rig::{Rig, Server, eventually, is_required};

const BOTH: Hooks = Hooks {
    account: true,
    redirect: true,
};
const POD: PodId = PodId(9);

/// Not a test: the process that [`loader`] starts and kills.
#[test]
#[ignore = "started by other tests"]
#[expect(clippy::disallowed_methods, reason = "told by the parent")]
fn loading_process() {
    let Ok(told) = std::env::var("SLUICE_TEST_LOADER") else {
        return;
    };
    let mut told = told.split('\n');
    let mut next = || told.next().unwrap();
    let settings = Settings {
        pods: 64,
        revisions: 16,
        ..Settings::at(next())
    };
    let cgroup = PathBuf::from(next());
    let key = kernel::PodKey {
        netns: next().parse().unwrap(),
        port: next().parse().unwrap(),
        ..Default::default()
    };
    let kernel = Kernel::open(settings).unwrap();
    kernel.attach(&cgroup, BOTH).unwrap();
    kernel.track(key, POD, 0).unwrap();
    println!("\nready");
    loop {
        thread::park();
    }
}

struct Killed(Child, BufReader<ChildStdout>);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A process that loads, attaches, tracks and waits; killed with SIGKILL when dropped.
fn loader(rig: &Rig, server: &Server) -> Killed {
    let this = std::env::current_exe().unwrap();
    loader_of(&this, rig, server)
}

fn loader_of(program: &Path, rig: &Rig, server: &Server) -> Killed {
    let key = server.key();
    let told = format!(
        "{}\n{}\n{}\n{}",
        rig.settings().pin_dir.display(),
        rig.cgroup.display(),
        key.netns,
        key.port
    );
    let mut child = Command::new(program)
        .args(["--exact", "life::loading_process", "--ignored", "--nocapture"])
        .env("SLUICE_TEST_LOADER", told)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut child = Killed(child, output);
    let is_ready = (&mut child.1).lines().map_while(Result::ok).any(|line| line == "ready");
    assert!(is_ready, "the loader gave up");
    child
}

#[test]
fn a_killed_daemon_is_adopted_without_losing_a_request() {
    let Some(mut rig) = Rig::with_object() else { return };
    let server = rig.server();
    let daemon = loader(&rig, &server);
    let mut client = server.connect();
    (0..5).for_each(|_| client.get());
    drop(daemon);
    (0..5).for_each(|_| client.get());
    let kernel = rig.open();
    assert_eq!(kernel.tracked(), [(server.key(), POD, 0)]);
    let attachment = kernel.verify().unwrap();
    assert_eq!(attachment.links.len(), 7);
    assert!(attachment.is_complete(), "{attachment:?}");
    (0..5).for_each(|_| client.get());
    let counts = kernel.counts(POD).unwrap();
    assert_eq!(
        (counts.core.started, counts.core.ended, counts.connections),
        (15, 15, 1)
    );
}

#[test]
fn programs_are_swapped_under_traffic_and_every_request_is_counted() {
    let Some(mut rig) = Rig::with_object() else { return };
    let server = rig.server();
    let first = rig.open();
    first.attach(&rig.cgroup, BOTH).unwrap();
    first.track(server.key(), POD, 0).unwrap();
    drop(first);
    let stop = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&stop);
    let (mut kept, mut fresh) = (server.connect(), Vec::new());
    let traffic = thread::spawn(move || {
        let mut asked = 0;
        while !is_over.load(Ordering::Relaxed) {
            kept.get();
            server.connect().get();
            asked += 2;
        }
        (asked, server)
    });
    for _ in 0..5 {
        let kernel = rig.open();
        assert!(kernel.verify().unwrap().is_complete());
        fresh.push(kernel.programs().map(|(_, info)| info.id).min());
    }
    stop.store(true, Ordering::Relaxed);
    let (asked, _server) = traffic.join().unwrap();
    fresh.dedup();
    assert_eq!(fresh.len(), 5, "each time other programs");
    let kernel = rig.open();
    let is_settled = || kernel.counts(POD).unwrap().core.started == asked;
    assert!(
        eventually(is_settled),
        "{asked} requests, counted {:?}",
        kernel.counts(POD).unwrap().core
    );
    let counts = kernel.counts(POD).unwrap();
    assert_eq!((counts.core.ended, counts.uncertain, counts.late), (asked, 0, 0));
}

#[test]
fn another_generation_counts_its_connections_until_they_close() {
    let Some(mut rig) = Rig::with_object() else { return };
    let mut server = rig.server();
    let old = rig.open();
    old.attach(&rig.cgroup, BOTH).unwrap();
    old.track(server.key(), POD, 0).unwrap();
    let mut client = server.connect();
    client.get();
    client.ask("/slow");
    assert!(eventually(|| old.counts(POD).unwrap().in_flight() == 1));
    drop(old);
    // To us a folder with another number is another generation, whatever is in it.
    let folder = |number| rig.settings().pin_dir.join(format!("v{number}"));
    std::fs::rename(folder(abi::ABI), folder(77)).unwrap();
    set_generation(&rig, 77);

    let new = rig.open();
    assert_eq!(new.generations(), [77]);
    assert_eq!(new.tracked(), [(server.key(), POD, 0)], "pods are taken over");
    assert_eq!(new.verify().unwrap().links.len(), 7, "cgroups are taken over");
    let counts = new.counts(POD).unwrap();
    assert_eq!(
        (counts.core.started, counts.core.ended, counts.in_flight()),
        (2, 1, 1),
        "of the other generation"
    );
    assert_eq!(new.retire_redirection().unwrap().len(), 2);
    assert!(
        new.retire_generations().unwrap().is_empty(),
        "it has a request in flight"
    );
    server.process.say();
    client.answer();
    assert!(eventually(|| new.counts(POD).unwrap().in_flight() == 0));
    assert!(new.retire_generations().unwrap().is_empty(), "it has a connection");
    drop(client);
    assert!(eventually(|| new.retire_generations().unwrap() == [77]));
    assert!(!folder(77).exists());
    assert!(new.generations().is_empty());
    server.connect().get();
    assert!(
        eventually(|| new.counts(POD).unwrap().core.ended == 3),
        "ours goes on where it stopped"
    );
}

const HOW: &str = "needs this test binary with another ABI: SLUICE_ABI=2 SLUICE_BPF_OBJECT=<object of ABI 2> \
    cargo test -p kernel --test root --no-run --target-dir <another>, then SLUICE_TEST_OTHER=<the binary>";

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment")]
fn other_generation() -> Option<PathBuf> {
    let other = std::env::var_os("SLUICE_TEST_OTHER").map(PathBuf::from);
    if other.is_none() {
        assert!(!is_required(), "required, but: {HOW}");
        println!("skipped: {HOW}");
    }
    other
}

#[test]
fn upgrade_and_downgrade_under_load_lose_no_request() {
    let (Some(mut rig), Some(other)) = (Rig::with_object(), other_generation()) else {
        return;
    };
    let server = Arc::new(rig.server());
    drop(loader(&rig, &server));
    let stop = Arc::new(AtomicBool::new(false));
    let (is_over, served) = (Arc::clone(&stop), Arc::clone(&server));
    let mut kept = server.connect();
    let traffic = thread::spawn(move || {
        let mut asked = 0;
        while !is_over.load(Ordering::Relaxed) {
            kept.get();
            served.connect().get();
            asked += 2;
        }
        (asked, kept)
    });
    drop(loader_of(&other, &rig, &server));
    let mut second = server.connect();
    second.get();
    let kernel = rig.open();
    assert_eq!(kernel.generations().len(), 1, "the upgraded one still counts");
    assert!(kernel.verify().unwrap().is_complete());
    (0..10).for_each(|_| second.get());
    stop.store(true, Ordering::Relaxed);
    let (asked, kept) = traffic.join().unwrap();
    let asked = asked + 11;
    let ended = || kernel.counts(POD).unwrap().core.ended;
    assert!(
        eventually(|| ended() == asked),
        "{asked} requests, counted {:?}",
        kernel.counts(POD).unwrap().core
    );
    assert_eq!(kernel.counts(POD).unwrap().in_flight_raw(), 0);
    assert!(
        kernel.retire_generations().unwrap().is_empty(),
        "a connection of it is open"
    );
    drop(second);
    assert!(eventually(|| kernel.retire_generations().unwrap().len() == 1));
    assert_eq!(
        kernel.counts(POD).unwrap().core.ended,
        asked,
        "what it counted stays counted"
    );
    drop(kept);
    assert!(eventually(|| kernel.sockets_with_state().unwrap() == 0));
}

fn set_generation(rig: &Rig, number: u64) {
    let path = rig.settings().pin_dir.join("generation");
    let word = kernel::sys::mapped::Mapped::open(&path).unwrap();
    word.word(0, 0).unwrap().store(number, Ordering::SeqCst);
}

#[test]
fn a_second_daemon_is_turned_away() {
    let Some(rig) = Rig::with_object() else { return };
    let _first = rig.open();
    let error = Kernel::open(rig.settings()).unwrap_err();
    assert!(matches!(error, OpenError::Busy { .. }), "{error:?}");
    assert!(cleanup(&rig.settings()).is_err());
}

#[test]
fn whoever_looks_sees_what_another_counts_and_leaves_it_alone() {
    let Some(mut rig) = Rig::with_object() else { return };
    let nothing = Kernel::look(&rig.settings()).unwrap_err();
    assert!(matches!(nothing, OpenError::Nothing { .. }), "{nothing:?}");
    let server = rig.server();
    let daemon = loader(&rig, &server);
    let view = Kernel::look(&rig.settings()).unwrap();
    assert_eq!(view.tracked(), [(server.key(), POD, 0)]);
    assert!(view.is_by_netns());
    assert_eq!(view.tier(), "exact");
    let links = view.verify().unwrap().links;
    assert!(
        !links.is_empty() && links.iter().all(|link| link.is_effective),
        "{links:?}"
    );
    let mut client = server.connect();
    (0..3).for_each(|_| client.get());
    let counts = view.counts(POD).unwrap();
    assert_eq!((counts.core.started, counts.core.ended), (3, 3));
    let netns = kernel::Netns::current(Path::new("/proc")).unwrap();
    let accounted = view.accounted(&netns, server.port).unwrap();
    assert_eq!((accounted.open, accounted.unaccounted), (1, 0));
    drop(daemon);
    let kernel = rig.open();
    kernel.untrack(&server.key()).unwrap();
    assert_eq!(view.tracked().len(), 1, "as it was last read");
    view.refresh().unwrap();
    assert_eq!(view.tracked(), []);
    drop(view);
    assert!(kernel.verify().unwrap().is_complete());
}

#[test]
fn a_pin_folder_that_somebody_made_anew_is_not_ours() {
    let Some(rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    kernel.attach(&rig.cgroup, BOTH).unwrap();
    assert!(kernel.has_its_folder());
    std::fs::remove_dir_all(&rig.settings().pin_dir).unwrap();
    assert!(!kernel.has_its_folder());
    assert_eq!(kernel.verify().unwrap().links, []);
    let other = rig.open();
    assert!(other.has_its_folder() && !kernel.has_its_folder());
}

#[test]
fn detaching_leaves_nothing_and_reopening_finds_nothing() {
    let Some(rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    kernel.attach(&rig.cgroup, BOTH).unwrap();
    kernel.detach(&rig.cgroup).unwrap();
    assert_eq!(kernel.verify().unwrap().links, []);
    assert_eq!(attached(&rig), 0);
    drop(kernel);
    assert_eq!(rig.open().verify().unwrap().links, []);
}

#[test]
fn cleanup_removes_what_was_recorded_and_leaves_strangers() {
    let Some(rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    kernel.attach(&rig.cgroup, BOTH).unwrap();
    kernel
        .track(
            kernel::PodKey {
                netns: 1,
                port: 80,
                ..Default::default()
            },
            POD,
            0,
        )
        .unwrap();
    drop(kernel);
    assert_eq!(attached(&rig), 7);
    let strange = rig.settings().pin_dir.join("v1/maps/stranger");
    std::os::unix::fs::symlink("nowhere", &strange).unwrap();
    let cleaned = cleanup(&rig.settings()).unwrap();
    assert_eq!(attached(&rig), 0);
    assert_eq!(cleaned.left, std::slice::from_ref(&strange));
    assert!(
        cleaned.removed.iter().any(|path| path.ends_with("v1/maps/COUNTS")),
        "{cleaned:?}"
    );
    std::fs::remove_file(&strange).unwrap();
    cleanup(&rig.settings()).unwrap();
    assert!(!rig.settings().pin_dir.exists());
    assert_eq!(
        cleanup(&rig.settings()).unwrap().removed,
        Vec::<PathBuf>::new(),
        "again is nothing"
    );
}

/// Programs that the kernel says are attached to the rig's cgroup.
fn attached(rig: &Rig) -> usize {
    use std::os::fd::AsFd as _;
    let cgroup = std::fs::File::open(&rig.cgroup).unwrap();
    let count = |hook: kernel::Hook| {
        kernel::sys::program::attached(cgroup.as_fd(), hook.point())
            .unwrap()
            .len()
    };
    kernel::Hook::ALL.into_iter().map(count).sum()
}
