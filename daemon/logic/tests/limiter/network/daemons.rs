// SPDX-License-Identifier: Apache-2.0
//! The daemons and the post between them.

use logic::limiter::{
    Admission, Answer, Ask, Backends, Effect, Home, Limiter, NodeId, PodId, PodSpec, Rebuff, Settings, Ticket,
};
use std::collections::{HashMap, HashSet};

pub const DAEMONS: usize = 3;
pub const PODS: u64 = 5;

pub type Request = u64;

#[derive(Debug, Clone, Copy)]
enum Message {
    Ask(Request, PodId, Option<u64>),
    Answer(Request, Option<Rebuff>),
    Offer(PodId, u64),
    Decline(u64),
    /// The sender gave the request up or saw it end.
    Over(Request),
}

#[derive(Default)]
pub struct Sent {
    daemon: usize,
    /// At the daemon where it arrived.
    ticket: Option<Ticket>,
    /// Where it runs, and the ticket there if that is a peer's pod.
    on: Option<(PodId, Option<Ticket>)>,
    /// How often its daemon had lost the one it asks.
    asked_after: u32,
}

/// The daemons, what is under way between them, and every request that is not over.
pub struct Network {
    concurrency: u32,
    pub daemons: Vec<Limiter>,
    under_way: Vec<(usize, usize, Message)>,
    pub requests: HashMap<Request, Sent>,
    by_ticket: HashMap<(usize, Ticket), Request>,
    next: Request,
    /// How often each has lost each.
    parted: [[u32; DAEMONS]; DAEMONS],
    /// Who found whom not to answer since he lost him last.
    unreachable: HashSet<(usize, usize)>,
}

/// Whose pod it is.
pub fn home(pod: u64) -> usize {
    pod as usize % DAEMONS
}

fn limiter(concurrency: u32, seed: usize) -> Limiter {
    Limiter::new(Settings::new(concurrency), seed as u64)
}

impl Network {
    pub fn new(concurrency: u32) -> Self {
        let mut network = Self {
            concurrency,
            daemons: (0..DAEMONS).map(|seed| limiter(concurrency, seed)).collect(),
            under_way: Vec::new(),
            requests: HashMap::new(),
            by_ticket: HashMap::new(),
            next: 0,
            parted: [[0; DAEMONS]; DAEMONS],
            unreachable: HashSet::new(),
        };
        for daemon in 0..DAEMONS {
            network.list(daemon, u8::MAX);
        }
        network
    }

    pub fn list(&mut self, daemon: usize, pods: u8) {
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
        self.change(daemon, |daemon| daemon.set_backends(Backends::Pods(&specs)));
    }

    /// An event at one daemon, and its effects.
    pub fn change(&mut self, daemon: usize, event: impl FnOnce(&mut Limiter)) {
        event(&mut self.daemons[daemon]);
        self.effects(daemon);
    }

    pub fn arrive(&mut self, daemon: usize) {
        let request = self.next;
        self.next += 1;
        let sent = Sent {
            daemon,
            ..Sent::default()
        };
        self.requests.insert(request, sent);
        let admission = self.daemons[daemon].arrive(1);
        self.admitted(daemon, request, admission);
    }

    pub fn one_that_runs(&self, which: usize) -> Option<Request> {
        pick(self.requests.iter().filter(|(_, sent)| sent.on.is_some()), which)
    }

    pub fn give_up(&mut self, which: usize) {
        let held = |(_, sent): &(&Request, &Sent)| sent.on.is_none() && sent.ticket.is_some();
        if let Some(request) = pick(self.requests.iter().filter(held), which) {
            self.forget(request);
        }
    }

    /// Ends a request that runs nowhere, at the daemon where it arrived.
    fn forget(&mut self, request: Request) {
        let sent = self.requests.remove(&request).unwrap();
        let ticket = sent.ticket.unwrap();
        self.by_ticket.remove(&(sent.daemon, ticket));
        self.change(sent.daemon, |daemon| assert!(daemon.end(ticket)));
    }

    pub fn lose_an_ask(&mut self, which: usize) {
        let asks = { self.under_way.iter_mut() }.filter(|(.., message)| matches!(message, Message::Ask(..)));
        let mut asks: Vec<_> = asks.collect();
        if asks.is_empty() {
            return;
        }
        let index = which % asks.len();
        let (from, to, message) = &mut *asks[index];
        if let Message::Ask(request, _, offer) = *message {
            let (asker, owner) = (*from, *to);
            *message = Message::Answer(request, Some(Rebuff::Unreachable));
            (*from, *to) = (owner, asker);
            if let Some(offer) = offer {
                // The owner's own doing: the offer was not answered in time.
                self.under_way.push((asker, owner, Message::Decline(offer)));
            }
        }
    }

