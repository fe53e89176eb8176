// SPDX-License-Identifier: Apache-2.0
//! Counting outlives whoever shows it, and goes when it is told to.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::AsFd as _,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use nix::{pty::openpty, sys::signal::Signal};

use crate::{
    client::{Client, load},
    rig::{Rig, SLUICE, eventually},
};

#[test]
fn killed_in_the_middle_the_next_one_goes_on_exactly() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut top = rig.top(&["--pid", &server.pid()]);
    top.next();
    let mut slow = Client::connect(server.port);
    slow.begin();
    let before = load(server.port, 2, 100);
    top.until(|line| line["ended"] == before && line["in_flight"] == 1);
    assert_eq!(top.end(Signal::SIGKILL).code, None);
    // Nobody looks; counting goes on.
    let meanwhile = load(server.port, 2, 100);
    let mut top = rig.top(&["--pid", &server.pid()]);
    let line = top.next();
    assert_eq!(line["started"], before + meanwhile + 1, "{line}");
    assert_eq!(
        (&line["in_flight"], &line["connections"]["unaccounted"]),
        (&1.into(), &0.into()),
        "{line}"
    );
    slow.end();
    let after = load(server.port, 2, 100);
    let all = before + meanwhile + after + 1;
    let line = top.until(|line| line["ended"] == all);
    assert_eq!((&line["in_flight"], &line["status"]["2xx"]), (&0.into(), &all.into()));
    let ended = top.end(Signal::SIGTERM);
    assert!(ended.err.contains("goes on"), "{ended:?}");
    rig.assert_nothing_left();
}

#[test]
fn killed_again_and_again_under_load_nothing_is_lost() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut top = rig.top(&["--pid", &server.pid()]);
    top.next();
    let port = server.port;
    let traffic = thread::spawn(move || load(port, 4, 1500));
    for _ in 0..3 {
        top.end(Signal::SIGKILL);
        top = rig.top(&["--pid", &server.pid()]);
        top.next();
    }
    let made = traffic.join().unwrap();
    let line = top.until(|line| line["ended"] == made);
    assert_eq!((&line["started"], &line["in_flight"]), (&made.into(), &0.into()));
    assert_eq!(
        (&line["connections"]["total"], &line["connections"]["uncertain"]),
        (&4.into(), &0.into())
    );
}

#[test]
fn every_polite_end_leaves_nothing() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let mut top = rig.top(&["--pid", &server.pid()]);
        top.next();
        assert_eq!(top.end(signal).code, Some(0));
        rig.assert_nothing_left();
    }
    let ended = rig.sluice(&[
        "top",
        "--pid",
        &server.pid(),
        "-o",
        "json",
        "--count",
        "5",
        "--interval",
        "100ms",
    ]);
    assert_eq!((ended.code, ended.json().len()), (Some(0), 5), "{ended:?}");
    rig.assert_nothing_left();
}

#[test]
fn what_is_kept_goes_on_until_cleanup_lists_it() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let once = [
        "top",
        "--pid",
        &server.pid(),
        "-o",
        "json",
        "--once",
        "--interval",
        "100ms",
    ];
    let kept = rig.sluice(&[&once[..], &["--keep"]].concat());
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert!(kept.err.contains("sluice cleanup"), "{kept:?}");
    let made = load(server.port, 2, 20);
    let seen = rig.sluice(&[&once[..], &["--keep"]].concat());
    assert_eq!(seen.json()[0]["ended"], made, "{seen:?}");
    let cleaned = rig.sluice(&["cleanup"]);
    assert_eq!(cleaned.code, Some(0), "{cleaned:?}");
    for part in ["links/", "maps/COUNTS", "sock_ops"] {
        assert!(cleaned.out.contains(part), "{part} in {cleaned:?}");
    }
    rig.assert_nothing_left();
    let again = rig.sluice(&["cleanup"]);
    assert!(
        again.code == Some(0) && again.out.contains("nothing of ours"),
        "{again:?}"
    );
}

