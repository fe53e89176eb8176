// SPDX-License-Identifier: Apache-2.0
//! Loss, repetition and reordering: the same counts as without, or a flagged uncertainty.

use crate::network::{Cut, Dialogue, Network, Truth, check};
use fastrand::Rng;
use std::sync::OnceLock;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn request(rng: &mut Rng) -> String {
    let field = format!("X: {}\r\n", "y".repeat(rng.usize(0..200)));
    match rng.u8(0..4) {
        0 => format!("GET /{} HTTP/1.1\r\n{field}\r\n", rng.u32(..)),
        1 => format!(
            "POST / HTTP/1.1\r\n{field}Content-Length: {}\r\n\r\n{}",
            400,
            "GET / HTTP/1.1\r\n\r\n..".repeat(20)
        ),
        2 => format!(
            "POST / HTTP/1.1\r\n{field}Transfer-Encoding: chunked\r\n\r\n12\r\nGET / HTTP/1.1\r\n\r\n\r\n0\r\n\r\n"
        ),
        _ => format!("POST / HTTP/1.1\r\n{field}Content-Length: 0\r\n\r\n"),
    }
}

fn response(rng: &mut Rng) -> String {
    match rng.u8(0..3) {
        0 => OK.to_owned(),
        1 => format!(
            "HTTP/1.1 500 No\r\nContent-Length: 3000\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\n\r\n.".repeat(150)
        ),
        _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3;x\r\nabc\r\n0\r\n\r\n".to_owned(),
    }
}

fn conversation(rng: &mut Rng) -> Dialogue {
    let mut dialogue = Dialogue::new();
    for _ in 0..rng.usize(2..8) {
        let depth = if rng.u8(0..3) == 0 { rng.usize(2..6) } else { 1 };
        let requests: String = (0..depth).map(|_| request(rng)).collect();
        let responses: String = (0..depth).map(|_| response(rng)).collect();
        dialogue = dialogue.client(requests).server(responses);
    }
    dialogue
}

/// Conversations and where hyper sees their messages begin and end; asked once for all tests.
fn conversations() -> &'static [(Dialogue, Truth)] {
    static ALL: OnceLock<Vec<(Dialogue, Truth)>> = OnceLock::new();
    ALL.get_or_init(|| {
        let dialogues = (0..30).map(|seed| conversation(&mut Rng::with_seed(seed)));
        dialogues
            .map(|dialogue| (dialogue.clone(), Truth::of(&dialogue)))
            .collect()
    })
}

/// Plays each conversation ten times; how many of the 300 were uncertain.
fn uncertain(network: Network) -> usize {
    let runs = conversations()
        .iter()
        .flat_map(|conversation| (0..10).map(move |seed| (conversation, seed)));
    runs.filter(|((dialogue, truth), seed)| check(dialogue, truth, network, *seed).is_uncertain())
        .count()
}

#[test]
fn a_clean_network_is_exact() {
    assert_eq!(uncertain(Network::clean(Cut::Upto(300))), 0);
}

#[test]
fn loss_before_the_hook_is_never_silent() {
    for (cut, p) in [
        (Cut::Upto(1400), 0.01),
        (Cut::Upto(300), 0.05),
        (Cut::Upto(40), 0.2),
        (Cut::Upto(20), 0.5),
    ] {
        let network = Network {
            twice: 0.0,
            reorder: 0.0,
            ..Network::bad(cut, p)
        };
        let count = uncertain(network);
        println!("{cut:?} {p}: {count} of 300 uncertain");
    }
}

#[test]
fn repetition_changes_nothing() {
    let network = Network {
        twice: 0.5,
        ..Network::clean(Cut::Upto(100))
    };
    assert_eq!(uncertain(network), 0);
}

#[test]
fn reordering_within_the_stash_changes_nothing() {
    let network = Network {
        reorder: 0.1,
        ..Network::clean(Cut::Upto(300))
    };
    let count = uncertain(network);
    assert!(count <= 6, "{count} of 300 uncertain with little reordering");
}

#[test]
fn everything_at_once_is_never_silent() {
    for (cut, p) in [(Cut::Upto(1400), 0.05), (Cut::Upto(200), 0.1), (Cut::Upto(30), 0.4)] {
        uncertain(Network::bad(cut, p));
    }
}

#[test]
fn segments_the_hook_never_saw_are_never_silent() {
    for p in [0.01, 0.1, 0.4] {
        uncertain(Network {
            unseen: p,
            ..Network::clean(Cut::Upto(200))
        });
        uncertain(Network {
            unseen: p,
            ..Network::bad(Cut::Upto(200), p / 2.0)
        });
    }
}

#[test]
fn responses_lost_before_the_hook_are_never_silent() {
    for p in [0.01, 0.1, 0.4] {
        uncertain(Network {
            egress_loss: p,
            ..Network::clean(Cut::Upto(200))
        });
        uncertain(Network {
            egress_loss: p,
            unseen: p / 4.0,
            ..Network::bad(Cut::Upto(200), p / 2.0)
        });
    }
}
