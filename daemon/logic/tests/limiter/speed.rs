// SPDX-License-Identifier: Apache-2.0
//! How long admit and release take: run by hand in release, `cargo test --release -p logic --test limiter -- --ignored
//! --nocapture`.

use logic::limiter::shared::{Admitted, Shared};
use logic::limiter::{Backends, Home, Limiter, PodId, PodSpec, Settings};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

fn shared(concurrency: u32, pods: u64) -> Arc<Shared> {
    let shared = Shared::new(Limiter::new(Settings::new(concurrency), 1), Box::new(|_, _| {}));
    let specs: Vec<_> = (0..pods)
        .map(|id| PodSpec {
            id: PodId(id),
            home: Home::Here,
            accepting: true,
        })
        .collect();
    shared.set_backends(Backends::Pods(&specs));
    shared
}

fn admit(shared: &Arc<Shared>) -> Admitted {
    match pin!(shared.admit(0)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(admitted)) => admitted,
        _ => panic!("not admitted at once"),
    }
}

#[test]
#[ignore = "a measurement: needs a release build"]
fn admit_and_release_take_less_than_200_ns() {
    const ROUNDS: u32 = 1_000_000;
    for (concurrency, pods) in [(0, 1), (0, 300), (1, 300), (3, 300), (10, 300), (100, 1)] {
        let shared = shared(concurrency, pods);
        let busy: Vec<_> = (0..pods * u64::from(concurrency) / 2).map(|_| admit(&shared)).collect();
        let best = (0..5)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..ROUNDS {
                    drop(std::hint::black_box(admit(&shared)));
                }
                start.elapsed() / ROUNDS
            })
            .min();
        println!(
            "containerConcurrency {concurrency}, {pods} pods, {} busy: {best:?}",
            busy.len()
        );
        assert!(best.unwrap().as_nanos() < 200);
    }
}
