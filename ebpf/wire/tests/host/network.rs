// SPDX-License-Identifier: Apache-2.0
//! A dialogue of two programs, cut into segments and carried over a network that may lose, repeat and reorder.
//!
//! Mechanism: a dialogue is both byte streams and, for each part, how much of the other stream must have arrived
//! before it is sent. [`play`] chooses at random among what can happen next. Client segments pass the hook and then
//! a receiving stack that puts them in order; server segments pass the hook in sending order, unless one is lost
//! before the hook and sent again later. The truth is a count of heads and ends by offset, from the oracles.

use crate::machine::Connection;
use crate::oracle::{self, End};
use fastrand::Rng;
use std::collections::BTreeMap;

/// What one side sends once `after` bytes of the other have come.
#[derive(Clone, Debug)]
struct Part {
    after: usize,
    bytes: Vec<u8>,
}

/// Both streams and their order.
#[derive(Clone, Debug, Default)]
pub struct Dialogue {
    client: Vec<Part>,
    server: Vec<Part>,
    /// The server ends the connection by FIN.
    pub fin: bool,
    /// The truth is known only when all has arrived.
    pub only_at_rest: bool,
}

fn total(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.bytes.len()).sum()
}

fn stream(parts: &[Part]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.bytes.iter().copied()).collect()
}

/// Bytes that may be sent when `arrived` bytes of the other side have come.
fn allowed(parts: &[Part], arrived: usize) -> usize {
    parts
        .iter()
        .take_while(|part| part.after <= arrived)
        .map(|part| part.bytes.len())
        .sum()
}

impl Dialogue {
    pub fn new() -> Self {
        Self::default()
    }
    /// The client sends this once it has all that the server sent.
    pub fn client(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let after = total(&self.server);
        self.client.push(Part {
            after,
            bytes: bytes.as_ref().to_vec(),
        });
        self
    }
    /// The client sends this without waiting.
    pub fn eager(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let after = self.client.last().map_or(0, |part| part.after);
        self.client.push(Part {
            after,
            bytes: bytes.as_ref().to_vec(),
        });
        self
    }
    /// The server sends this once it has all that the client sent.
    pub fn server(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let after = total(&self.client);
        self.server.push(Part {
            after,
            bytes: bytes.as_ref().to_vec(),
        });
        self
    }
    pub fn fin(mut self) -> Self {
        self.fin = true;
        self
    }
    pub fn client_stream(&self) -> Vec<u8> {
        stream(&self.client)
    }
    pub fn server_stream(&self) -> Vec<u8> {
        stream(&self.server)
    }
}

/// Where messages begin and end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Client offsets at which heads are complete.
    pub heads: Vec<usize>,
    /// Server offsets at which responses are complete; those that end with the connection are not here.
    pub ends: Vec<usize>,
}

impl Truth {
    /// As hyper sees the dialogue.
    pub fn of(dialogue: &Dialogue) -> Self {
        let (heads, understood) = oracle::heads(&dialogue.client_stream());
        let mut ends = Vec::new();
        for end in oracle::ends(&dialogue.server_stream(), &understood.methods) {
            match end {
                End::At(offset) => ends.push(offset),
                End::Close => {}
                End::Broken => panic!("the dialogue's responses are none: {:?}", dialogue.server_stream()),
            }
        }
        Self { heads, ends }
    }
    pub fn started(&self, client: usize) -> u64 {
        self.heads.iter().filter(|head| **head <= client).count() as u64
    }
    pub fn ended(&self, server: usize) -> u64 {
        self.ends.iter().filter(|end| **end <= server).count() as u64
    }
}

/// How segments are cut.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// As large as can be.
    Whole,
    /// Of this many bytes.
    Every(usize),
    /// Random, at most this many bytes.
    Upto(usize),
}

/// What the network does, in probabilities.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    pub cut: Cut,
    /// A client segment is lost before the hook, and sent again.
    pub loss: f64,
    /// A client segment comes twice.
    pub twice: f64,
    /// A client segment is overtaken.
    pub reorder: f64,
    /// A client segment reaches the stack past the hook.
    pub unseen: f64,
    /// A server segment is lost before the hook, and sent again.
    pub egress_loss: f64,
}

