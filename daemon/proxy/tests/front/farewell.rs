// SPDX-License-Identifier: Apache-2.0
//! A pod that says on a connection that it has waited for too long, while a request is on its way there (RFC 9110 15.5.9).

use crate::rig::{HOST, Rig, get, one, said};
use crate::two::{all, raw, request, said_to};
use proxy::{Front, PodProtocol};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::net::TcpStream;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const FAREWELL: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Pods that answer one request of each connection, and take leave with this when the next one comes; the connections so far.
async fn leaving(farewell: &'static [u8]) -> (Rig, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let rig = Rig::with_pod(PodProtocol::Http1, move |mut stream| {
        counted.fetch_add(1, Relaxed);
        async move {
            said_to(&mut stream, ANSWER).await;
            said_to(&mut stream, farewell).await;
        }
    })
    .await;
    (rig, count)
}

#[tokio::test]
async fn its_last_word_is_no_answer_to_what_may_be_sent_again() {
    let (rig, count) = leaving(FAREWELL).await;
    let gateway = rig.listen(Front::default()).await;
    let mut sender = one(TcpStream::connect(gateway).await.unwrap(), &rig.tasks).await;
    for _ in 0..2 {
        assert_eq!(said(sender.send_request(get("/")).await).await.body, "ok");
    }
    assert_eq!(count.load(Relaxed), 2);
    let mut sender = raw(gateway, &rig).await;
    let (answer, _) = sender.send_request(request("GET", "/"), true).unwrap();
    let (got, _) = all(answer.await.unwrap().into_body()).await.unwrap();
    assert_eq!((got.as_slice(), count.load(Relaxed)), (&b"ok"[..], 3));
    rig.tasks.stop().await;
}

#[tokio::test]
async fn what_may_not_be_sent_again_gets_it_and_so_does_who_is_answered_for_good() {
    let (rig, count) = leaving(FAREWELL).await;
    let mut sender = one(
        TcpStream::connect(rig.listen(Front::default()).await).await.unwrap(),
        &rig.tasks,
    )
    .await;
    assert_eq!(said(sender.send_request(get("/")).await).await.body, "ok");
    let post = hyper::Request::post("/").header("host", HOST);
    let answer = said(sender.send_request(post.body("x".to_owned().into()).unwrap()).await).await;
    assert_eq!((answer.status, count.load(Relaxed)), (408, 1));
    rig.tasks.stop().await;
    // The connection goes on: it is an answer.
    let (rig, count) = leaving(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n").await;
    let mut sender = one(
        TcpStream::connect(rig.listen(Front::default()).await).await.unwrap(),
        &rig.tasks,
    )
    .await;
    assert_eq!(said(sender.send_request(get("/")).await).await.body, "ok");
    assert_eq!(said(sender.send_request(get("/")).await).await.status, 408);
    assert_eq!(count.load(Relaxed), 1);
    rig.tasks.stop().await;
}
