// SPDX-License-Identifier: Apache-2.0
//! One daemon against a model that counts everything anew for each question.

use logic::limiter::{
    Activators, Admission, Answer, Backends, Effect, Home, Limiter, NodeId, PodId, PodSpec, QueueBound, Refusal,
    Settings, Ticket,
};
use proptest::prelude::*;
use std::collections::VecDeque;

const PEERS: u32 = 3;

#[derive(Debug, Clone)]
enum Event {
    Arrive(u64),
    ArriveOrLeave,
    EndRunning(usize),
    EndWaiting(usize),
    Pods(Vec<(u64, bool)>),
    Drain(u64),
    Limit(u32),
    Activators(u32, u32),
    Ask(u32, u64),
    EndOfPeer(usize),
    Claim(usize),
    Decline(usize),
    PeerGone(u32),
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..40_u64).prop_map(Event::Arrive),
        1 => Just(Event::ArriveOrLeave),
        6 => any::<usize>().prop_map(Event::EndRunning),
        2 => any::<usize>().prop_map(Event::EndWaiting),
        2 => proptest::collection::vec((0..6_u64, prop::bool::weighted(0.8)), 0..6).prop_map(Event::Pods),
        1 => (0..6_u64).prop_map(Event::Drain),
        1 => prop_oneof![Just(u32::MAX), 0..6_u32].prop_map(Event::Limit),
        1 => (0..4_u32, 0..4_u32).prop_map(|(index, count)| Event::Activators(index, count)),
        3 => (0..PEERS, 0..6_u64).prop_map(|(peer, pod)| Event::Ask(peer, pod)),
        3 => any::<usize>().prop_map(Event::EndOfPeer),
        2 => any::<usize>().prop_map(Event::Claim),
        2 => any::<usize>().prop_map(Event::Decline),
        1 => (0..PEERS).prop_map(Event::PeerGone),
    ]
}

struct Model {
    limiter: Limiter,
    concurrency: u32,
    most_waiting: usize,
    most_bytes: u64,
    limit: u32,
    /// Those that take requests.
    pods: Vec<u64>,
    running: Vec<(Ticket, u64)>,
    waiting: VecDeque<(Ticket, u64)>,
    for_peers: Vec<(Ticket, u64)>,
    offers: Vec<(u32, u64, u64)>,
    ended: Vec<Ticket>,
}

impl Model {
    fn new(concurrency: u32, most_waiting: u32, most_bytes: u64) -> Self {
        let settings = Settings {
            queue: QueueBound::Waiting(most_waiting),
            queue_bytes: most_bytes,
            ..Settings::new(concurrency)
        };
        Self {
            limiter: Limiter::new(settings, 7),
            concurrency,
            most_waiting: most_waiting as usize,
            most_bytes,
            limit: u32::MAX,
            pods: Vec::new(),
            running: Vec::new(),
            waiting: VecDeque::new(),
            for_peers: Vec::new(),
            offers: Vec::new(),
            ended: Vec::new(),
        }
    }

    fn used(&self, pod: u64) -> u32 {
        let running = self.running.iter().filter(|(_, on)| *on == pod).count();
        let for_peers = self.for_peers.iter().filter(|(_, on)| *on == pod).count();
        let offered = self.offers.iter().filter(|(_, on, _)| *on == pod).count();
        (running + for_peers + offered) as u32
    }

    fn has_room(&self, pod: u64) -> bool {
        self.pods.contains(&pod) && (self.concurrency == 0 || self.used(pod) < self.concurrency)
    }

    fn may_start(&self) -> bool {
        (self.running.len() as u32) < self.limit && self.pods.iter().any(|pod| self.has_room(*pod))
    }

    fn bytes(&self) -> u64 {
        self.waiting.iter().map(|(_, bytes)| bytes).sum()
    }

    fn play(&mut self, event: &Event) {
        match event {
            Event::Arrive(bytes) => self.arrive(*bytes),
            Event::ArriveOrLeave => {
                let expected = self.waiting.is_empty() && self.may_start();
                match self.limiter.arrive_or_leave(0) {
                    Admission::Start(ticket, pod) => {
                        assert!(expected && self.has_room(pod.0));
                        self.running.push((ticket, pod.0));
                    }
                    other => assert_eq!((other, expected), (Admission::Refused(Refusal::Busy), false)),
                }
            }
            Event::EndRunning(which) => {
                if let Some((ticket, _)) = take(&mut self.running, *which) {
                    self.end(ticket);
                }
            }
            Event::EndWaiting(which) => {
                if !self.waiting.is_empty() {
                    let index = which % self.waiting.len();
                    let (ticket, _) = self.waiting.remove(index).unwrap();
                    self.end(ticket);
                }
            }
            Event::EndOfPeer(which) => {
                if let Some((ticket, _)) = take(&mut self.for_peers, *which) {
                    self.end(ticket);
                }
            }
            Event::Pods(pods) => self.list(pods),
            Event::Drain(pod) => {
                self.pods.retain(|listed| listed != pod);
                self.limiter.drain(PodId(*pod));
            }
            Event::Limit(limit) => {
                self.limit = *limit;
                self.limiter.set_limit(*limit);
            }
            Event::Activators(index, count) => self.limiter.set_activators(Activators {
                index: (index < count).then_some(*index),
                count: *count,
            }),
            Event::Ask(peer, pod) => self.ask(*peer, *pod, None),
            Event::Claim(which) => {
                if !self.offers.is_empty() {
                    let (peer, pod, offer) = self.offers[which % self.offers.len()];
                    self.ask(peer, pod, Some(offer));
                }
            }
            Event::Decline(which) => {
                if let Some((peer, _, offer)) = take(&mut self.offers, *which) {
                    self.limiter.declined(NodeId(peer), offer);
                }
            }
            Event::PeerGone(peer) => {
                self.offers.retain(|(to, ..)| to != peer);
                self.limiter.peer_gone(NodeId(*peer));
            }
        }
        self.effects();
        self.check();
    }