impl Network {
    pub const fn clean(cut: Cut) -> Self {
        Self {
            cut,
            loss: 0.0,
            twice: 0.0,
            reorder: 0.0,
            unseen: 0.0,
            egress_loss: 0.0,
        }
    }
    /// Loses, repeats and reorders with this probability.
    pub const fn bad(cut: Cut, p: f64) -> Self {
        Self {
            cut,
            loss: p,
            twice: p,
            reorder: p,
            unseen: 0.0,
            egress_loss: 0.0,
        }
    }
    fn is_clean(&self) -> bool {
        self.loss + self.twice + self.reorder + self.unseen + self.egress_loss == 0.0
    }
}

fn size(cut: Cut, rng: &mut Rng, room: usize) -> usize {
    let size = match cut {
        Cut::Whole => room,
        Cut::Every(size) => size,
        Cut::Upto(most) => rng.usize(1..=most),
    };
    size.min(room).min(60_000)
}

/// The receiving stack: which bytes it has.
#[derive(Default)]
struct Stack {
    next: usize,
    early: BTreeMap<usize, usize>,
}

impl Stack {
    fn take(&mut self, from: usize, to: usize) {
        let end = self.early.entry(from).or_insert(to);
        *end = (*end).max(to);
        while let Some((&from, &to)) = self.early.first_key_value() {
            if from > self.next {
                break;
            }
            self.next = self.next.max(to);
            self.early.pop_first();
        }
    }
}

struct Player<'a> {
    dialogue: &'a Dialogue,
    truth: &'a Truth,
    network: Network,
    rng: Rng,
    client: Vec<u8>,
    server: Vec<u8>,
    connection: Connection,
    /// Client bytes given to the network, and segments under way or to be sent again.
    sent: usize,
    flying: Vec<(usize, usize)>,
    lost: Vec<(usize, usize)>,
    stack: Stack,
    /// Server bytes that passed the hook, those the client has, and segments to be sent again.
    answered: usize,
    arrived: Stack,
    unanswered: Vec<(usize, usize)>,
}

impl Player<'_> {
    fn emit(&mut self, from: usize, to: usize) {
        if self.rng.f64() < self.network.loss {
            self.lost.push((from, to));
            return;
        }
        self.flying.push((from, to));
        if self.rng.f64() < self.network.twice {
            self.flying.push((from, to));
        }
    }

    fn deliver(&mut self) {
        let overtaken = self.flying.len() > 1 && self.rng.f64() < self.network.reorder;
        let i = if overtaken {
            self.rng.usize(1..self.flying.len())
        } else {
            0
        };
        let (from, to) = self.flying.remove(i);
        if self.rng.f64() >= self.network.unseen {
            self.connection.client(from, &self.client[from..to]);
        }
        self.stack.take(from, to);
        self.connection.stack_has(self.stack.next);
        self.check();
    }

    fn answer(&mut self, from: usize, to: usize) {
        let fin = self.dialogue.fin
            && to == self.server.len()
            && self.arrived.next == from
            && self.stack.next == self.client.len()
            && self.rng.bool();
        self.connection.server(from, &self.server[from..to], fin);
        self.arrived.take(from, to);
        if !fin {
            self.check();
        }
    }

    /// Without loss every moment is exact.
    fn check(&self) {
        if !self.network.is_clean() || self.dialogue.only_at_rest {
            return;
        }
        let started = self.truth.started(self.stack.next);
        let ended = self.truth.ended(self.arrived.next);
        let host = &self.connection.host;
        assert_eq!(
            (host.started, host.ended),
            (started, ended),
            "after {} and {} bytes",
            self.stack.next,
            self.arrived.next
        );
        assert!(
            !self.connection.is_uncertain(),
            "uncertain without loss: {:?}",
            host.events
        );
    }

    fn step(&mut self) -> bool {
        let may = allowed(&self.dialogue.client, self.arrived.next);
        let can = allowed(&self.dialogue.server, self.stack.next);
        let mut choices = Vec::new();
        if self.sent < may && self.flying.len() < 24 {
            choices.extend([0, 0]);
        }
        if !self.flying.is_empty() {
            choices.extend([1, 1]);
        }
        if !self.lost.is_empty() {
            choices.push(2);
        }
        if self.answered < can {
            choices.extend([3, 3]);
        }
        if !self.unanswered.is_empty() {
            choices.push(4);
        }
        let Some(choice) = self.rng.choice(choices) else {
            return false;
        };
        match choice {
            0 => {
                let to = self.sent + size(self.network.cut, &mut self.rng, may - self.sent);
                let from = std::mem::replace(&mut self.sent, to);
                self.emit(from, to);
            }
            1 => self.deliver(),
            2 => {
                let (from, to) = self.lost.remove(0);
                // Sent again in other pieces.
                let middle = from + size(self.network.cut, &mut self.rng, to - from);
                self.emit(from, middle);
                if middle < to {
                    self.lost.insert(0, (middle, to));
                }
            }
            3 => {
                let to = self.answered + size(self.network.cut, &mut self.rng, can - self.answered);
                let from = std::mem::replace(&mut self.answered, to);
                if self.rng.f64() < self.network.egress_loss {
                    self.unanswered.push((from, to));
                } else {
                    self.answer(from, to);
                }
            }
            _ => {
                let (from, to) = self.unanswered.remove(0);
                self.answer(from, to);
            }
        }
        true
    }
}

