// SPDX-License-Identifier: Apache-2.0
//! The sample server in a pod, by those of its answers that take more than a GET.

use crate::place::{FAST, Instance, PATIENCE, Place, ask, is_ready, post, service, within};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

const PODS: &str = "/api/v1/namespaces/default/pods";

/// The answer of a health service is a message with trailers behind it, over HTTP/2.
#[test]
fn a_grpc_probe_hears_what_the_health_service_says() {
    let Some(place) = Place::new() else { return };
    let instance = place.start(FAST, &[]);
    for (name, service) in [("whole", ""), ("other", "shop")] {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": "standalone", "containers": [{
                "name": "c", "image": "sluice.dev/sample", "env": [{"name": "PORT", "value": "8080"}],
                "readinessProbe": {"grpc": {"port": 8080, "service": service}, "periodSeconds": 1, "failureThreshold": 1},
            }]},
        });
        let (status, body) = post(instance.api, PODS, &pod);
        assert_eq!(status, 201, "{body}");
    }
    assert!(
        within(PATIENCE, || is_ready(&pod(&instance, "whole"))),
        "{}",
        pod(&instance, "whole")
    );
    let is_told = |name: &str, words: &str| {
        let events = instance.list("/api/v1/namespaces/default/events");
        let mut own = events.iter().filter(|event| event["involvedObject"]["name"] == name);
        own.any(|event| event["message"] == format!("Readiness probe failed: {words}"))
    };
    let unknown = "error: health rpc probe failed: rpc error: code = 5";
    assert!(
        within(PATIENCE, || is_told("other", unknown)),
        "no event says {unknown}"
    );
    assert!(
        !is_ready(&pod(&instance, "other")),
        "a service that nobody knows is well"
    );
    let ip = pod(&instance, "whole")["status"]["podIP"].as_str().unwrap().to_owned();
    let address: SocketAddr = format!("{ip}:8080").parse().unwrap();
    assert_eq!(ask(address, "whole", "/health/fail").0, 200);
    assert!(
        within(PATIENCE, || !is_ready(&pod(&instance, "whole"))),
        "it is ill and ready"
    );
    let unwell = "service unhealthy (responded with status 2)";
    assert!(within(PATIENCE, || is_told("whole", unwell)), "no event says {unwell}");
    assert_eq!(ask(address, "whole", "/health/mend").0, 200);
    assert!(
        within(PATIENCE, || is_ready(&pod(&instance, "whole"))),
        "it is well and not ready"
    );
    instance.end();
    place.assert_nothing_left();
}

fn pod(instance: &Instance, name: &str) -> Value {
    let pods = instance.list(PODS);
    pods.into_iter()
        .find(|pod| pod["metadata"]["name"] == name)
        .unwrap_or_default()
}

/// From zero: the connection is held until there is a pod, and then it is no HTTP any more.
#[test]
fn a_websocket_is_echoed_through_the_gateway() {
    let Some(place) = Place::new() else { return };
    let none = service("hello", "autoscaling.knative.dev/initial-scale: '0'");
    let instance = place.start(&format!("{FAST}{none}"), &[]);
    assert!(within(PATIENCE, || instance.is_ready("hello")));
    let mut socket = Socket::open(instance.gateway, "hello.default.localhost");
    let large: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    for (kind, message) in [(TEXT, b"hello, world".as_slice()), (BINARY, b""), (BINARY, &large)] {
        socket.send(END | kind, message);
        assert!(
            socket.read() == (END | kind, message.to_vec()),
            "{kind}: {} bytes",
            message.len()
        );
    }
    // In pieces, with a question between them that is answered at once.
    socket.send(TEXT, b"in ");
    socket.send(END | PING, b"there?");
    assert_eq!(socket.read(), (END | PONG, b"there?".to_vec()));
    socket.send(END, b"pieces");
    assert_eq!(socket.read(), (END | TEXT, b"in pieces".to_vec()));
    let end = 1000_u16.to_be_bytes();
    socket.send(END | CLOSE, &end);
    assert_eq!(socket.read(), (END | CLOSE, end.to_vec()));
    assert_eq!(socket.0.read(&mut [0; 1]).unwrap(), 0, "it goes on after the end");
    instance.end();
    place.assert_nothing_left();
}

/// The last piece of a message; kinds of pieces: RFC 6455, section 5.2.
const END: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A client's side of a WebSocket.
struct Socket(TcpStream);

impl Socket {
    /// With the key of RFC 6455, section 1.3.
    fn open(to: SocketAddr, host: &str) -> Self {
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET /echo HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let accepted = head
            .to_lowercase()
            .contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=");
        assert!(accepted, "{head}");
        Self(stream)
    }

    fn send(&mut self, kind: u8, message: &[u8]) {
        let mask = [7, 77, 177, 27];
        let mut piece = vec![kind];
        match u16::try_from(message.len()) {
            Ok(length) if length < 126 => piece.push(0x80 | length as u8),
            Ok(length) => {
                piece.push(0x80 | 126);
                piece.extend(length.to_be_bytes());
            }
            Err(_) => {
                piece.push(0x80 | 127);
                piece.extend((message.len() as u64).to_be_bytes());
            }
        }
        piece.extend(mask);
        piece.extend(message.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.0.write_all(&piece).unwrap();
    }

    fn read(&mut self) -> (u8, Vec<u8>) {
        let [kind, length] = self.take();
        let length = match length {
            126 => u64::from(u16::from_be_bytes(self.take())),
            127 => u64::from_be_bytes(self.take()),
            length => length.into(),
        };
        let mut message = vec![0; length as usize];
        self.0.read_exact(&mut message).unwrap();
        (kind, message)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}
