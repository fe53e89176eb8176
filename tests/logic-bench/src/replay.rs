// SPDX-License-Identifier: Apache-2.0
//! Playing a trace: what a simulated request costs, ticks and pods included.
//!
//! Depends on: figure.

use crate::figure::Figure;
use logic::replay::trace::requests::Arrival;
use logic::replay::{Settings, Simulation};
use std::time::Instant;

const REQUESTS: u64 = 1_000_000;
/// A thousand requests a second, half a second each.
const GAP: u64 = 1_000_000;
const DURATION: u64 = 500_000_000;

pub(crate) fn figures() -> Vec<Figure> {
    let once = || {
        let mut settings = Settings::default();
        settings.model.capacity = 10;
        let begun = Instant::now();
        let mut simulation = Simulation::new(&settings, 0);
        let all = (0..REQUESTS).map(|number| Arrival {
            start: number * GAP,
            duration: DURATION,
        });
        let taken = all.filter(|arrival| simulation.arrive(*arrival).is_ok()).count();
        let outcome = simulation.finish();
        assert_eq!(outcome.requests, taken as u64, "every request is played");
        begun.elapsed().as_secs_f64() * 1e9 / REQUESTS as f64
    };
    // 1 000 ns each is 1 M requests/s.
    vec![Figure::new(
        "simulator, a request of a million",
        "ns",
        (1000.0, 500.0),
        once,
    )]
}
