// SPDX-License-Identifier: Apache-2.0
//! What `sluice top` shows is what was asked of the server.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use kernel::Netns;
use nix::sys::signal::Signal;

use crate::{
    client::{Client, Streams, load},
    rig::{Rig, eventually},
};

#[test]
fn every_request_is_counted_once_and_none_is_left_in_flight() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut top = rig.top(&["--pid", &server.pid()]);
    assert_eq!(top.next()["started"], 0);
    let made = load(server.port, 4, 500);
    let line = top.until(|line| line["started"] == made && line["in_flight"] == 0);
    assert_eq!(line["ended"], made);
    assert_eq!(line["status"]["2xx"], made);
    assert_eq!(line["connections"]["total"], 4);
    assert_eq!(line["connections"]["uncertain"], 0);
    assert_eq!(
        (&line["tier"], &line["counted_as"]),
        (&"exact".into(), &"requests".into())
    );
    assert!(line["latency_ms"]["p50"].as_f64().unwrap() > 0.0);
    assert!(line["bytes"]["out"].as_u64().unwrap() > made * 6);
    let ended = top.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    rig.assert_nothing_left();
}

#[test]
fn requests_are_in_flight_until_they_are_answered() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut top = rig.top(&["--cgroup", rig.cgroup.to_str().unwrap()]);
    top.next();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(server.port)).collect();
    clients.iter_mut().for_each(Client::begin);
    let line = top.until(|line| line["in_flight"] == 3);
    assert_eq!(line["connections"]["open"], 3);
    // For a whole window of the shortest mean, three are in flight.
    top.until(|line| line["concurrency"]["1s"].as_f64() == Some(3.0));
    clients.iter_mut().for_each(Client::end);
    let line = top.until(|line| line["in_flight"] == 0);
    assert_eq!((&line["started"], &line["ended"]), (&3.into(), &3.into()));
}

#[test]
fn older_connections_are_unaccounted_and_never_zero() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut older: Vec<Client> = (0..2).map(|_| Client::connect(server.port)).collect();
    older.iter_mut().for_each(Client::get);
    let mut top = rig.top(&["--pid", &server.pid()]);
    assert_eq!(top.next()["connections"]["unaccounted"], 2);
    let mut newer = Client::connect(server.port);
    newer.get();
    older.iter_mut().for_each(Client::get);
    let line = top.until(|line| line["started"] == 1);
    assert_eq!(
        (&line["connections"]["unaccounted"], &line["connections"]["open"]),
        (&2.into(), &1.into())
    );
    drop(older);
    top.until(|line| line["connections"]["unaccounted"] == 0);
}

#[test]
fn several_ports_are_a_line_each() {
    let Some(mut rig) = Rig::new() else { return };
    let (one, other) = (rig.server(), rig.server());
    let (first, second) = (one.port.to_string(), other.port.to_string());
    let cgroup = rig.cgroup.to_str().unwrap().to_owned();
    let several = rig.sluice(&["top", "--cgroup", &cgroup]);
    several.assert_fault(2, &["several ports", &first, &second, "--port"]);
    let mut top = rig.top(&["--cgroup", &cgroup, "--port", &first, "--port", &second]);
    assert_ne!(top.next()["port"], top.next()["port"]);
    let made = load(other.port, 1, 7);
    let line = top.until(|line| line["started"] == made);
    assert_eq!(line["port"], other.port);
    assert_eq!(top.until(|line| line["port"] == one.port)["started"], 0);
}

#[test]
fn a_server_in_a_namespace_of_its_own_is_found_by_namespace_and_by_process() {
    let Some(mut rig) = Rig::new() else { return };
    let cgroup = rig.cgroup.clone();
    let script = "exec unshare -n sh -c 'ip link set lo up && exec \"$0\" sample --port 0' \"$0\"";
    let server = rig.server_by(&cgroup, script);
    let netns = Netns::of_process(Path::new("/proc"), server.pid).unwrap();
    assert!(
        TcpStream::connect(("127.0.0.1", server.port)).is_err(),
        "it is in another namespace"
    );
    let file = format!("/proc/{}/ns/net", server.pid);
    let port = server.port.to_string();
    for named in [["--netns", &file], ["--pid", &server.pid()]] {
        let mut top = rig.top(&[&named[..], &["--port", &port]].concat());
        top.next();
        let made = netns.run(|| load(server.port, 2, 5)).unwrap();
        let line = top.until(|line| line["started"] == made);
        assert_eq!(line["cgroup"], rig.cgroup.to_str().unwrap());
        assert_eq!(top.end(Signal::SIGINT).code, Some(0));
        rig.assert_nothing_left();
    }
}

