// SPDX-License-Identifier: Apache-2.0
//! Clients of a service, and what they got.
//!
//! Invariants: they stop when dropped; an answer that is not 200 is a failure, and none is asked for again.
//! Depends on: http.

use super::http::{self, Connection};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Clients, one request at a time each, on a kept connection each.
pub(super) struct Crowd {
    orders: Arc<Orders>,
    clients: Vec<JoinHandle<()>>,
}

/// What clients got.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Answers, by what they said.
    pub(super) answers: BTreeMap<String, usize>,
    /// When the last request began that was answered so.
    pub(super) last_asked: BTreeMap<String, Instant>,
    /// How long each took, and when it came, in the order they came.
    pub(super) times: Vec<(Duration, Instant)>,
    /// What went wrong, first to last.
    pub(super) failures: Vec<String>,
}

/// How a client goes about it.
pub(super) struct Orders {
    /// Where it connects.
    gateway: SocketAddr,
    /// Whom it asks.
    host: String,
    /// What for.
    path: String,
    /// Whether it asks once, or until it is stopped.
    once: bool,
    stop: AtomicBool,
    tally: Mutex<Tally>,
}

impl Orders {
    /// To ask a host for a path.
    pub(super) fn new(gateway: SocketAddr, host: &str, path: &str) -> Self {
        Self {
            gateway,
            host: host.to_owned(),
            path: path.to_owned(),
            once: false,
            stop: AtomicBool::new(false),
            tally: Mutex::default(),
        }
    }

    /// Each client asks once.
    pub(super) fn once(self) -> Self {
        Self { once: true, ..self }
    }
}

impl Crowd {
    /// So many clients start now.
    pub(super) fn start(orders: Orders, clients: usize) -> Self {
        let orders = Arc::new(orders);
        let client = |_| {
            let orders = Arc::clone(&orders);
            thread::spawn(move || serve_orders(&orders))
        };
        let clients = (0..clients).map(client).collect();
        Self { orders, clients }
    }

    /// What they got until now.
    pub(super) fn so_far(&self) -> Tally {
        self.orders.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether all have ended by themselves.
    pub(super) fn is_over(&self) -> bool {
        self.clients.iter().all(JoinHandle::is_finished)
    }

    /// Stops them; an error if one request failed.
    pub(super) fn stop(mut self) -> Result<Tally> {
        self.join();
        let tally = self.so_far();
        if let Some(first) = tally.failures.first() {
            let total = tally.times.len() + tally.failures.len();
            bail!(
                "{} of {total} requests failed; the first: {first}",
                tally.failures.len()
            );
        }
        Ok(tally)
    }

    fn join(&mut self) {
        self.orders.stop.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            // It cannot panic, and if it did, requests are missing.
            let _ = client.join();
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.join();
    }
}

fn serve_orders(orders: &Orders) {
    let mut connection = None;
    while !orders.stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let asked = ask(orders, &mut connection);
        let mut tally = orders.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match asked {
            Ok(answer) => {
                let last = tally.last_asked.entry(answer.clone()).or_insert(begun);
                *last = begun.max(*last);
                *tally.answers.entry(answer).or_default() += 1;
                tally.times.push((begun.elapsed(), Instant::now()));
            }
            Err(error) => {
                tally.failures.push(error.to_string());
                drop(tally);
                // A gateway that is not there would be asked without end.
                thread::sleep(Duration::from_millis(100));
            }
        }
        if orders.once {
            break;
        }
    }
}

fn ask(orders: &Orders, connection: &mut Option<Connection>) -> io::Result<String> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(orders.gateway)?,
    };
    let answer = open.ask(&http::get(&orders.host, &orders.path))?;
    if !answer.closes {
        *connection = Some(open);
    }
    let said = answer.body.trim().to_owned();
    match answer.status {
        200 => Ok(said),
        status => Err(io::Error::other(format!("{status} {said}"))),
    }
}

impl Tally {
    /// Answers in all.
    pub(super) fn count(&self) -> usize {
        self.times.len()
    }

    /// Answers that said this.
    pub(super) fn of(&self, said: &str) -> usize {
        self.answers.get(said).copied().unwrap_or_default()
    }

    /// Whether one was asked later than that who said this.
    pub(super) fn is_asked_since(&self, said: &str, then: Instant) -> bool {
        self.last_asked.get(said).is_some_and(|last| *last > then)
    }

    /// What came since an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let news = |(said, count): (&String, &usize)| (said.clone(), count.saturating_sub(earlier.of(said)));
        Self {
            answers: self.answers.iter().map(news).collect(),
            last_asked: self.last_asked.clone(),
            times: self.times.iter().skip(earlier.count()).copied().collect(),
            failures: self.failures.iter().skip(earlier.failures.len()).cloned().collect(),
        }
    }

    /// The time within which this share of the answers came.
    pub(super) fn quantile(&self, percent: usize) -> Duration {
        let mut times: Vec<Duration> = self.times.iter().map(|(time, _)| *time).collect();
        times.sort_unstable();
        let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(rank).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_says_what_is_new_and_how_long_it_took() {
        let at = |milliseconds| (Duration::from_millis(milliseconds), Instant::now());
        let mut tally = Tally::default();
        tally.answers.insert("blue".to_owned(), 2);
        tally.times = vec![at(1), at(2)];
        let earlier = tally.clone();
        tally.answers.insert("blue".to_owned(), 3);
        tally.times.push(at(9));
        let news = tally.since(&earlier);
        assert_eq!((news.count(), news.of("blue"), news.of("green")), (1, 1, 0));
        assert_eq!(
            [tally.quantile(50), tally.quantile(100)],
            [2, 9].map(Duration::from_millis)
        );
        assert_eq!(Tally::default().quantile(50), Duration::ZERO);
    }
}