/// Plays the dialogue to its end; the connection at rest, before it closes.
pub fn play(dialogue: &Dialogue, truth: &Truth, network: Network, seed: u64) -> Connection {
    let mut player = Player {
        dialogue,
        truth,
        network,
        rng: Rng::with_seed(seed),
        client: dialogue.client_stream(),
        server: dialogue.server_stream(),
        connection: Connection::established(),
        sent: 0,
        flying: Vec::new(),
        lost: Vec::new(),
        stack: Stack::default(),
        answered: 0,
        arrived: Stack::default(),
        unanswered: Vec::new(),
    };
    while player.step() {}
    assert_eq!(
        (player.stack.next, player.arrived.next),
        (player.client.len(), player.server.len()),
        "the dialogue stands still"
    );
    let mut connection = player.connection;
    if dialogue.fin {
        connection.server(player.server.len(), &[], true);
    }
    connection
}

/// Plays, checks what must hold at rest and after close, and gives the connection.
pub fn check(dialogue: &Dialogue, truth: &Truth, network: Network, seed: u64) -> Connection {
    let mut connection = play(dialogue, truth, network, seed);
    let host = &connection.host;
    let heads = truth.heads.len() as u64;
    let ends = if dialogue.fin { heads } else { truth.ends.len() as u64 };
    if !connection.is_uncertain() {
        assert_eq!(
            (host.started, host.ended),
            (heads, ends),
            "silently different, seed {seed}, {network:?}: {:?}",
            host.events
        );
    }
    connection.assert_closed();
    if !connection.is_uncertain() {
        assert_eq!(connection.host.started, heads);
    }
    connection
}

/// Gives all of a dialogue in its order, in segments of `size` bytes, and checks nothing.
pub fn feed_all(connection: &mut Connection, dialogue: &Dialogue, size: usize) {
    let (client, server) = (dialogue.client_stream(), dialogue.server_stream());
    let (mut sent, mut answered) = (0, 0);
    while sent < client.len() || answered < server.len() {
        let may = allowed(&dialogue.client, answered);
        while sent < may {
            let to = may.min(sent + size);
            connection.client(sent, &client[sent..to]);
            connection.stack_has(to);
            sent = to;
        }
        let can = allowed(&dialogue.server, sent);
        while answered < can {
            let to = can.min(answered + size);
            connection.server(answered, &server[answered..to], false);
            answered = to;
        }
    }
}
