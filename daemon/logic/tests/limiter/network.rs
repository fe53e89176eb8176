// SPDX-License-Identifier: Apache-2.0
//! Several daemons, each the owner of some pods, with messages that arrive late and in any order.
//!
//! The pods themselves count what runs on them: that is what containerConcurrency promises. When nothing is under way any
//! more, nobody may wait beside a free slot; and in the end everything is served. Asks get lost, connections break, and
//! daemons start anew; what was said before that may still arrive after it, but for offers.

mod daemons;

use daemons::{DAEMONS, Network, PODS, home};
use logic::limiter::{Activators, PodId};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Event {
    Arrive(usize),
    Deliver(usize),
    Finish(usize),
    GiveUp(usize),
    List(usize, u8),
    Drain(u64),
    Slice(usize, u32),
    /// An ask is not delivered.
    Lose(usize),
    /// Two daemons lose their connection, and have it again.
    Part(usize, usize),
    Restart(usize),
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
        1 => (daemon.clone(), 0..4_u32).prop_map(|(daemon, count)| Event::Slice(daemon, count)),
        1 => any::<usize>().prop_map(Event::Lose),
        1 => (daemon.clone(), 1..DAEMONS).prop_map(|(one, step)| Event::Part(one, (one + step) % DAEMONS)),
        1 => daemon.prop_map(Event::Restart),
    ]
}

fn play(network: &mut Network, event: &Event) {
    match *event {
        Event::Arrive(daemon) => network.arrive(daemon),
        Event::Deliver(which) => network.deliver(which),
        Event::Finish(which) => {
            if let Some(request) = network.one_that_runs(which) {
                network.finish(request);
            }
        }
        Event::GiveUp(which) => network.give_up(which),
        Event::List(daemon, pods) => network.list(daemon, pods),
        Event::Drain(pod) => network.change(home(pod), |daemon| daemon.drain(PodId(pod))),
        Event::Slice(index, count) => network.change(index, |daemon| {
            daemon.set_activators(Activators {
                index: Some(index as u32),
                count,
            });
        }),
        Event::Lose(which) => network.lose_an_ask(which),
        Event::Part(one, other) => network.part(one, other),
        Event::Restart(daemon) => network.restart(daemon),
    }
    network.check();
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
            play(&mut network, event);
        }
        for daemon in 0..DAEMONS {
            network.list(daemon, u8::MAX);
        }
        network.settle(seed);
        while !network.requests.is_empty() {
            let waiting: u32 = network.daemons.iter().map(|daemon| daemon.counts().waiting).sum();
            let free = (0..PODS).filter(|pod| network.on_pod(*pod) < concurrency).count();
            prop_assert!(waiting == 0 || free == 0, "{waiting} wait, {free} pods have room");
            let Some(runs) = network.one_that_runs(seed) else {
                return Err(TestCaseError::fail("nothing runs, yet requests are left"));
            };
            network.finish(runs);
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
