// SPDX-License-Identifier: Apache-2.0
//! Targets: real clients, and the maps behind them.

use std::{net::SocketAddr, time::Duration};

use kernel::{Backend, Configuration, Hooks, Kernel, Mode, PodId, Pulse, Settings, TargetError, monotonic};

use crate::rig::{Rig, eventually};

const CLIENT: &str = r#"
import socket, sys
for line in sys.stdin:
    try:
        c = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))
        c.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := c.recv(4096):
            answer += part
        print("%s:%d" % c.getpeername(), answer[-5:].decode())
    except OSError as error:
        print("failed", type(error).__name__)
"#;

/// Documentation address: nothing answers there.
const TARGET: ([u8; 4], u16) = ([192, 0, 2, 7], 80);

fn backend(to: SocketAddr, pod: u32) -> Backend {
    Backend {
        to,
        pod: PodId(pod),
        is_remote: false,
        room: 0,
    }
}

#[test]
fn clients_reach_the_pod_and_see_the_target() {
    let Some(mut rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    kernel
        .attach(
            &rig.cgroup,
            Hooks {
                account: true,
                redirect: true,
            },
        )
        .unwrap();
    let server = rig.server();
    kernel.track(server.key(), PodId(4), 0).unwrap();
    let (stale_buffered, stale_direct) = (Duration::from_secs(1), Duration::from_secs(15));
    kernel
        .configure(&Configuration {
            stale_buffered,
            stale_direct,
            ..Configuration::default()
        })
        .unwrap();
    kernel.beat(monotonic());
    let target = SocketAddr::from(TARGET);
    kernel
        .set_backends(target, Mode::Direct, &[backend(server.address(), 4)])
        .unwrap();
    // Half a second, where nobody is there.
    let mut client = rig.python(CLIENT, &["192.0.2.7", "80", "30"]);
    let mut lost = rig.python(CLIENT, &["192.0.2.7", "80", "0.5"]);
    client.say();
    assert_eq!(client.line(), "192.0.2.7:80 hello", "getpeername tells the target");
    assert!(eventually(|| kernel.counts(PodId(4)).unwrap().core.ended == 1));
    assert_eq!(kernel.redirects().unwrap().direct, 1);

    kernel.set_mode(target, Mode::Off).unwrap();
    lost.say();
    assert!(lost.line().starts_with("failed"), "left alone, and nobody is there");
    kernel.set_mode(target, Mode::Direct).unwrap();
    client.say();
    assert_eq!(client.line(), "192.0.2.7:80 hello");
    kernel.beat(monotonic().saturating_sub(20_000_000_000));
    lost.say();
    assert!(
        lost.line().starts_with("failed"),
        "a stale heartbeat leaves targets alone"
    );
    assert!(kernel.redirects().unwrap().stale >= 1);
    Pulse::find(&rig.settings()).beat(monotonic());
    client.say();
    assert_eq!(
        client.line(),
        "192.0.2.7:80 hello",
        "a successor that still loads has beaten"
    );
    kernel.remove_target(target).unwrap();
    lost.say();
    assert!(lost.line().starts_with("failed"));
}

#[test]
fn the_gateway_learns_what_a_buffered_client_asked_for() {
    let Some(mut rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    kernel
        .attach(
            &rig.cgroup,
            Hooks {
                account: true,
                redirect: true,
            },
        )
        .unwrap();
    let gateway = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let here = gateway.local_addr().unwrap();
    let stale = Duration::from_secs(30);
    kernel
        .configure(&Configuration {
            gateway4: Some(here),
            stale_buffered: stale,
            stale_direct: stale,
            ..Default::default()
        })
        .unwrap();
    kernel.beat(monotonic());
    let target = SocketAddr::from(TARGET);
    kernel.set_backends(target, Mode::Buffered, &[]).unwrap();
    let mut client = rig.python(CLIENT, &["192.0.2.7", "80", "30"]);
    client.say();
    let (stream, peer) = gateway.accept().unwrap();
    assert_eq!(
        kernel.target_of(peer, stream.local_addr().unwrap()).unwrap(),
        Some(target)
    );
    assert_eq!(kernel.target_of(here, peer).unwrap(), None);
    assert_eq!(kernel.redirects().unwrap().buffered, 1);
}

#[test]
fn ten_thousand_targets_are_set_and_read_back() {
    let Some(rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    let target = |number: u32| SocketAddr::from(((0x0a00_0000 + number).to_be_bytes(), 80));
    let pod = backend(SocketAddr::from(([127, 0, 0, 1], 1)), 0);
    for number in 0..10_000 {
        kernel
            .set_backends(target(number), Mode::Buffered, &[pod, pod])
            .unwrap();
    }
    kernel.set_mode(target(77), Mode::Direct).unwrap();
    kernel.remove_target(target(78)).unwrap();
    drop(kernel);
    let kernel = rig.open();
    let mut all = kernel.targets();
    all.sort_unstable_by_key(|(address, ..)| *address);
    assert_eq!(all.len(), 9_999);
    assert_eq!(all[77], (target(77), Mode::Direct, 2));
    assert_eq!(all[78], (target(79), Mode::Buffered, 2));
    kernel.set_backends(target(78), Mode::Off, &[]).unwrap();
    assert_eq!(kernel.targets().len(), 10_000);
}

#[test]
fn full_maps_are_errors_and_change_nothing() {
    let Some(rig) = Rig::with_object() else { return };
    let kernel = Kernel::open(Settings {
        targets: 2,
        backends: 8,
        ..rig.settings()
    })
    .unwrap();
    let target = |port| SocketAddr::from(([10, 0, 0, 1], port));
    let pod = backend(SocketAddr::from(([127, 0, 0, 1], 1)), 0);
    kernel.set_backends(target(1), Mode::Direct, &[pod; 3]).unwrap();
    let full = kernel.set_backends(target(2), Mode::Direct, &[pod; 6]).unwrap_err();
    assert!(
        matches!(
            full,
            TargetError::Full {
                what: "backends",
                room: 8
            }
        ),
        "{full:?}"
    );
    kernel.set_backends(target(2), Mode::Direct, &[pod]).unwrap();
    let full = kernel.set_backends(target(3), Mode::Direct, &[]).unwrap_err();
    assert!(
        matches!(
            full,
            TargetError::Full {
                what: "targets",
                room: 2
            }
        ),
        "{full:?}"
    );
    assert_eq!(kernel.targets().len(), 2);
    assert!(matches!(
        kernel.set_mode(target(3), Mode::Off),
        Err(TargetError::Unknown { .. })
    ));
    for _ in 0..20 {
        kernel.set_backends(target(1), Mode::Direct, &[pod; 3]).unwrap();
    }
    kernel.remove_target(target(2)).unwrap();
    kernel.set_backends(target(3), Mode::Direct, &[pod]).unwrap();
}
