// SPDX-License-Identifier: Apache-2.0
//! Pods that fail at any moment, and clients that share their connections: each gets its own answer, whole, or sees that it
//! has none; nothing that may have been looked at is sent twice; no slot is lost.
//!
//! Mechanism: `pods` says what becomes of each request; some clients leave in the middle. At the end all slots are taken at once.
//! Depends on: connect, gateway, pods.

mod pods;

use crate::connect;
use crate::gateway::{Gateway, Service};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use pods::{Site, due};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

const CLIENTS: usize = 40;
const REQUESTS: usize = 25;
/// containerConcurrency of two pods.
const CONCURRENCY: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client saw.
#[derive(Default, Debug)]
struct Tally {
    own: usize,
    refused: usize,
    broken: usize,
    left: usize,
}

impl Tally {
    /// Anything but an answer of its own, a 502 or a visible break is a fault.
    async fn add(
        &mut self,
        line: &str,
        answer: impl Future<Output = hyper::Result<hyper::Response<Incoming>>>,
    ) -> bool {
        let whole = async {
            let answer = answer.await?;
            let status = answer.status();
            Ok::<_, hyper::Error>((status, answer.into_body().collect().await?.to_bytes()))
        };
        // A seventh of all leave, at any moment.
        let number = line
            .bytes()
            .fold(7_usize, |sum, byte| sum * 33 % 10_007 + usize::from(byte));
        let leaves = number.is_multiple_of(7);
        let patience = if leaves {
            Duration::from_micros((number % 4001) as u64)
        } else {
            PATIENCE
        };
        match timeout(patience, whole).await {
            Err(_) if leaves => self.left += 1,
            Err(_) => panic!("{line}: no end in {PATIENCE:?}"),
            Ok(Err(_)) => self.broken += 1,
            Ok(Ok((status, body))) if status == 200 => {
                assert_eq!(body, due(line).as_bytes(), "{line}");
                self.own += 1;
                return true;
            }
            Ok(Ok((status, body))) => {
                assert_eq!(status, 502, "{line}: {body:?}");
                self.refused += 1;
                return true;
            }
        }
        false
    }
}

fn request(client: usize, number: usize) -> (hyper::Request<Full<Bytes>>, String) {
    let (method, body) = match number.is_multiple_of(2) {
        true => ("POST", "b".repeat(number * 300)),
        false => ("GET", String::new()),
    };
    let path = format!("/client-{client}-request-{number}");
    let request = hyper::Request::builder()
        .method(method)
        .uri(format!("http://chaos.test{path}"))
        .header("host", "chaos.test");
    (
        request.body(Full::new(body.into())).unwrap(),
        format!("{method} {path}"),
    )
}

async fn kept_alive(gateway: SocketAddr, client: usize) -> Tally {
    let (mut tally, mut open) = (Tally::default(), None);
    for number in 0..REQUESTS {
        let mut sender = match open.take() {
            Some(sender) => sender,
            None => connect::one(gateway).await,
        };
        let (mut request, line) = request(client, number);
        *request.uri_mut() = request.uri().path().parse().unwrap();
        let is_whole = tally.add(&line, sender.send_request(request)).await;
        open = (is_whole && sender.ready().await.is_ok()).then_some(sender);
    }
    tally
}

async fn multiplexed(gateway: SocketAddr, client: usize) -> Tally {
    let sender = connect::two(gateway).await;
    let mut streams = JoinSet::new();
    for number in 0..REQUESTS {
        let mut sender = sender.clone();
        streams.spawn(async move {
            let (request, line) = request(client, number);
            let mut tally = Tally::default();
            tally.add(&line, sender.send_request(request)).await;
            tally
        });
    }
    sum(streams.join_all().await)
}

fn sum(tallies: Vec<Tally>) -> Tally {
    tallies.into_iter().fold(Tally::default(), |sum, one| Tally {
        own: sum.own + one.own,
        refused: sum.refused + one.refused,
        broken: sum.broken + one.broken,
        left: sum.left + one.left,
    })
}

async fn unrest(site: Arc<Site>, pods: &[SocketAddr], protocol: &str) {
    let settings = format!("protocol: {protocol}, container_concurrency: {CONCURRENCY}, timeout_seconds: 60");
    let gateway = Gateway::start(&[Service::with("chaos.test", pods, &settings)]);
    let address = gateway.address;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            match client.is_multiple_of(2) {
                true => kept_alive(address, client).await,
                false => multiplexed(address, client).await,
            }
        });
    }
    let tally = sum(clients.join_all().await);
    println!("{tally:?}, {} seen", site.count());
    assert!(
        tally.own > CLIENTS * REQUESTS / 4 && tally.refused > 0 && tally.broken > 0 && tally.left > 0,
        "the case itself: {tally:?}"
    );
    assert_eq!(site.repeated("POST"), [""; 0], "sent twice");
    site.calm();
    let mut all = JoinSet::new();
    for number in 0..CONCURRENCY * pods.len() {
        all.spawn(async move {
            let mut sender = connect::one(address).await;
            let request = hyper::Request::get(format!("/calm-{number}")).header("host", "chaos.test");
            let answer = sender.send_request(request.body(Full::<Bytes>::default()).unwrap());
            let answer = timeout(PATIENCE, answer).await;
            answer.expect("all slots are taken at once").unwrap().status().as_u16()
        });
    }
    let statuses = all.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_pods_do_each_client_gets_its_own_or_sees_that_it_has_nothing() {
    let site = Site::new(CONCURRENCY * 2);
    let pods = [pods::one(&site).await, pods::one(&site).await];
    unrest(site, &pods, "http1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_pods_of_http2_do_each_client_gets_its_own_or_sees_that_it_has_nothing() {
    let site = Site::new(CONCURRENCY * 2);
    let pods = [pods::two(&site).await, pods::two(&site).await];
    unrest(site, &pods, "h2c").await;
}
