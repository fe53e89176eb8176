// SPDX-License-Identifier: Apache-2.0
//! curl, Node, Python and nghttp against pods of hyper and of Python.
//!
//! Depends on: gateway, pods; curl, node, python3, nghttp (`cargo xtask setup`).

use crate::gateway::{Gateway, Service, program};
use crate::pods;
use crate::program::{curl_by_tls, run, script};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_speaks_both_protocols() {
    let (pod, _) = pods::hyper().await;
    let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
    let said = run("node", &[&script("client.mjs"), &gateway.address.to_string()]).await;
    assert_eq!(said, "ok\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_keeps_one_connection_for_all_shapes() {
    let (hyper, _) = pods::hyper().await;
    let python = pods::python();
    for pod in [hyper, python.address] {
        let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
        let said = run("python3", &[&script("client.py"), &gateway.address.to_string()]).await;
        assert_eq!(said, "ok\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_every_version() {
    let (pod, _) = pods::hyper().await;
    let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
    let url = |path: &str| format!("http://{}{path}", gateway.address);
    for version in ["--http1.0", "--http1.1", "--http2", "--http2-prior-knowledge"] {
        let common = ["-sS", "--max-time", "20", "-H", "Host: app.test", version];
        let body = "x".repeat(5000);
        let cases: [(&[&str], String); 4] = [
            (&[], "GET /get\n|200".to_owned()),
            (&["-d", &body], format!("POST /get\n{body}|200")),
            (
                &["-d", &body, "-H", "Expect: 100-continue"],
                format!("POST /get\n{body}|200"),
            ),
            (&["-X", "DELETE"], "DELETE /get\n|200".to_owned()),
        ];
        for (own, due) in cases {
            let url = url("/get");
            let arguments = [&common[..], own, &["-w", "|%{http_code}", &url]].concat();
            assert_eq!(run("curl", &arguments).await, due, "{version}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_hears_an_answer_that_did_not_wait_for_its_body() {
    let pod = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::start(&[Service::new("app.test", &[pod.local_addr().unwrap()])]);
    let serve = async {
        loop {
            let (mut stream, _) = pod.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                assert!(stream.read_buf(&mut head).await.unwrap() > 0);
            }
            let answer = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge";
            stream.write_all(answer).await.unwrap();
        }
    };
    // Megabytes that are there anyway.
    let (large, url) = (program(), format!("http://{}/", gateway.address));
    let ask = async {
        for (version, host, due) in [
            ("--http1.1", "Host: app.test", "large|413"),
            ("--http2-prior-knowledge", "Host: app.test", "large|413"),
            (
                "--http2-prior-knowledge",
                "Host: nobody.test",
                "no route leads from this host and path\n|404",
            ),
        ] {
            let common = [
                "-sS",
                "--max-time",
                "20",
                "-w",
                "|%{http_code}",
                version,
                "-H",
                host,
                "-T",
            ];
            let said = run("curl", &[&common[..], &[large.to_str().unwrap(), &url]].concat()).await;
            assert_eq!(said, due, "{version}");
        }
    };
    tokio::select! {
        () = serve => {}
        () = ask => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_both_versions_by_tls() {
    let (pod, _) = pods::hyper().await;
    let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
    let body = "x".repeat(100_000);
    for (version, number) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let own = [
            version,
            "-d",
            &body,
            "-w",
            "|%{http_code} %{http_version}",
            "https://app.test/get",
        ];
        let said = curl_by_tls(&gateway, &own).await;
        assert_eq!(said, format!("POST /get\n{body}|200 {number}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nghttp_multiplexes() {
    let (pod, _) = pods::hyper().await;
    let gateway = Gateway::start(&[Service::new("app.test", &[pod])]);
    let url = format!("http://{}/many", gateway.address);
    let said = run("nghttp", &["-m", "20", "-H", ":authority: app.test", &url]).await;
    assert_eq!(said.matches("GET /many\n").count(), 20);
}