#[test]
fn ports_of_others_stay() {
    let Some(mut rig) = Rig::new() else { return };
    let (one, other) = (rig.server(), rig.server());
    let once = ["--once", "--interval", "100ms", "-o", "json"];
    let kept = rig.sluice(&[&["top", "--keep", "--pid", &one.pid()], &once[..]].concat());
    assert_eq!(kept.code, Some(0), "{kept:?}");
    let ended = rig.sluice(&[&["top", "--pid", &other.pid()], &once[..]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains("1 other port is"), "{ended:?}");
    let made = load(one.port, 1, 9);
    let seen = rig.sluice(&[&["top", "--pid", &one.pid()], &once[..]].concat());
    assert_eq!(seen.json()[0]["ended"], made, "{seen:?}");
    rig.assert_nothing_left();
}

/// They still name the number of a counting that is over.
#[test]
fn connections_of_an_earlier_counting_are_unaccounted_and_change_no_figure() {
    let Some(mut rig) = Rig::new() else { return };
    let (kept, server, third) = (rig.server(), rig.server(), rig.server());
    let first = rig.sluice(&["top", "--keep", "--once", "--pid", &kept.pid()]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let mut top = rig.top(&["--pid", &server.pid()]);
    top.next();
    let mut older = Client::connect(server.port);
    older.begin();
    top.until(|line| line["in_flight"] == 1);
    assert_eq!(top.end(Signal::SIGTERM).code, Some(0));
    let mut top = rig.top(&["--pid", &server.pid()]);
    let line = top.next();
    assert_eq!(
        (&line["started"], &line["connections"]["unaccounted"]),
        (&0.into(), &1.into()),
        "{line}"
    );
    older.end();
    older.get();
    let mut newer = Client::connect(server.port);
    newer.begin();
    let line = top.until(|line| line["started"] == 1);
    let open = &line["connections"]["open"];
    assert_eq!((open, &line["in_flight"]), (&1.into(), &1.into()), "{line}");
    newer.end();
    let line = top.until(|line| line["ended"] == 1);
    assert_eq!(line["connections"]["unaccounted"], 1, "{line}");
    assert_eq!(top.end(Signal::SIGTERM).code, Some(0));
    let mut top = rig.top(&["--pid", &third.pid()]);
    top.next();
    older.get();
    newer.get();
    let made = load(third.port, 1, 5);
    let line = top.until(|line| line["connections"]["total"] == 1 && line["ended"].as_u64() >= Some(made));
    assert_eq!(
        (&line["started"], &line["connections"]["unaccounted"]),
        (&made.into(), &0.into()),
        "{line}"
    );
}

#[test]
fn what_a_killed_one_counted_of_a_server_that_is_gone_goes_too() {
    let Some(mut rig) = Rig::new() else { return };
    let pod = rig.below("pod");
    let (gone, other) = (rig.server_in(&pod), rig.server());
    let mut top = rig.top(&["--pid", &gone.pid()]);
    top.next();
    assert_eq!(top.end(Signal::SIGKILL).code, None);
    rig.stop(&gone);
    assert!(eventually(|| std::fs::remove_dir(&pod).is_ok()));
    let mut top = rig.top(&["--pid", &other.pid()]);
    top.next();
    let made = load(other.port, 1, 4);
    top.until(|line| line["ended"] == made);
    assert_eq!(top.end(Signal::SIGTERM).code, Some(0));
    rig.assert_nothing_left();
}

#[test]
fn an_end_in_the_middle_of_loading_leaves_nothing() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let folder = rig.pin_dir().join(format!("v{}", abi::ABI));
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let top = rig.top(&["--pid", &server.pid()]);
        assert!(eventually(|| folder.exists()));
        assert_eq!(top.end(signal).code, Some(0));
        rig.assert_nothing_left();
    }
    // Killed there, the next one is not in its way.
    let top = rig.top(&["--pid", &server.pid()]);
    assert!(eventually(|| folder.exists()));
    assert_eq!(top.end(Signal::SIGKILL).code, None);
    let mut top = rig.top(&["--pid", &server.pid()]);
    top.next();
    assert_eq!(top.end(Signal::SIGTERM).code, Some(0));
    rig.assert_nothing_left();
}

