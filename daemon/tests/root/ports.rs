// SPDX-License-Identifier: Apache-2.0
//! The ports of a pod that tools know of queue-proxy: 8022, 9090, 9091.

use crate::place::{FAST, Instance, Open, PATIENCE, Place, ask, delete, executable, service, within};
use crate::rig::SLUICE;
use serde_json::Value;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const KEPT: &str = "autoscaling.knative.dev/min-scale: '1'";
const PODS: &str = "/api/v1/namespaces/default/pods";
const OBSERVED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-observability, namespace: knative-serving}\n\
                        data: {request-metrics-protocol: prometheus}\n---\n";
/// The fields of `Stat` that are looked at.
const CONCURRENCY: u8 = 2;
const UPTIME: u8 = 6;

#[test]
fn a_pod_answers_by_its_address_as_if_queue_proxy_was_in_it() {
    let Some(place) = Place::new() else { return };
    // Who has one of the ports keeps it.
    let script = format!(
        "#!/bin/bash\n{SLUICE} sample --listen 0.0.0.0 --port 9090 & other=$!\ntrap 'kill $other; exit' EXIT\n\
         until echo > /dev/tcp/127.0.0.1/9090; do sleep 0.1; done 2> /dev/null\n{SLUICE} sample --listen 0.0.0.0 --port $PORT\n"
    );
    let image = format!("two={}", executable(&place.folder, "two", &script).display());
    let two = service("two", KEPT).replace("sluice.dev/sample", "two");
    let state = place.folder.join("state");
    let more = ["--image", &image, "--state", state.to_str().unwrap()];
    let instance = place.start(&format!("{FAST}{OBSERVED}{}{two}", service("hello", KEPT)), &more);
    assert!(within(PATIENCE, || {
        ["hello", "two"].iter().all(|name| instance.is_ready(name))
    }));
    let pod = Pod::of(&instance, "hello");
    assert!(within(PATIENCE, || pod.has(8022) && pod.has(9090) && pod.has(9091)));

    // Nobody stops it: the container has a second.
    let begun = Instant::now();
    assert_eq!(ask(pod.at(8022), "pod", "/wait-for-drain"), (200, String::new()));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(ask(pod.at(8022), "pod", "/").0, 404);
    assert_eq!(ask(pod.at(9090), "pod", "/").0, 404);

    // What goes to the pod itself is counted too.
    let held = [
        Open::begin(pod.at(8080), "pod"),
        Open::begin(instance.gateway, "hello.default.localhost"),
    ];
    let mean = || pod.stat(CONCURRENCY).unwrap_or_default();
    // The mean of a whole second of both.
    assert!(within(PATIENCE, || (mean() - 2.0).abs() < 0.01), "{}", mean());
    assert!(pod.stat(UPTIME).is_some_and(|uptime| uptime >= 1.0));
    let page = || ask(pod.at(9091), "pod", "/metrics").1;
    let active = |count: u32| {
        let line = format!("kn_revision_name=\"hello-00001\"}} {count}");
        page()
            .lines()
            .any(|text| text.starts_with("kn_revision_request_active{") && text.ends_with(&line))
    };
    assert!(active(2), "{}", page());
    held.into_iter()
        .for_each(|request| assert_eq!(request.end(), (200, "hi".to_owned())));
    assert!(within(PATIENCE, || active(0)), "{}", page());

    // The other pod's own.
    let two = Pod::of(&instance, "two");
    assert!(within(PATIENCE, || two.has(8022)));
    assert!(ask(two.at(9090), "pod", "/").1.starts_with("hello "));

    // They go with the daemon, and come with the next one.
    instance.kill();
    assert!(!pod.has(8022));
    let instance = place.start_without_files(&more);
    assert!(within(PATIENCE, || pod.has(8022) && pod.has(9090) && pod.has(9091)));

    // A pod that ends is waited for until it has no requests.
    let held = Open::begin(pod.at(8080), "pod");
    assert!(within(PATIENCE, || active(1)), "{}", page());
    assert_eq!(delete(instance.api, &format!("{PODS}/{}", pod.name)).0, 200);
    let mut waits = TcpStream::connect(pod.at(8022)).unwrap();
    waits.write_all(b"GET /wait-for-drain HTTP/1.0\r\n\r\n").unwrap();
    waits.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let answered = waits.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(answered, Err(ErrorKind::WouldBlock), "before its request had ended");
    assert_eq!(held.end(), (200, "hi".to_owned()));
    waits.set_read_timeout(Some(PATIENCE)).unwrap();
    // Answered, or gone with the pod, whatever comes first.
    let told = waits.read(&mut [0]).map_err(|error| error.kind());
    assert_ne!(told, Err(ErrorKind::WouldBlock));
    assert!(within(PATIENCE, || !pod.has(8022)), "ports of a pod that is gone");
    instance.end();
    place.assert_nothing_left();
}

struct Pod {
    name: String,
    ip: String,
}

impl Pod {
    /// The first one of a service.
    fn of(instance: &Instance, service: &str) -> Self {
        let pods = instance.list(PODS);
        let is_ours = |pod: &&Value| pod["metadata"]["labels"]["serving.knative.dev/service"] == service;
        let pod = pods.iter().find(is_ours).unwrap();
        Self {
            name: pod["metadata"]["name"].as_str().unwrap().to_owned(),
            ip: pod["status"]["podIP"].as_str().unwrap().to_owned(),
        }
    }

    fn at(&self, port: u16) -> SocketAddr {
        format!("{}:{port}", self.ip).parse().unwrap()
    }

    /// Whether somebody listens.
    fn has(&self, port: u16) -> bool {
        TcpStream::connect_timeout(&self.at(port), Duration::from_secs(1)).is_ok()
    }

    /// A number of what an autoscaler of Knative's would read.
    fn stat(&self, field: u8) -> Option<f64> {
        let mut stream = TcpStream::connect(self.at(9090)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: pod\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
        assert!(head.contains("Content-Type: application/protobuf"), "{head}");
        let mut rest = &answer[end + 4..];
        // Field 1, its length, the name.
        assert_eq!(rest[..2], [0x0a, u8::try_from(self.name.len()).unwrap()]);
        assert_eq!(&rest[2..2 + self.name.len()], self.name.as_bytes());
        rest = &rest[2 + self.name.len()..];
        let mut numbers = rest.chunks(9).map(|number| {
            assert_eq!((number.len(), number[0] & 7), (9, 1));
            (number[0] >> 3, f64::from_le_bytes(number[1..].try_into().unwrap()))
        });
        numbers.find(|(number, _)| *number == field).map(|(_, value)| value)
    }
}
