// SPDX-License-Identifier: Apache-2.0
//! Which pods of a revision may have requests, by asking them (data-plane spec 3.5, 4.9).
//!
//! Problem: Kubernetes knows late that a pod is ready; a cold start should not wait for it.
//! Mechanism: pods that are not known to be good are asked in rounds, all at once, until all of them are: what stands beside
//! the application (`keep`), or the application itself by its own probes (`keep_by_probes`).
//! Invariants: a pod that is good and stays listed as ready is not asked again; the connection of a queue-proxy's check serves
//! the first request.
//! Depends on: get, pod, ready, revision, together.

use crate::get::get;
use crate::limits::Limits;
use crate::pod::{Pod, Retries};
use crate::ready::{Probe, Readiness};
use crate::revision::Revision;
use crate::together::join;
use life::Work;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Between two rounds of asking what stands beside applications.
const ROUND: Duration = Duration::from_millis(200);
/// One such round.
const PATIENCE: Duration = Duration::from_millis(300);
/// Between two tries of probes without a period.
const EAGER: Duration = Duration::from_millis(50);

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

/// Keeps a revision's pods up to date by asking the queue-proxy of each; ends when the sender of `endpoints` is gone.
#[must_use]
pub fn keep(revision: Arc<Revision>, endpoints: watch::Receiver<Endpoints>, judging: Judging) -> Work<()> {
    let private_host = judging.private_host.then(|| revision.private_host.clone());
    let question = Question::Beside { private_host };
    Box::pin(keeper(revision, judging, question, ROUND).run(endpoints))
}

/// Keeps a revision's pods up to date by their own readiness probes, one or more (`multi-container-probing`), whose addresses
/// are ports (`:8080`); without any a pod is good once it is listed. Ends when the sender of `endpoints` is gone.
#[must_use]
pub fn keep_by_probes(
    revision: Arc<Revision>,
    endpoints: watch::Receiver<Endpoints>,
    judging: Judging,
    probes: Vec<Probe>,
) -> Work<()> {
    let round = probes
        .iter()
        .map(|probe| probe.period)
        .filter(|period| !period.is_zero())
        .min();
    let asked = BTreeMap::new();
    let question = Question::App { probes, asked };
    Box::pin(keeper(revision, judging, question, round.unwrap_or(EAGER)).run(endpoints))
}

/// What pods are asked.
enum Question {
    /// Who stands beside the application.
    Beside { private_host: Option<Box<str>> },
    /// The application.
    App {
        probes: Vec<Probe>,
        /// Pods that are not good yet.
        asked: BTreeMap<SocketAddr, Readiness>,
    },
}

struct Keeper {
    revision: Arc<Revision>,
    judging: Judging,
    question: Question,
    /// Between two rounds.
    round: Duration,
    good: BTreeSet<SocketAddr>,
}

fn keeper(revision: Arc<Revision>, judging: Judging, question: Question, round: Duration) -> Keeper {
    Keeper {
        revision,
        judging,
        question,
        round,
        good: BTreeSet::new(),
    }
}

impl Keeper {
    async fn run(mut self, mut endpoints: watch::Receiver<Endpoints>) {
        let mut was_ready = BTreeSet::new();
        loop {
            let now = endpoints.borrow_and_update().clone();
            // Who was ready and is not any more must show anew that it is good.
            self.good
                .retain(|pod| now.ready.contains(pod) || (now.not_ready.contains(pod) && !was_ready.contains(pod)));
            was_ready.clone_from(&now.ready);
            if !self.judging.asks_ready {
                self.good.extend(&now.ready);
            }
            self.publish(&now);
            while self.good.len() < now.ready.len() + now.not_ready.len() {
                let before = self.good.len();
                self.ask_all(&now).await;
                if self.good.len() > before {
                    self.publish(&now);
                }
                tokio::select! {
                    () = sleep(self.round) => {}
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

    fn publish(&self, now: &Endpoints) {
        let all: Vec<_> = now
            .ready
            .union(&now.not_ready)
            .map(|pod| (*pod, self.good.contains(pod)))
            .collect();
        self.revision.set_pods(&all);
    }

    /// One round.
    async fn ask_all(&mut self, now: &Endpoints) {
        let (good, judging) = (&self.good, self.judging);
        let may_count = |pod: &SocketAddr| (now.ready.contains(pod) || judging.trusts_early) && !good.contains(pod);
        let passed = match &mut self.question {
            Question::Beside { private_host } => {
                let pods = self.revision.pods().into_iter().filter(|pod| may_count(&pod.address));
                let host = private_host.as_deref();
                join(pods.map(|pod| ask_beside(pod, host))).await
            }
            Question::App { probes, asked } => {
                asked.retain(|pod, _| may_count(pod));
                for pod in now.ready.union(&now.not_ready).filter(|pod| may_count(pod)) {
                    let probes = || probes.iter().cloned().map(|probe| probe.of(pod.ip()));
                    asked.entry(*pod).or_insert_with(|| Readiness::new(probes()));
                }
                join(asked.iter().map(|(pod, readiness)| ask_app(*pod, readiness))).await
            }
        };
        self.good.extend(passed.into_iter().flatten());
    }
}

/// Its address, if it is good.
async fn ask_beside(pod: Arc<Pod>, private_host: Option<&str>) -> Option<SocketAddr> {
    let address = pod.address;
    let passed = timeout(PATIENCE, is_good(pod, private_host)).await.unwrap_or(false);
    passed.then_some(address)
}

/// Its address, if it is good.
async fn ask_app(pod: SocketAddr, readiness: &Readiness) -> Option<SocketAddr> {
    readiness.try_once().await.then_some(pod)
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