    /// Both notice; offers and declines between them are lost, asks and answers may be late.
    pub fn part(&mut self, one: usize, other: usize) {
        self.under_way.retain(|(from, to, message)| {
            let between = [(one, other), (other, one)].contains(&(*from, *to));
            !(between && matches!(message, Message::Offer(..) | Message::Decline(..)))
        });
        self.gone(one, other);
        self.gone(other, one);
    }

    fn gone(&mut self, at: usize, peer: usize) {
        self.parted[at][peer] += 1;
        self.unreachable.remove(&(at, peer));
        self.change(at, |daemon| daemon.peer_gone(NodeId(peer as u32)));
    }

    /// A daemon starts anew: connections through it break, and with them what ran over them.
    pub fn restart(&mut self, daemon: usize) {
        let messages = std::mem::take(&mut self.under_way);
        for (from, to, message) in messages {
            match message {
                Message::Ask(request, ..) if to == daemon => {
                    let why = Some(Rebuff::Unreachable);
                    self.under_way.push((to, from, Message::Answer(request, why)));
                }
                Message::Answer(request, Some(_)) if from == daemon => {
                    let why = Some(Rebuff::Unreachable);
                    self.under_way.push((from, to, Message::Answer(request, why)));
                }
                // Over: the answer was sent, or the connection ended; both are seen.
                Message::Over(_) if from == daemon => self.under_way.push((from, to, message)),
                _ if from == daemon || to == daemon => {}
                _ => self.under_way.push((from, to, message)),
            }
        }
        let mut requests: Vec<_> = self.requests.keys().copied().collect();
        requests.sort_unstable();
        for request in requests {
            let sent = self.requests.get_mut(&request).unwrap();
            match sent.on {
                Some((pod, Some(_))) if home(pod.0) == daemon => {
                    sent.on = None;
                    self.under_way.push((daemon, sent.daemon, Message::Over(request)));
                }
                Some((pod, Some(ticket))) if sent.daemon == daemon => {
                    self.change(home(pod.0), |owner| assert!(owner.end(ticket)));
                }
                _ => {}
            }
        }
        self.requests.retain(|_, sent| sent.daemon != daemon);
        self.by_ticket.retain(|(at, _), _| *at != daemon);
        self.unreachable.retain(|(from, _)| *from != daemon);
        self.daemons[daemon] = limiter(self.concurrency, daemon);
        self.list(daemon, u8::MAX);
        for peer in (0..DAEMONS).filter(|peer| *peer != daemon) {
            self.gone(peer, daemon);
        }
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
        self.requests.get_mut(&request).unwrap().asked_after = self.parted[daemon][ask.node.0 as usize];
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

    pub fn deliver(&mut self, which: usize) {
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
                let asked = self.requests.get(&request).map(|sent| (sent.ticket, sent.asked_after));
                if let Some((Some(ticket), asked_after)) = asked {
                    if answer == Some(Rebuff::Unreachable) && asked_after == self.parted[to][from] {
                        self.unreachable.insert((to, from));
                    }
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
                if self.requests.contains_key(&request) {
                    self.forget(request);
                }
            }
        }
        self.effects(to);
        self.effects(from);
    }

    /// The pod answered.
    pub fn finish(&mut self, request: Request) {
        let sent = self.requests.get_mut(&request).unwrap();
        let (pod, at_owner) = sent.on.take().unwrap();
        let daemon = sent.daemon;
        match at_owner {
            Some(ticket) => {
                assert!(self.daemons[home(pod.0)].end(ticket));
                self.effects(home(pod.0));
                self.under_way.push((home(pod.0), daemon, Message::Over(request)));
            }
            None => self.forget(request),
        }
    }

    pub fn on_pod(&self, pod: u64) -> u32 {
        let on = self
            .requests
            .values()
            .filter(|sent| sent.on.is_some_and(|(on, _)| on == PodId(pod)));
        on.count() as u32
    }

    pub fn check(&self) {
        for pod in 0..PODS {
            assert!(self.on_pod(pod) <= self.concurrency, "overshoot on pod {pod}");
        }
    }

    /// Delivers all there is; whoever was not reached is back then.
    pub fn settle(&mut self, seed: usize) {
        let mut steps = 0;
        loop {
            while !self.under_way.is_empty() {
                // In no order, but nothing is held back for ever.
                self.deliver((seed ^ steps).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
                self.check();
                steps += 1;
                assert!(steps < 100_000, "they never stop talking");
            }
            let Some((from, to)) = self.unreachable.iter().min().copied() else {
                return;
            };
            self.part(from, to);
        }
    }
}

fn pick<'a>(of: impl Iterator<Item = (&'a Request, &'a Sent)>, which: usize) -> Option<Request> {
    let mut requests: Vec<_> = of.map(|(request, _)| *request).collect();
    requests.sort_unstable();
    requests.get(which % requests.len().max(1)).copied()
}
