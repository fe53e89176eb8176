// SPDX-License-Identifier: Apache-2.0
//! What a KIngress asks of a gateway: redirects, visibility, probes of the network (control-plane spec 5.2, 5.3).

use crate::rig::{HOST, Rig, ask, certificate, client, connect, get, one, rule, said, to_app};
use crate::targets;
use http_body_util::Full;
use logic::traffic::{Condition, PathRule, Rule, Split};
use proxy::{Front, Visibility};
use rustls::version::TLS13;

const LOCAL: &str = "app.ns.svc.cluster.local";

fn with(
    mut request: hyper::Request<Full<bytes::Bytes>>,
    name: &'static str,
    value: &'static str,
) -> hyper::Request<Full<bytes::Bytes>> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

#[tokio::test]
async fn a_redirected_host_sends_http_to_https_and_no_other_does() {
    let rig = Rig::new().await;
    let (mine, believed) = certificate(&[HOST]);
    rig.certificates.replace(vec![mine]);
    rig.lead(vec![
        (Visibility::External, rule(HOST, to_app().https_only(true))),
        (Visibility::External, rule("plain.example.com", to_app())),
    ]);
    let http = rig.listen(Front::default()).await;
    let answer = ask(http, get("http://app.example.com/a%20b?c=d")).await;
    assert_eq!(answer.status, 301);
    assert_eq!(answer.headers["location"], "https://app.example.com/a%20b?c=d");
    // What may stand in no URI is escaped: a client would read `#` otherwise.
    for (target, place) in [
        (
            &b"/\xc3\xa9?c=\xc3\xa9\"#d"[..],
            "https://app.example.com/%C3%A9?c=%C3%A9%22%23d",
        ),
        (b"http://app.example.com?c=<d>", "https://app.example.com/?c=%3Cd%3E"),
    ] {
        let got = targets::ask(http, target).await;
        assert!(got.contains(&format!("\r\nLocation: {place}\r\n")), "{got}");
    }
    let connects = b"CONNECT app.example.com:80 HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
    let got = targets::told(http, connects).await;
    assert!(got.contains("\r\nLocation: https://app.example.com/\r\n"), "{got}");
    assert_eq!(ask(http, get("http://plain.example.com/")).await.status, 200);
    let challenge = "http://app.example.com/.well-known/acme-challenge/token";
    assert_eq!(ask(http, get(challenge)).await.status, 200);
    let elsewhere = Front {
        https_port: 8443,
        ..Front::default()
    };
    let answer = ask(
        rig.listen(elsewhere).await,
        with(get("/"), "host", "APP.example.com:8080"),
    )
    .await;
    assert_eq!(answer.headers["location"], "https://APP.example.com:8443/");
    // By HTTPS, and within the cluster, it is served.
    let https = rig.listen(rig.https()).await;
    let config = client(&[believed], &["http/1.1"], &[&TLS13]);
    let mut sender = one(connect(https, &config, HOST).await.unwrap(), &rig.tasks).await;
    assert_eq!(said(sender.send_request(get("/")).await).await.status, 200);
    let inside = Front {
        visibility: Visibility::ClusterLocal,
        ..Front::default()
    };
    assert_eq!(ask(rig.listen(inside).await, get("/")).await.status, 200);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_cluster_local_host_is_unknown_outside() {
    let rig = Rig::new().await;
    rig.lead(vec![
        (Visibility::External, rule(HOST, to_app())),
        (Visibility::ClusterLocal, rule(LOCAL, to_app())),
    ]);
    let outside = rig.listen(Front::default()).await;
    let inside = rig
        .listen(Front {
            visibility: Visibility::ClusterLocal,
            ..Front::default()
        })
        .await;
    let local = || with(get("/"), "host", LOCAL);
    assert_eq!(ask(inside, local()).await.status, 200);
    assert_eq!(ask(inside, get("/")).await.status, 200);
    assert_eq!(ask(outside, get("/")).await.status, 200);
    let (hidden, unknown) = (
        ask(outside, local()).await,
        ask(outside, with(get("/"), "host", "nobody")).await,
    );
    assert_eq!((hidden.status, &hidden.body), (404, &unknown.body));
    assert_eq!(unknown.status, 404);
    rig.tasks.stop().await;
}

/// A rule as the controller writes it: before each path its twin, which tells the hash.
fn with_twin(hash: &str) -> Rule<logic::traffic::Destination> {
    let mut rule = rule(HOST, to_app().https_only(true));
    let twin = PathRule {
        prefix: String::new(),
        conditions: vec![Condition::header("K-Network-Hash", "override")],
        split: Split::whole(to_app().https_only(true).with_headers([("K-Network-Hash", hash)])),
    };
    rule.paths.insert(0, twin);
    rule
}

#[tokio::test]
async fn a_probe_of_the_network_hears_the_hash_of_the_route_without_a_pod() {
    let rig = Rig::without_pods();
    rig.lead(vec![(Visibility::External, with_twin("abc"))]);
    let gateway = rig.listen(Front::default()).await;
    let probe = |hash| {
        with(
            with(get("/healthz"), "k-network-probe", "probe"),
            "k-network-hash",
            hash,
        )
    };
    let answer = ask(gateway, probe("override")).await;
    assert_eq!(
        (answer.status, answer.headers["k-network-hash"].as_bytes()),
        (200, &b"abc"[..])
    );
    rig.lead(vec![(Visibility::External, with_twin("def"))]);
    assert_eq!(ask(gateway, probe("override")).await.headers["k-network-hash"], "def");
    assert_eq!(ask(gateway, probe("other")).await.headers["k-network-hash"], "other");
    let without = ask(gateway, with(get("/healthz"), "k-network-probe", "probe")).await;
    assert_eq!(without.status, 400);
    rig.lead(Vec::new());
    assert_eq!(ask(gateway, probe("override")).await.status, 404);
    rig.tasks.stop().await;
}

#[tokio::test]
async fn kubelet_is_answered_for_the_gateway_and_an_application_hears_the_rest() {
    let rig = Rig::new().await;
    let gateway = rig.listen(Front::default()).await;
    let kubelets = |host| with(with(get("/"), "user-agent", "kube-probe/1.35"), "host", host);
    assert_eq!(ask(gateway, kubelets("10.0.0.7:8080")).await.body, "");
    let heard = ask(gateway, kubelets(HOST)).await.body;
    assert!(heard.contains("user-agent: kube-probe/1.35\n"), "{heard}");
    // A request, not a probe: a hash goes on to whom it is for.
    rig.lead(vec![(Visibility::External, {
        let mut rule = with_twin("abc");
        for path in &mut rule.paths {
            path.split = Split::whole(to_app().with_headers([("K-Network-Hash", "abc")]));
        }
        rule
    })]);
    let heard = ask(gateway, with(get("/"), "k-network-hash", "override")).await.body;
    assert!(heard.contains("k-network-hash: abc\n"), "{heard}");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn the_application_hears_how_its_client_came_in() {
    let rig = Rig::new().await;
    let outside = rig.listen(Front::default()).await;
    let heard = ask(outside, with(get("/"), "x-forwarded-proto", "https")).await.body;
    assert!(heard.contains("x-forwarded-proto: http\n"), "{heard}");
    assert!(heard.contains("forwarded: for=127.0.0.1;proto=http\n"), "{heard}");
    assert!(heard.contains("x-forwarded-for: 127.0.0.1\n"), "{heard}");
    let inside = rig
        .listen(Front {
            visibility: Visibility::ClusterLocal,
            ..Front::default()
        })
        .await;
    let heard = ask(inside, with(get("/"), "x-forwarded-proto", "https")).await.body;
    assert!(heard.contains("x-forwarded-proto: https\n"), "{heard}");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn what_a_route_asks_of_headers_holds_for_a_head_that_is_not_looked_at() {
    let rig = Rig::new().await;
    let mut blue = rule(HOST, to_app());
    blue.paths = [vec![Condition::header("x-colour", "blue")], Vec::new()]
        .into_iter()
        .map(|conditions| PathRule {
            prefix: String::new(),
            split: match conditions.is_empty() {
                true => Split::whole(to_app().with_headers([("K-Network-Hash", "abc")])),
                false => Split::whole(to_app().with_headers([("X-From", "edge"), ("X-Forwarded-Proto", "set")])),
            },
            conditions,
        })
        .collect();
    rig.lead(vec![(Visibility::External, blue)]);
    let gateway = rig.listen(Front::default()).await;
    let heard = ask(gateway, with(with(get("/"), "X-Colour", "blue"), "x-from", "me")).await;
    assert_eq!(heard.body.matches("x-from: ").count(), 1, "{}", heard.body);
    assert!(heard.body.contains("x-from: edge\n") && heard.body.contains("x-colour: blue\n"));
    let heard_else = ask(gateway, with(with(get("/"), "X-Colour", "red"), "x-from", "me"))
        .await
        .body;
    assert!(
        heard_else.contains("x-from: me\n") && heard_else.contains("k-network-hash: abc\n"),
        "{heard_else}"
    );
    for heard in [heard.body, heard_else] {
        for line in [
            "x-forwarded-proto: http\n",
            "forwarded: for=127.0.0.1;proto=http\n",
            "x-forwarded-for: 127.0.0.1\n",
        ] {
            assert_eq!(heard.matches(line).count(), 1, "{line} {heard}");
        }
    }
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_listener_behind_a_proxy_of_tls_believes_it() {
    let rig = Rig::new().await;
    rig.lead(vec![(Visibility::External, rule(HOST, to_app().https_only(true)))]);
    let open = rig.listen(Front::default()).await;
    let behind = Front {
        trusts_proto: true,
        ..Front::default()
    };
    let behind = rig.listen(behind).await;
    let secure = || with(get("/"), "x-forwarded-proto", "https");
    assert_eq!(ask(open, secure()).await.status, 301);
    let heard = ask(behind, secure()).await;
    assert_eq!(heard.status, 200);
    assert!(heard.body.contains("x-forwarded-proto: https\n"), "{}", heard.body);
    assert!(heard.body.contains("proto=https"), "{}", heard.body);
    // Who came there without TLS is sent on, and so is who says nothing.
    assert_eq!(
        ask(behind, with(get("/"), "x-forwarded-proto", "http")).await.status,
        301
    );
    assert_eq!(ask(behind, get("/")).await.status, 301);
    rig.tasks.stop().await;
}
