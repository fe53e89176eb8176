// SPDX-License-Identifier: Apache-2.0
//! Which pods of a revision may have requests, by asking them (data-plane spec 3.5).
//!
//! Problem: Kubernetes knows late that a pod is ready; a cold start should not wait for it.
//! Mechanism: pods that are not known to be good are asked every 200 ms, all at once, until all of them are.
//! Invariants: a pod that is good and stays listed as ready is not asked again; the connection of a check serves the first
//! request.
//! Depends on: get, pod, revision.

use crate::get::get;
use crate::limits::Limits;
use crate::pod::{Pod, Retries};
use crate::revision::Revision;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Between two rounds.
const ROUND: Duration = Duration::from_millis(200);
/// One round.
const PATIENCE: Duration = Duration::from_millis(300);

/// The pods of a revision, as Kubernetes has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Ready ones.
    pub ready: BTreeSet<SocketAddr>,
    /// The others.
    pub not_ready: BTreeSet<SocketAddr>,
}

/// How pods are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judging {
    /// A ready pod is asked all the same (`mesh-compatibility-mode: auto`).
    pub asks_ready: bool,
    /// A pod that answers is good before Kubernetes says so.
    pub trusts_early: bool,
    /// Pods are asked by their private host (`enable-mesh-pod-addressability`).
    pub private_host: bool,
}

/// Keeps a revision's pods up to date; ends when the sender of `endpoints` is gone.
pub async fn keep(revision: Arc<Revision>, mut endpoints: watch::Receiver<Endpoints>, judging: Judging) {
    let mut good = BTreeSet::new();
    let mut was_ready = BTreeSet::new();
    loop {
        let now = endpoints.borrow_and_update().clone();
        // Who was ready and is not any more must show anew that it is good.
        good.retain(|pod| now.ready.contains(pod) || (now.not_ready.contains(pod) && !was_ready.contains(pod)));
        was_ready.clone_from(&now.ready);
        if !judging.asks_ready {
            good.extend(&now.ready);
        }
        publish(&revision, &now, &good);
        while good.len() < now.ready.len() + now.not_ready.len() {
            let before = good.len();
            ask_all(&revision, &now, &mut good, judging).await;
            if good.len() > before {
                publish(&revision, &now, &good);
            }
            tokio::select! {
                () = sleep(ROUND) => {}
                changed = endpoints.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
            }
            if endpoints.has_changed().unwrap_or(true) {
                break;
            }
        }
        let is_same = *endpoints.borrow() == now;
        if is_same && endpoints.changed().await.is_err() {
            return;
        }
    }
}

fn publish(revision: &Revision, now: &Endpoints, good: &BTreeSet<SocketAddr>) {
    let all: Vec<_> = now
        .ready
        .union(&now.not_ready)
        .map(|pod| (*pod, good.contains(pod)))
        .collect();
    revision.set_pods(&all);
}

async fn ask_all(revision: &Revision, now: &Endpoints, good: &mut BTreeSet<SocketAddr>, judging: Judging) {
    let host = judging.private_host.then_some(&*revision.private_host);
    let mut asked = Vec::new();
    for pod in revision.pods() {
        let may_count = now.ready.contains(&pod.address) || judging.trusts_early;
        if may_count && !good.contains(&pod.address) {
            asked.push((pod.address, Box::pin(timeout(PATIENCE, is_good(pod, host)))));
        }
    }
    let results = join(asked).await;
    good.extend(results);
}

/// Waits for all, and returns those that are good.
async fn join<F>(mut asked: Vec<(SocketAddr, F)>) -> Vec<SocketAddr>
where
    F: Future<Output = Result<bool, tokio::time::error::Elapsed>> + Unpin,
{
    let mut good = Vec::new();
    std::future::poll_fn(|context| {
        asked.retain_mut(|(address, check)| match std::pin::Pin::new(check).poll(context) {
            std::task::Poll::Pending => true,
            std::task::Poll::Ready(passed) => {
                if let Ok(true) = passed {
                    good.push(*address);
                }
                false
            }
        });
        match asked.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    good
}

async fn is_good(pod: Arc<Pod>, private_host: Option<&str>) -> bool {
    let limits = Limits::default();
    let Ok(mut stream) = pod.dial(Retries::Elsewhere).await else {
        return false;
    };
    let (host, mesh) = match private_host {
        Some(host) => (host, "K-Passthrough-Lb: true\r\n"),
        None => (&*pod.authority, ""),
    };
    let request = format!(
        "GET /healthz HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Knative-Activator-Probe\r\nK-Network-Probe: queue\r\n\
         {mesh}\r\n"
    );
    match get(&request, &mut stream.reader, &mut stream.writer, &limits).await {
        Ok(got) => {
            let is_good = got.status == 200 && got.body == b"queue";
            if got.keeps {
                pod.keep(stream, &limits);
            }
            is_good
        }
        Err(_) => false,
    }
}