    fn arrive(&mut self, bytes: u64) {
        let starts = self.waiting.is_empty() && self.may_start();
        let fits = self.waiting.len() < self.most_waiting;
        let fits_bytes = self.bytes() + bytes <= self.most_bytes;
        match self.limiter.arrive(bytes) {
            Admission::Start(ticket, pod) => {
                assert!(starts && self.has_room(pod.0));
                self.running.push((ticket, pod.0));
            }
            Admission::Wait(ticket) => {
                assert!(!starts && fits && fits_bytes);
                self.waiting.push_back((ticket, bytes));
            }
            Admission::Refused(Refusal::QueueFull) => assert!(!starts && !fits),
            Admission::Refused(Refusal::QueueBytesFull) => assert!(!starts && fits && !fits_bytes),
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, ticket: Ticket) {
        assert!(self.limiter.end(ticket));
        assert!(!self.limiter.end(ticket), "ended twice");
        self.ended.push(ticket);
    }

    fn list(&mut self, pods: &[(u64, bool)]) {
        let mut seen = Vec::new();
        self.pods.clear();
        for (pod, accepting) in pods {
            if !seen.contains(pod) && *accepting {
                self.pods.push(*pod);
            }
            seen.push(*pod);
        }
        let specs: Vec<_> = { pods.iter() }
            .map(|(id, accepting)| PodSpec {
                id: PodId(*id),
                home: Home::Here,
                accepting: *accepting,
            })
            .collect();
        self.limiter.set_backends(Backends::Pods(&specs));
    }

    fn ask(&mut self, peer: u32, pod: u64, offer: Option<u64>) {
        let kept = self
            .offers
            .iter()
            .position(|(to, on, kept)| (*to, *on, Some(*kept)) == (peer, pod, offer));
        let accepting = self.pods.contains(&pod);
        let has_room = self.has_room(pod);
        match self.limiter.ask(NodeId(peer), PodId(pod), offer) {
            Answer::Granted(ticket) => {
                assert!(accepting && (kept.is_some() || has_room));
                if let Some(kept) = kept {
                    self.offers.remove(kept);
                }
                self.for_peers.push((ticket, pod));
            }
            Answer::Busy(_) => {
                assert!(!accepting || (kept.is_none() && !has_room));
                if let Some(kept) = kept {
                    self.offers.remove(kept);
                }
            }
        }
    }

    fn effects(&mut self) {
        while let Some(effect) = self.limiter.next_effect() {
            match effect {
                Effect::Start(ticket, pod) => {
                    let first = self.waiting.pop_front().map(|(ticket, _)| ticket);
                    assert_eq!(first, Some(ticket), "not the one that waited longest");
                    self.running.push((ticket, pod.0));
                }
                Effect::Offer(peer, pod, offer) => self.offers.push((peer.0, pod.0, offer)),
                other => panic!("{other:?}"),
            }
        }
    }

    fn check(&mut self) {
        for pod in 0..6 {
            let used = self.used(pod);
            assert_eq!(self.limiter.in_use(PodId(pod)), used, "slots of pod {pod}");
            assert!(
                self.concurrency == 0 || used <= self.concurrency,
                "overshoot on pod {pod}"
            );
        }
        assert!(self.waiting.is_empty() || !self.may_start(), "one waits beside room");
        let counts = self.limiter.counts();
        assert_eq!(counts.running as usize, self.running.len());
        assert_eq!(counts.waiting as usize, self.waiting.len());
        assert_eq!(counts.for_peers as usize, self.for_peers.len());
        assert_eq!(counts.offered as usize, self.offers.len());
        assert_eq!(counts.waiting_bytes, self.bytes());
        assert!(self.waiting.len() <= self.most_waiting && self.bytes() <= self.most_bytes);
        if let Some(ticket) = self.ended.pop() {
            assert!(!self.limiter.end(ticket), "an old ticket ended something");
        }
    }
}

fn take<T>(list: &mut Vec<T>, which: usize) -> Option<T> {
    (!list.is_empty()).then(|| list.remove(which % list.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_limiter_does_what_the_obvious_model_does(
        concurrency in 0..7_u32,
        most_waiting in 0..12_u32,
        most_bytes in 0..200_u64,
        events in proptest::collection::vec(events(), 1..150),
    ) {
        let mut model = Model::new(concurrency, most_waiting, most_bytes);
        for event in &events {
            model.play(event);
        }
    }
}
