// SPDX-License-Identifier: Apache-2.0
//! Several daemons, each the owner of some pods, with messages that arrive late and in any order.
//!
//! The pods themselves count what runs on them: that is what containerConcurrency promises. When nothing is under way any
//! more, nobody may wait beside a free slot; and in the end everything is served.

use logic::limiter::{
    Activators, Admission, Answer, Ask, Backends, Effect, Home, Limiter, NodeId, PodId, PodSpec, Rebuff, Settings,
    Ticket,
};
use proptest::prelude::*;
use std::collections::HashMap;

const DAEMONS: usize = 3;
const PODS: u64 = 5;

type Request = u64;

#[derive(Debug, Clone, Copy)]
enum Message {
    Ask(Request, PodId, Option<u64>),
    Answer(Request, Option<Rebuff>),
    Offer(PodId, u64),
    Decline(u64),
    /// The sender gave the request up or saw it end.
    Over(Request),
}

#[derive(Debug, Clone)]
enum Event {
    Arrive(usize),
    Deliver(usize),
    Finish(usize),
    GiveUp(usize),
    List(usize, u8),
    Drain(u64),
    Slice(usize, u32),
}

fn events() -> impl Strategy<Value = Event> {
    let daemon = 0..DAEMONS;
    prop_oneof![
        6 => daemon.clone().prop_map(Event::Arrive),
        9 => any::<usize>().prop_map(Event::Deliver),
        4 => any::<usize>().prop_map(Event::Finish),
        1 => any::<usize>().prop_map(Event::GiveUp),
        1 => (daemon.clone(), any::<u8>()).prop_map(|(daemon, pods)| Event::List(daemon, pods)),
        1 => (0..PODS).prop_map(Event::Drain),
        1 => (daemon, 0..4_u32).prop_map(|(daemon, count)| Event::Slice(daemon, count)),
    ]
}

#[derive(Default)]
struct Sent {
    daemon: usize,
    /// At the daemon where it arrived.
    ticket: Option<Ticket>,
    /// Where it runs, and the ticket there if that is a peer's pod.
    on: Option<(PodId, Option<Ticket>)>,
}

struct Network {
    concurrency: u32,
    daemons: Vec<Limiter>,
    under_way: Vec<(usize, usize, Message)>,
    requests: HashMap<Request, Sent>,
    by_ticket: HashMap<(usize, Ticket), Request>,
    next: Request,
}

fn home(pod: u64) -> usize {
    pod as usize % DAEMONS
}

impl Network {
    fn new(concurrency: u32) -> Self {
        let mut network = Self {
            concurrency,
            daemons: (0..DAEMONS)
                .map(|seed| Limiter::new(Settings::new(concurrency), seed as u64))
                .collect(),
            under_way: Vec::new(),
            requests: HashMap::new(),
            by_ticket: HashMap::new(),
            next: 0,
        };
        for daemon in 0..DAEMONS {
            network.list(daemon, u8::MAX);
        }
        network
    }

    fn list(&mut self, daemon: usize, pods: u8) {
        let specs: Vec<_> = { (0..PODS).filter(|pod| pods & (1 << pod) != 0) }
            .map(|pod| PodSpec {
                id: PodId(pod),
                home: if home(pod) == daemon {
                    Home::Here
                } else {
                    Home::Peer(NodeId(home(pod) as u32))
                },
                accepting: true,
            })
            .collect();
        self.daemons[daemon].set_backends(Backends::Pods(&specs));
        self.effects(daemon);
    }