#[test]
fn the_second_looks_on_and_its_end_is_nothing_to_the_first() {
    let Some(mut rig) = Rig::new() else { return };
    let (server, other) = (rig.server(), rig.server());
    let mut first = rig.top(&["--pid", &server.pid()]);
    assert_eq!(first.next()["read_only"], false);
    let before = rig.everything_pinned();
    let mut second = rig.top(&["--pid", &server.pid()]);
    let line = second.next();
    assert_eq!(
        (&line["read_only"], &line["attached"], &line["tier"]),
        (&true.into(), &true.into(), &"exact".into())
    );
    let made = load(server.port, 2, 50);
    for top in [&mut first, &mut second] {
        let line = top.until(|line| line["ended"] == made);
        assert_eq!((&line["status"]["2xx"], &line["in_flight"]), (&made.into(), &0.into()));
    }
    let table = rig.sluice(&["top", "--pid", &server.pid(), "--once", "--interval", "100ms", "--keep"]);
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(
        table.out.contains("read only: another sluice holds this folder") && !table.err.contains("still counting"),
        "{table:?}"
    );
    let uncounted = rig.sluice(&["top", "--pid", &other.pid(), "--once"]);
    uncounted.assert_fault(5, &["in use", &other.port.to_string(), "--pin-dir"]);
    let ended = second.end(Signal::SIGTERM);
    assert!(ended.code == Some(0) && ended.err.contains("read only"), "{ended:?}");
    assert_eq!(rig.everything_pinned(), before);
    let more = load(server.port, 2, 50);
    let line = first.until(|line| line["ended"] == made + more);
    assert_eq!(line["connections"]["unaccounted"], 0);
    assert_eq!(first.end(Signal::SIGTERM).code, Some(0));
    rig.assert_nothing_left();
}

#[test]
fn who_looks_on_ends_with_the_first_and_not_before() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut first = rig.top(&["--pid", &server.pid()]);
    first.next();
    let mut second = rig.top(&["--pid", &server.pid()]);
    second.next();
    // Killed, it leaves what counts; another takes over and swaps the programs.
    assert_eq!(first.end(Signal::SIGKILL).code, None);
    let mut third = rig.top(&["--pid", &server.pid()]);
    assert_eq!(third.next()["read_only"], false);
    let made = load(server.port, 1, 5);
    second.until(|line| line["ended"] == made);
    assert_eq!(third.end(Signal::SIGTERM).code, Some(0));
    second
        .finish()
        .assert_fault(6, &["not counted any more", "other `sluice` has ended"]);
    rig.assert_nothing_left();
}

#[test]
fn programs_detached_behind_its_back_are_told() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut top = rig.top(&["--pid", &server.pid()]);
    assert_eq!(top.next()["attached"], true);
    let links = rig.pin_dir().join(format!("v{}", abi::ABI)).join("links");
    let mut pins = std::fs::read_dir(links).unwrap().map(|entry| entry.unwrap().path());
    let ingress = pins.find(|pin| pin.to_string_lossy().ends_with("-ingress")).unwrap();
    let link = kernel::sys::object::get(&ingress).unwrap();
    kernel::sys::link::detach(link.as_fd()).unwrap();
    top.until(|line| line["attached"] == false);
    (0..3).for_each(|_| drop(top.next()));
    let ended = top.end(Signal::SIGTERM);
    assert_eq!(
        (ended.code, ended.err.matches("warning: ").count()),
        (Some(0), 1),
        "{ended:?}"
    );
    assert!(ended.err.contains("detached ingress; end this"), "{ended:?}");
    rig.assert_nothing_left();
    // As it says, the next one counts.
    let mut top = rig.top(&["--pid", &server.pid()]);
    top.next();
    let made = load(server.port, 1, 5);
    assert_eq!(top.until(|line| line["ended"] == made)["attached"], true);
}

