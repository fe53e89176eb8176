// SPDX-License-Identifier: Apache-2.0
//! Admitting a request and ending it, while nobody waits.
//!
//! Depends on: figure.

use crate::figure::Figure;
use logic::limiter::{Admission, Backends, Home, Limiter, PodId, PodSpec, Settings};
use std::time::Instant;

const PODS: u64 = 20;
/// Requests on the pods all the time, so that choosing has something to look at.
const RUNNING: usize = 60;
const REQUESTS: usize = 100_000;

pub(crate) fn figures() -> Vec<Figure> {
    let bounds = (200.0, 200.0);
    vec![
        Figure::new("limiter admit + release, concurrency 10", "ns", bounds, admitting(10)),
        Figure::new(
            "limiter admit + release, concurrency 1 of 100 pods",
            "ns",
            bounds,
            admitting(1),
        ),
        Figure::new("limiter admit + release, no limit", "ns", bounds, admitting(0)),
    ]
}

fn admitting(concurrency: u32) -> impl FnMut() -> f64 {
    let mut limiter = Limiter::new(Settings::new(concurrency), 1);
    let pods: Vec<_> = (0..if concurrency == 1 { 5 * PODS } else { PODS })
        .map(|id| PodSpec {
            id: PodId(id),
            home: Home::Here,
            accepting: true,
        })
        .collect();
    limiter.set_backends(Backends::Pods(&pods));
    let mut running: Vec<_> = (0..RUNNING).map(|_| limiter.arrive(0)).collect();
    move || {
        let begun = Instant::now();
        for number in 0..REQUESTS {
            let oldest = number % RUNNING;
            if let Admission::Start(ticket, _) = running[oldest] {
                limiter.end(ticket);
            }
            running[oldest] = limiter.arrive(0);
        }
        let time = begun.elapsed().as_secs_f64() * 1e9 / REQUESTS as f64;
        assert_eq!(limiter.counts().running as usize, RUNNING, "every request runs");
        time
    }
}