    fn play(&mut self, event: &Event) {
        match event {
            Event::Arrive(daemon) => {
                let request = self.next;
                self.next += 1;
                self.requests.insert(
                    request,
                    Sent {
                        daemon: *daemon,
                        ..Sent::default()
                    },
                );
                let admission = self.daemons[*daemon].arrive(1);
                self.admitted(*daemon, request, admission);
            }
            Event::Deliver(which) => self.deliver(*which),
            Event::Finish(which) => {
                let mut running: Vec<_> = { self.requests.iter() }
                    .filter(|(_, sent)| sent.on.is_some())
                    .map(|(request, _)| *request)
                    .collect();
                running.sort_unstable();
                if !running.is_empty() {
                    self.finish(running[which % running.len()]);
                }
            }
            Event::GiveUp(which) => {
                let mut held: Vec<_> = { self.requests.iter() }
                    .filter(|(_, sent)| sent.on.is_none() && sent.ticket.is_some())
                    .map(|(request, _)| *request)
                    .collect();
                held.sort_unstable();
                if !held.is_empty() {
                    let request = held[which % held.len()];
                    let sent = self.requests.remove(&request).unwrap();
                    let ticket = sent.ticket.unwrap();
                    self.by_ticket.remove(&(sent.daemon, ticket));
                    assert!(self.daemons[sent.daemon].end(ticket));
                    self.effects(sent.daemon);
                }
            }
            Event::List(daemon, pods) => self.list(*daemon, *pods),
            Event::Drain(pod) => {
                self.daemons[home(*pod)].drain(PodId(*pod));
                self.effects(home(*pod));
            }
            Event::Slice(daemon, count) => {
                self.daemons[*daemon].set_activators(Activators {
                    index: Some(*daemon as u32),
                    count: *count,
                });
                self.effects(*daemon);
            }
        }
        self.check();
    }

    fn admitted(&mut self, daemon: usize, request: Request, admission: Admission) {
        let (ticket, ask) = match admission {
            Admission::Start(ticket, pod) => {
                assert_eq!(home(pod.0), daemon, "a peer's pod was not asked for");
                self.requests.get_mut(&request).unwrap().on = Some((pod, None));
                (ticket, None)
            }
            Admission::Ask(ask) => (ask.ticket, Some(ask)),
            Admission::Wait(ticket) => (ticket, None),
            Admission::Refused(why) => panic!("{why}"),
        };
        self.requests.get_mut(&request).unwrap().ticket = Some(ticket);
        self.by_ticket.insert((daemon, ticket), request);
        if let Some(ask) = ask {
            self.send_ask(daemon, request, ask);
        }
        self.effects(daemon);
    }

    fn send_ask(&mut self, daemon: usize, request: Request, ask: Ask) {
        let message = Message::Ask(request, ask.pod, ask.offer);
        self.under_way.push((daemon, ask.node.0 as usize, message));
    }

    fn effects(&mut self, daemon: usize) {
        while let Some(effect) = self.daemons[daemon].next_effect() {
            match effect {
                Effect::Start(ticket, pod) => {
                    let request = self.by_ticket[&(daemon, ticket)];
                    self.requests.get_mut(&request).unwrap().on = Some((pod, None));
                }
                Effect::Ask(ask) => {
                    let request = self.by_ticket[&(daemon, ask.ticket)];
                    self.send_ask(daemon, request, ask);
                }
                Effect::Offer(peer, pod, offer) => {
                    self.under_way
                        .push((daemon, peer.0 as usize, Message::Offer(pod, offer)));
                }
                Effect::Decline(node, _, offer) => {
                    self.under_way.push((daemon, node.0 as usize, Message::Decline(offer)));
                }
            }
        }
    }

