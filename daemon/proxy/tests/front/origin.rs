// SPDX-License-Identifier: Apache-2.0
//! Clients that were redirected: sent off politely, they lose no request.

use crate::rig::Rig;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use proxy::{Leads, Origin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

fn request(host: &str) -> hyper::Request<Empty<Bytes>> {
    let uri = format!("http://{host}/");
    hyper::Request::get(uri)
        .header("host", host)
        .body(Empty::new())
        .unwrap()
}

#[tokio::test]
async fn an_http_2_client_gets_goaway_and_finishes_what_it_has() {
    let rig = Rig::new().await;
    let origin = Origin::new(Leads::Revision(Arc::clone(&rig.revision)));
    let gateway = rig.listen_inside(&origin).await;
    let stream = TokioIo::new(TcpStream::connect(gateway).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    let ended = tokio::task::JoinSet::from_iter([connection]);
    let mut answered = 0;
    while sender.ready().await.is_ok() {
        // A stream that GOAWAY overtakes was never begun: the client may send it again, elsewhere.
        let sent = sender.send_request(request("stranger.example.com")).await;
        let Ok(answer) = sent else { break };
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap();
        answered += 1;
        assert!(answered < 1_000_000, "it was never sent off");
        if answered == 3 {
            origin.send_off();
        }
    }
    assert!(answered >= 3, "{answered}");
    drop(sender);
    for end in ended.join_all().await {
        end.unwrap();
    }
    // The client may see its end before the server's last task does.
    let gone = async {
        while origin.connections() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), gone)
        .await
        .expect("its connection is forgotten");
}

#[tokio::test]
async fn an_http_1_client_is_told_with_an_answer_and_never_in_between() {
    let rig = Rig::new().await;
    let origin = Origin::new(Leads::Host("app.example.com".into()));
    let gateway = rig.listen_inside(&origin).await;
    let stream = TokioIo::new(TcpStream::connect(gateway).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let ended = tokio::task::JoinSet::from_iter([connection]);
    // Who comes later is not sent off.
    while origin.connections() == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    origin.send_off();
    loop {
        let answer = sender.send_request(request("stranger.example.com")).await.unwrap();
        assert_eq!(answer.status(), 200, "by the address, whatever the host");
        let is_last = answer.headers().get("connection").is_some_and(|value| value == "close");
        answer.into_body().collect().await.unwrap();
        if is_last {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    for end in ended.join_all().await {
        end.unwrap();
    }
}
