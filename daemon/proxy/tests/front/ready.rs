// SPDX-License-Identifier: Apache-2.0
//! Readiness by an application's own probes: gRPC, HTTPS, several containers.

use crate::rig::{HOST, Rig, ask, certificate, get, rule, serving};
use bytes::Bytes;
use life::Tasks;
use logic::traffic::{BackendPort, Destination};
use proxy::{Endpoints, Front, Handler, Judging, PodProtocol, Probe, Readiness, Visibility, keep_by_probes};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

fn probe(handler: Handler) -> Probe {
    Probe {
        handler,
        period: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        success_threshold: 1,
    }
}

fn grpc(address: impl ToString, service: &str) -> Handler {
    Handler::Grpc {
        address: address.to_string(),
        service: service.to_owned(),
    }
}

/// Answers health checks of the service `a.B` with this status; others are unknown.
async fn health(tasks: &Tasks, status: Arc<AtomicU8>) -> SocketAddr {
    serving(tasks, move |stream| checks(stream, Arc::clone(&status))).await
}

async fn checks(stream: TcpStream, status: Arc<AtomicU8>) {
    let Ok(mut server) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = server.accept().await {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        let mut body = request.into_body();
        let asked = tokio::select! {
            asked = body.data() => asked.unwrap().unwrap(),
            _ = server.accept() => return,
        };
        let mut trailers = hyper::HeaderMap::new();
        let answer = http::Response::builder()
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let mut out = respond.send_response(answer, false).unwrap();
        if asked.ends_with(b"\x0a\x03a.B") {
            let said = [0, 0, 0, 0, 2, 8, status.load(SeqCst)];
            out.send_data(Bytes::copy_from_slice(&said), false).unwrap();
            trailers.insert("grpc-status", "0".parse().unwrap());
        } else {
            trailers.insert("grpc-status", "5".parse().unwrap());
        }
        out.send_trailers(trailers).unwrap();
    }
}

#[tokio::test]
async fn a_grpc_probe_passes_when_the_service_serves() {
    let tasks = Tasks::new();
    let status = Arc::new(AtomicU8::new(1));
    let address = health(&tasks, Arc::clone(&status)).await;
    assert!(Readiness::new([probe(grpc(address, "a.B"))]).check().await);
    assert!(!Readiness::new([probe(grpc(address, "a.C"))]).check().await);
    status.store(2, SeqCst);
    assert!(!Readiness::new([probe(grpc(address, "a.B"))]).check().await);
    tasks.stop().await;
    assert!(!Readiness::new([probe(grpc(address, "a.B"))]).check().await);
}

#[tokio::test]
async fn all_probes_must_pass() {
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shut = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let tcp = |address: SocketAddr| probe(Handler::Tcp(address.to_string()));
    let open = open.local_addr().unwrap();
    assert!(Readiness::new([tcp(open), tcp(open)]).check().await);
    assert!(!Readiness::new([tcp(open), tcp(shut)]).check().await);
    assert!(Readiness::new([]).check().await);
}

#[tokio::test]
async fn an_https_probe_believes_whoever_answers() {
    // Our own gateway is as good an application as any.
    let rig = Rig::new().await;
    let (mut mine, _) = certificate(&[HOST]);
    mine.names.push("*".to_owned());
    rig.certificates.replace(vec![mine]);
    let address = rig.listen(rig.https()).await;
    let get = |path: &str, host: &str| {
        probe(Handler::Http {
            is_tls: true,
            address: address.to_string(),
            path: path.to_owned(),
            headers: vec![("Host".to_owned(), host.to_owned())],
        })
    };
    assert!(Readiness::new([get("/", HOST)]).check().await);
    let nowhere = Destination::new("ns", "none", BackendPort::Number(80));
    rig.lead(vec![(Visibility::External, rule("down.example.com", nowhere))]);
    assert!(!Readiness::new([get("/", "down.example.com")]).check().await);
    // No handshake, no pass.
    rig.tasks.stop().await;
    assert!(!Readiness::new([get("/", HOST)]).check().await);
}

#[tokio::test]
async fn a_pod_gets_requests_when_its_own_probes_pass() {
    let rig = Rig::with_pod(PodProtocol::Http1, |_| async {}).await;
    let tasks = rig.tasks.clone();
    let status = Arc::new(AtomicU8::new(2));
    let health = health(&tasks, Arc::clone(&status)).await;
    let app = crate::rig::app(&tasks).await;
    let (sender, endpoints) = watch::channel(Endpoints {
        not_ready: [app].into(),
        ..Endpoints::default()
    });
    let judging = Judging {
        asks_ready: false,
        trusts_early: true,
        private_host: false,
    };
    let eager = |handler| Probe {
        period: Duration::ZERO,
        ..probe(handler)
    };
    // Ports of the pod, as a pod's containers have them.
    let probes = vec![
        eager(Handler::Tcp(format!(":{}", app.port()))),
        eager(grpc(format!(":{}", health.port()), "a.B")),
    ];
    let revision = Arc::clone(&rig.revision);
    tasks.spawn("prober", keep_by_probes(revision, endpoints, judging, probes));
    let gateway = rig.listen(Front::default()).await;
    let (told, answer) = tokio::sync::oneshot::channel();
    tasks.spawn("client", async move { drop(told.send(ask(gateway, get("/")).await)) });
    while rig.revision.counts().waiting == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Several rounds later it still waits.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(rig.revision.counts().waiting, 1);
    status.store(1, SeqCst);
    assert_eq!(answer.await.unwrap().status, 200);
    drop(sender);
    rig.tasks.stop().await;
}