    fn deliver(&mut self, which: usize) {
        if self.under_way.is_empty() {
            return;
        }
        let (from, to, message) = self.under_way.swap_remove(which % self.under_way.len());
        let peer = NodeId(from as u32);
        match message {
            Message::Ask(request, pod, offer) => match self.daemons[to].ask(peer, pod, offer) {
                Answer::Granted(ticket) => match self.requests.get_mut(&request) {
                    Some(sent) => {
                        sent.on = Some((pod, Some(ticket)));
                        self.by_ticket.insert((to, ticket), request);
                        self.under_way.push((to, from, Message::Answer(request, None)));
                    }
                    // Given up meanwhile: the connection is gone.
                    None => assert!(self.daemons[to].end(ticket)),
                },
                Answer::Busy(refusal) => {
                    let why = Some(Rebuff::Busy(refusal));
                    self.under_way.push((to, from, Message::Answer(request, why)));
                }
            },
            Message::Answer(request, answer) => {
                if let Some(ticket) = self.requests.get(&request).and_then(|sent| sent.ticket) {
                    match answer {
                        None => assert!(self.daemons[to].granted(ticket)),
                        Some(why) => {
                            let admission = self.daemons[to].refused(ticket, why).unwrap();
                            self.admitted(to, request, admission);
                        }
                    }
                }
            }
            Message::Offer(pod, offer) => self.daemons[to].offered(peer, pod, offer),
            Message::Decline(offer) => self.daemons[to].declined(peer, offer),
            Message::Over(request) => {
                if let Some(sent) = self.requests.remove(&request) {
                    self.by_ticket.remove(&(to, sent.ticket.unwrap()));
                    assert!(self.daemons[to].end(sent.ticket.unwrap()));
                }
            }
        }
        self.effects(to);
        self.effects(from);
    }

    /// The pod answered.
    fn finish(&mut self, request: Request) {
        let sent = self.requests.get_mut(&request).unwrap();
        let (pod, at_owner) = sent.on.take().unwrap();
        let daemon = sent.daemon;
        match at_owner {
            Some(ticket) => {
                assert!(self.daemons[home(pod.0)].end(ticket));
                self.effects(home(pod.0));
                self.under_way.push((home(pod.0), daemon, Message::Over(request)));
            }
            None => {
                let sent = self.requests.remove(&request).unwrap();
                assert!(self.daemons[daemon].end(sent.ticket.unwrap()));
                self.effects(daemon);
            }
        }
    }

    fn on_pod(&self, pod: u64) -> u32 {
        let on = self
            .requests
            .values()
            .filter(|sent| sent.on.is_some_and(|(on, _)| on == PodId(pod)));
        on.count() as u32
    }

    fn check(&self) {
        for pod in 0..PODS {
            assert!(self.on_pod(pod) <= self.concurrency, "overshoot on pod {pod}");
        }
    }

    /// Delivers all there is, then asks whether anyone waits beside a free slot.
    fn settle(&mut self, seed: usize) {
        let mut steps = 0;
        while !self.under_way.is_empty() {
            // In no order, but nothing is held back for ever.
            self.deliver((seed ^ steps).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
            self.check();
            steps += 1;
            assert!(steps < 100_000, "they never stop talking");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_pod_is_overrun_and_nobody_waits_beside_room(
        concurrency in 1..6_u32,
        seed in any::<usize>(),
        events in proptest::collection::vec(events(), 1..200),
    ) {
        let mut network = Network::new(concurrency);
        for event in &events {
            network.play(event);
        }
        for daemon in 0..DAEMONS {
            network.list(daemon, u8::MAX);
        }
        network.settle(seed);
        while !network.requests.is_empty() {
            let waiting: u32 = network.daemons.iter().map(|daemon| daemon.counts().waiting).sum();
            let free = (0..PODS).filter(|pod| network.on_pod(*pod) < concurrency).count();
            prop_assert!(waiting == 0 || free == 0, "{waiting} wait, {free} pods have room");
            let mut running: Vec<_> = { network.requests.iter() }
                .filter(|(_, sent)| sent.on.is_some())
                .map(|(request, _)| *request)
                .collect();
            running.sort_unstable();
            prop_assert!(!running.is_empty(), "nothing runs, yet requests are left");
            network.finish(running[seed % running.len()]);
            network.settle(seed);
        }
        for daemon in &network.daemons {
            prop_assert_eq!(daemon.counts(), Default::default());
        }
        for pod in 0..PODS {
            prop_assert_eq!(network.daemons[home(pod)].in_use(PodId(pod)), 0);
        }
    }
}
