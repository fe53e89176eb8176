// SPDX-License-Identifier: Apache-2.0
//! Traces: what the pod sees of them, and which spans a request leaves (data-plane spec 1.17).

use crate::rig::{Rig, app, ask, get, said, two};
use http_body_util::Full;
use proxy::{Front, Span, SpanBuffer, Step, Tracing};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

async fn traced(rig: &Rig, rate: f64) -> (SocketAddr, Arc<SpanBuffer>) {
    let spans = Arc::new(SpanBuffer::new(100));
    let tracing = Tracing::new(rate, Arc::clone(&spans) as _);
    let front = Front {
        tracing: Some(Arc::new(tracing)),
        ..Front::default()
    };
    (rig.listen(front).await, spans)
}

fn with(headers: &[(&'static str, &str)]) -> hyper::Request<Full<bytes::Bytes>> {
    let mut request = get("/traced?a=b");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// The value of a header that the pod saw.
fn heard<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    body.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The spans of one request: they are handed over when its end is counted, after the client has its answer.
async fn spans_of_one(buffer: &SpanBuffer) -> Vec<Span> {
    let begun = std::time::Instant::now();
    loop {
        let spans = buffer.fetch();
        if !spans.is_empty() {
            return spans;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "waited 30 s for spans");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn steps(spans: &[Span]) -> Vec<&'static str> {
    spans.iter().map(|span| span.step.name()).collect()
}

#[tokio::test]
async fn a_traced_request_leaves_its_steps_and_the_pod_is_told() {
    let rig = Rig::new().await;
    let (gateway, buffer) = traced(&rig, 0.0).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let body = ask(gateway, with(&[("traceparent", &parent), ("tracestate", "a=b")]))
        .await
        .body;
    let spans = spans_of_one(&buffer).await;
    assert_eq!(steps(&spans), ["handle", "route", "throttler_try", "activator_proxy"]);
    let (handle, forward) = (&spans[0], &spans[3]);
    assert!(spans.iter().all(|span| span.trace.to_string() == TRACE));
    assert_eq!(handle.parent.unwrap().to_string(), SPAN);
    assert!(spans[1..].iter().all(|span| span.parent == Some(handle.id)));
    assert!(
        spans
            .iter()
            .all(|span| span.begun >= handle.begun && span.took <= handle.took)
    );
    let told = format!("00-{TRACE}-{}-01", forward.id);
    assert_eq!(heard(&body, "traceparent"), Some(told.as_str()), "{body}");
    assert_eq!(heard(&body, "tracestate"), Some("a=b"));
    let facts = &forward.facts;
    assert_eq!((&*facts.path, facts.status, facts.attempts), ("/traced?a=b", 200, 1));
    assert_eq!(
        (facts.namespace.as_str(), facts.revision.as_str(), facts.end),
        ("ns", "rev", "whole")
    );
    assert!(facts.pod.is_some());
    rig.tasks.stop().await;
}

#[tokio::test]
async fn who_is_not_traced_keeps_its_headers() {
    let rig = Rig::new().await;
    let parent = format!("00-{TRACE}-{SPAN}-00");
    let single = format!("{TRACE}-{SPAN}-0");
    for gateway in [rig.listen(Front::default()).await, traced(&rig, 0.0).await.0] {
        for (name, value) in [
            ("traceparent", parent.as_str()),
            ("b3", &single),
            ("traceparent", "garbage"),
        ] {
            let body = ask(gateway, with(&[(name, value)])).await.body;
            assert_eq!(heard(&body, name), Some(value), "{body}");
        }
        let body = ask(gateway, get("/")).await.body;
        assert!(heard(&body, "traceparent").is_none(), "{body}");
    }
    // The client's decision counts, whatever the rate.
    let (always, buffer) = traced(&rig, 1.0).await;
    let body = ask(always, with(&[("traceparent", &parent)])).await.body;
    assert_eq!(heard(&body, "traceparent"), Some(parent.as_str()));
    // Probes are nobody's requests.
    ask(always, with(&[("user-agent", "kube-probe/1")])).await;
    let body = ask(always, get("/")).await.body;
    assert!(
        heard(&body, "traceparent").is_some_and(|value| value.ends_with("-01")),
        "{body}"
    );
    let spans = spans_of_one(&buffer).await;
    assert_eq!((spans.len(), spans[0].parent), (4, None));
    rig.tasks.stop().await;
}

#[tokio::test]
async fn a_client_cannot_take_the_trace_away() {
    let rig = Rig::new().await;
    let (gateway, buffer) = traced(&rig, 1.0).await;
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let listed = [("connection", "traceparent"), ("traceparent", parent.as_str())];
    let body = ask(gateway, with(&listed)).await.body;
    let spans = spans_of_one(&buffer).await;
    // Said for this connection only, it is not where the pod's trace goes on.
    assert_eq!(spans[0].parent, None);
    let told = format!("00-{}-{}-01", spans[3].trace, spans[3].id);
    assert_eq!(heard(&body, "traceparent"), Some(told.as_str()), "{body}");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn b3_is_passed_on_in_the_form_it_came() {
    let rig = Rig::new().await;
    let (gateway, buffer) = traced(&rig, 0.0).await;
    let single = format!("{TRACE}-{SPAN}-1");
    let body = ask(gateway, with(&[("b3", &single)])).await.body;
    let spans = spans_of_one(&buffer).await;
    let told = format!("{TRACE}-{}-1-{}", spans[3].id, spans[0].id);
    assert_eq!(heard(&body, "b3"), Some(told.as_str()), "{body}");
    let several = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "1")];
    let body = ask(gateway, with(&several)).await.body;
    let spans = spans_of_one(&buffer).await;
    assert_eq!(spans[0].parent.unwrap().to_string(), SPAN);
    assert_eq!(heard(&body, "x-b3-spanid"), Some(spans[3].id.to_string().as_str()));
    assert_eq!(heard(&body, "x-b3-traceid"), Some(TRACE));
    rig.tasks.stop().await;
}

#[tokio::test]
async fn waiting_and_wandering_leave_spans_too() {
    let rig = Rig::without_pods();
    let (gateway, buffer) = traced(&rig, 1.0).await;
    // HTTP/2, and no pod at first.
    let mut sender = two(TcpStream::connect(gateway).await.unwrap(), &rig.tasks).await;
    let asked = async { said(sender.send_request(get("http://app.example.com/")).await).await };
    let later = async {
        while rig.revision.counts().waiting == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // From here on it waits for as long.
        tokio::time::sleep(Duration::from_millis(100)).await;
        rig.revision.set_pods(&[(app(&rig.tasks).await, true)]);
    };
    let (answer, ()) = tokio::join!(asked, later);
    assert_eq!(answer.status, 200);
    let spans = spans_of_one(&buffer).await;
    assert_eq!(
        steps(&spans),
        ["handle", "route", "throttler_try", "wait", "activator_proxy"]
    );
    let (throttle, wait) = (&spans[2], &spans[3]);
    assert_eq!((wait.step, wait.parent), (Step::Wait, Some(throttle.id)));
    assert!(wait.took >= Duration::from_millis(100), "{:?}", wait.took);
    let mut lost = get("/");
    lost.headers_mut().insert("host", "nobody.example.com".parse().unwrap());
    assert_eq!(ask(gateway, lost).await.status, 404);
    let spans = spans_of_one(&buffer).await;
    assert_eq!((steps(&spans), spans[0].facts.status), (vec!["handle"], 404));
    assert_eq!(spans[0].facts.end, "answered_here");
    rig.tasks.stop().await;
}

#[tokio::test]
async fn the_oldest_spans_give_way_and_are_counted() {
    let rig = Rig::new().await;
    let (gateway, buffer) = traced(&rig, 1.0).await;
    for _ in 0..30 {
        ask(gateway, get("/")).await;
    }
    for _ in 0..500 {
        if buffer.lost() == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((buffer.lost(), buffer.fetch().len()), (20, 100));
    rig.tasks.stop().await;
}