#[test]
fn a_socket_belongs_to_the_cgroup_that_it_was_made_in() {
    let Some(mut rig) = Rig::new() else { return };
    let (born, moved) = (rig.below("born"), rig.below("moved"));
    let server = rig.server_in(&born);
    std::fs::write(moved.join("cgroup.procs"), server.pid()).unwrap();
    let wrong = rig.sluice(&["top", "--cgroup", moved.to_str().unwrap(), "--once"]);
    wrong.assert_fault(6, &[born.to_str().unwrap(), "when the socket was made"]);
    let mut top = rig.top(&["--pid", &server.pid()]);
    assert_eq!(top.next()["cgroup"], born.to_str().unwrap());
    let made = load(server.port, 1, 3);
    top.until(|line| line["ended"] == made);
}

#[test]
fn streams_of_http2_are_requests() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut top = rig.top(&["--pid", &server.pid()]);
    top.next();
    let streams = Streams::begin(server.port, 20);
    let line = top.until(|line| line["in_flight"] == 20);
    assert_eq!(
        (&line["connections"]["open"], &line["connections"]["http2"]),
        (&1.into(), &1.into())
    );
    streams.end();
    let line = top.until(|line| line["ended"] == 20);
    assert_eq!(
        (&line["started"], &line["connections"]["uncertain"]),
        (&20.into(), &0.into())
    );
}

#[test]
fn what_is_not_http_is_counted_as_connections() {
    let Some(mut rig) = Rig::new() else { return };
    let cgroup = rig.cgroup.clone();
    let server = rig.server_by(&cgroup, &format!("exec python3 -u -c '{ECHO}'"));
    let mut top = rig.top(&["--pid", &server.pid()]);
    top.next();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    // A TLS hello, as far as anybody looks.
    stream
        .write_all(&[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3, 0, 0, 0, 0, 0])
        .unwrap();
    stream.read_exact(&mut [0; 16]).unwrap();
    let line = top.until(|line| line["connections"]["opaque"] == 1);
    assert_eq!((&line["in_flight"], &line["started"]), (&1.into(), &1.into()), "{line}");
    drop(stream);
    top.until(|line| line["in_flight"] == 0 && line["ended"] == 1);
}

#[test]
fn without_bpf_loop_connections_are_counted_and_said_to_be() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut top = rig.top(&["--pid", &server.pid(), "--refuse", "bpf_loop"]);
    assert_eq!(top.next()["counted_as"], "connections");
    let mut clients: Vec<Client> = (0..2).map(|_| Client::connect(server.port)).collect();
    clients.iter_mut().for_each(Client::get);
    let line = top.until(|line| line["in_flight"] == 2);
    assert_eq!(line["tier"], "connections");
    drop(clients);
    top.until(|line| line["in_flight"] == 0);
}

#[test]
fn without_cookies_servers_are_known_by_address() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut top = rig.top(&["--pid", &server.pid(), "--refuse", "netns_cookie"]);
    top.next();
    let made = load(server.port, 2, 10);
    top.until(|line| line["ended"] == made);
}

#[test]
fn the_table_is_plain_lines_where_there_is_no_terminal() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let ended = rig.sluice(&["top", "--pid", &server.pid(), "--count", "2", "--interval", "100ms"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.out.contains('\x1b'), "{ended:?}");
    assert_eq!(ended.out.matches("IN FLIGHT").count(), 2, "{ended:?}");
    rig.assert_nothing_left();
}

#[test]
fn on_a_terminal_a_key_ends_it_and_the_cursor_comes_back() {
    let Some(mut rig) = Rig::new() else { return };
    let server = rig.server();
    let mut terminal = crate::life::Terminal::open();
    let pin_dir = rig.pin_dir();
    let arguments = [
        "top",
        "--pid",
        &server.pid(),
        "--interval",
        "100ms",
        "--pin-dir",
        pin_dir.to_str().unwrap(),
    ];
    terminal.start(&arguments);
    assert!(
        eventually(|| terminal.has_shown("IN FLIGHT") && terminal.has_shown("\x1b[J")),
        "{}",
        terminal.shown()
    );
    terminal.press(b"q");
    assert_eq!(terminal.finish(), Some(0), "{}", terminal.shown());
    assert!(
        terminal.shown().ends_with("\x1b[?25h"),
        "the cursor stays hidden: {}",
        terminal.shown()
    );
    rig.assert_nothing_left();
}

const ECHO: &str = r#"
import socket
listener = socket.create_server(("127.0.0.1", 0))
print("x:%d" % listener.getsockname()[1])
while True:
    stream, _ = listener.accept()
    while data := stream.recv(4096):
        stream.sendall(data)
    stream.close()
"#;
