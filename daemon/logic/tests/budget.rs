// SPDX-License-Identifier: Apache-2.0
//! What the path of a request may not cost: memory of its own.
//!
//! Allocations are counted for the thread, by an allocator that wraps the system's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

use logic::limiter::shared::{Admit, Admitted, Shared};
use logic::limiter::{Backends, Home, Limiter, NodeId, PodId, PodSpec, Rebuff, Settings};
use logic::traffic::{Condition, Draw, Headers, PathRule, Request, Rule, Split, Table};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// How often `round` allocates once it has been through a few times.
fn allocations_once_warm(mut round: impl FnMut()) -> u64 {
    (0..10).for_each(|_| round());
    allocation_counter::measure(|| (0..100).for_each(|_| round())).count_total
}

#[test]
fn an_allocation_is_counted() {
    assert_eq!(allocations_once_warm(|| drop(std::hint::black_box(Box::new(1)))), 100);
}

fn limited(concurrency: u32, pods: u64, home: Home) -> Arc<Shared> {
    let shared = Shared::new(Limiter::new(Settings::new(concurrency), 1), Box::new(|_, _| {}));
    let specs: Vec<_> = (0..pods)
        .map(|id| PodSpec {
            id: PodId(id),
            home,
            accepting: true,
        })
        .collect();
    shared.set_backends(Backends::Pods(&specs));
    shared
}

fn poll(admit: Pin<&mut Admit>) -> Option<Admitted> {
    match admit.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(admitted)) => Some(admitted),
        Poll::Ready(Err(refusal)) => panic!("{refusal}"),
        Poll::Pending => None,
    }
}

#[test]
fn a_request_that_finds_room_allocates_nothing() {
    for (concurrency, pods) in [(0, 1), (0, 50), (1, 50), (3, 50), (10, 50)] {
        let shared = limited(concurrency, pods, Home::Here);
        let allocations = allocations_once_warm(|| drop(poll(pin!(shared.admit(1))).unwrap()));
        assert_eq!(allocations, 0, "containerConcurrency {concurrency}, {pods} pods");
    }
}

#[test]
fn a_request_that_waits_and_is_called_allocates_nothing() {
    let shared = limited(1, 1, Home::Here);
    let allocations = allocations_once_warm(|| {
        let runs = poll(pin!(shared.admit(1))).unwrap();
        let (mut next, given_up) = (pin!(shared.admit(1)), pin!(shared.admit(1)));
        assert!(poll(next.as_mut()).is_none() && poll(given_up).is_none());
        drop(runs);
        drop(poll(next).unwrap());
    });
    assert_eq!(allocations, 0);
}

#[test]
fn a_request_that_a_peer_refuses_and_another_takes_allocates_nothing() {
    let shared = limited(1, 2, Home::Peer(NodeId(7)));
    let mut refusal = 0;
    let allocations = allocations_once_warm(|| {
        let Some(Admitted::AtPeer(first)) = poll(pin!(shared.admit(1))) else {
            panic!("not to be asked for")
        };
        refusal += 1;
        let back = first.refused(Rebuff::Busy(refusal)).unwrap();
        let Some(Admitted::AtPeer(second)) = poll(pin!(back)) else {
            panic!("not to be asked for again")
        };
        drop(second.granted().unwrap());
        shared.peer_gone(NodeId(7));
    });
    assert_eq!(allocations, 0);
}

struct Pairs<'a>(&'a [(&'a str, &'a str)]);

impl Headers for Pairs<'_> {
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.any(name, holds)
    }
}

#[test]
fn a_route_is_found_without_allocating() {
    let paths = (0..100).map(|number| PathRule {
        prefix: format!("/{number}"),
        conditions: vec![Condition::cookie("group", "beta"), Condition::header_present("x-tag")],
        split: Split::weighted([(1, number), (2, number + 1)]),
    });
    let rule = Rule {
        owner: "ns/a".into(),
        hosts: vec!["a.example.com".into()],
        paths: paths.collect(),
    };
    let (table, _) = Table::build([rule]);
    let request = Request {
        host: "A.example.com:8080",
        path: "/42/items",
        headers: &Pairs(&[("X-Tag", ""), ("Cookie", "a=b; group=beta")]),
    };
    let allocations = allocations_once_warm(|| {
        let split = table.find(&request).unwrap();
        assert!(split.pick(Draw::new(u64::MAX)).is_some_and(|picked| *picked > 0));
    });
    assert_eq!(allocations, 0);
}