#[test]
fn pins_removed_behind_its_back_end_it_and_their_successors_stay() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut first = rig.top(&["--pid", &server.pid()]);
    first.next();
    std::fs::remove_dir_all(rig.pin_dir()).unwrap();
    let mut second = rig.top(&["--pid", &server.pid()]);
    assert_eq!(second.next()["read_only"], false);
    first.end(Signal::SIGTERM);
    let made = load(server.port, 1, 5);
    second.until(|line| line["ended"] == made);
    std::fs::remove_dir_all(rig.pin_dir()).unwrap();
    second.finish().assert_fault(6, &["removed what was pinned", "again"]);
    rig.assert_nothing_left();
}

#[test]
fn cleanup_waits_for_the_end_and_two_folders_count_beside_each_other() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut first = rig.top(&["--pid", &server.pid()]);
    first.next();
    rig.sluice(&["cleanup"]).assert_fault(5, &["in use"]);
    // Beside it, with its own folder, it counts the same.
    let beside = rig.pins.join("beside");
    let mut other = rig.top(&["--pid", &server.pid(), "--pin-dir", beside.to_str().unwrap()]);
    other.next();
    let made = load(server.port, 2, 10);
    first.until(|line| line["ended"] == made);
    other.until(|line| line["ended"] == made);
    assert_eq!(other.end(Signal::SIGTERM).code, Some(0));
    assert!(!beside.exists());
    let more = load(server.port, 1, 5);
    first.until(|line| line["ended"] == made + more);
}

#[test]
fn the_end_of_the_cgroup_ends_it() {
    let Some(mut rig) = Rig::new() else { return };
    let pod = rig.below("pod");
    let server = rig.server_in(&pod);
    let mut top = rig.top(&["--pid", &server.pid()]);
    top.next();
    rig.stop(&server);
    assert!(eventually(|| std::fs::remove_dir(&pod).is_ok()));
    top.finish().assert_fault(6, &["gone"]);
    rig.assert_nothing_left();
}

/// A pseudo-terminal with a program on it.
pub(crate) struct Terminal {
    master: File,
    slave: Option<File>,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    child: Option<Child>,
}

impl Terminal {
    pub(crate) fn open() -> Self {
        let size = nix::pty::Winsize {
            ws_row: 30,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pair = openpty(&size, None).unwrap();
        let master = File::from(pair.master);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, into) = (master.try_clone().unwrap(), Arc::clone(&shown));
        // Ends when the last holder of the other end has closed it.
        let reader = thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut block) {
                into.lock().unwrap().extend_from_slice(&block[..length]);
            }
        });
        Self {
            master,
            slave: Some(File::from(pair.slave)),
            shown,
            reader: Some(reader),
            child: None,
        }
    }

    pub(crate) fn start(&mut self, arguments: &[&str]) {
        let end = || Stdio::from(self.slave.as_ref().unwrap().try_clone().unwrap());
        let mut command = Command::new(SLUICE);
        command
            .args(arguments)
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        self.child = Some(command.spawn().unwrap());
    }

    pub(crate) fn press(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }

    /// Waits for its end; then all that it said is shown.
    pub(crate) fn finish(&mut self) -> Option<i32> {
        let child = self.child.as_mut().unwrap();
        assert!(eventually(|| child.try_wait().unwrap().is_some()), "it does not end");
        let code = child.wait().unwrap().code();
        self.slave = None;
        let reader = self.reader.take().unwrap();
        assert!(eventually(|| reader.is_finished()), "somebody holds the terminal");
        reader.join().unwrap();
        code
    }

    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    pub(crate) fn has_shown(&self, text: &str) -> bool {
        self.shown().contains(text)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
