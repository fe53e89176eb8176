// SPDX-License-Identifier: Apache-2.0
//! No answer of one client ever reaches another, though they share pods' connections and some leave in the middle.
//!
//! Mechanism: every request carries a word of its own, which the pod repeats; a third of the clients give up at a moment that
//! nothing foresees, on connections kept alive, pipelined or multiplexed.
//! Depends on: connect, gateway, pods.

use crate::gateway::{Gateway, Service};
use crate::{connect, pods};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const CLIENTS: usize = 60;
const REQUESTS: usize = 20;

/// Different for each client, the same in every run.
fn patience(client: usize, request: usize) -> Option<Duration> {
    let number = client * 7919 + request * 104_729;
    number
        .is_multiple_of(3)
        .then(|| Duration::from_micros((number % 4001) as u64))
}

fn request(client: usize, number: usize) -> (hyper::Request<Full<Bytes>>, String) {
    let word = format!("/client-{client}-request-{number}");
    let body = word.repeat(1 + number * 40);
    let said = format!("POST {word}\n{body}");
    let request = hyper::Request::post(format!("http://mixed.test{word}")).header("host", "mixed.test");
    (request.body(Full::new(body.into())).unwrap(), said)
}

/// Checks an answer's body; false if there was no patience for it.
async fn one<F>(answer: F, due: &str, patience: Option<Duration>) -> bool
where
    F: Future<Output = hyper::Result<hyper::Response<hyper::body::Incoming>>>,
{
    let whole = async {
        let answer = answer.await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, 200, "{body:?}");
        body
    };
    let got = timeout(patience.unwrap_or(Duration::from_secs(20)), whole).await;
    assert!(got.is_ok() || patience.is_some(), "no answer in 20 s");
    got.is_ok_and(|got| {
        assert_eq!(got, due.as_bytes());
        true
    })
}

async fn kept_alive(gateway: SocketAddr, client: usize) -> usize {
    let mut got = 0;
    let mut sender = None;
    for number in 0..REQUESTS {
        let mut open = match sender.take() {
            Some(open) => open,
            None => connect::one(gateway).await,
        };
        let (request, due) = request(client, number);
        let mut request = request;
        *request.uri_mut() = request.uri().path().parse().unwrap();
        open.ready().await.unwrap();
        if one(open.send_request(request), &due, patience(client, number)).await {
            got += 1;
            sender = Some(open);
        }
    }
    got
}

async fn multiplexed(gateway: SocketAddr, client: usize) -> usize {
    let sender = connect::two(gateway).await;
    let mut streams = JoinSet::new();
    for number in 0..REQUESTS {
        let mut sender = sender.clone();
        streams.spawn(async move {
            let (request, due) = request(client, number);
            one(sender.send_request(request), &due, patience(client, number)).await
        });
    }
    streams.join_all().await.into_iter().filter(|got| *got).count()
}

/// All at once; the answers come in this order, or the connection is given up in the middle.
async fn pipelined(gateway: SocketAddr, client: usize) -> usize {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let words: Vec<_> = (0..REQUESTS)
        .map(|number| format!("/client-{client}-request-{number}"))
        .collect();
    let all: String = words
        .iter()
        .map(|word| format!("GET {word} HTTP/1.1\r\nHost: mixed.test\r\n\r\n"))
        .collect();
    stream.write_all(all.as_bytes()).await.unwrap();
    let most = if client.is_multiple_of(2) {
        REQUESTS
    } else {
        REQUESTS / 2
    };
    let mut text = String::new();
    let mut piece = [0; 512];
    while text.matches("GET /client").count() < most || !text.ends_with('\n') {
        let read = timeout(Duration::from_secs(20), stream.read(&mut piece)).await;
        let length = read.unwrap().unwrap();
        assert!(length > 0, "{text}");
        text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    let got: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("GET ")).collect();
    assert!(words.iter().zip(&got).all(|(due, got)| due == got), "{got:?}");
    got.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_reaches_another_client() {
    let (pod, seen) = pods::strict().await;
    let (other, _) = pods::hyper().await;
    mixed(Service::new("mixed.test", &[pod, other])).await;
    let broken: Vec<_> = seen
        .all()
        .into_iter()
        .filter(|line| line.starts_with("BROKEN"))
        .collect();
    assert_eq!(broken, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_reaches_another_client_through_pods_of_http2() {
    let (pod, _) = pods::hyper_two().await;
    let (other, _) = pods::hyper_two().await;
    mixed(Service::with("mixed.test", &[pod, other], "protocol: h2c")).await;
}

async fn mixed(service: Service) {
    let gateway = Gateway::start(&[service]);
    let address = gateway.address;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            match client % 3 {
                0 => kept_alive(address, client).await,
                1 => multiplexed(address, client).await,
                _ => pipelined(address, client).await,
            }
        });
    }
    let got: usize = clients.join_all().await.into_iter().sum();
    assert!(got > CLIENTS * REQUESTS / 3, "{got} answers");
}
