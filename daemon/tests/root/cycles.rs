// SPDX-License-Identifier: Apache-2.0
//! Services go to zero and come back, many at once, and no request fails.
//!
//! With SLUICE_LONG=1: fifty services, a thousand cycles (`cargo xtask soak cycles`).

use crate::place::{FAST, Instance, Place, SERVICES, is_ready, service, within};
use std::thread;
use std::time::{Duration, Instant};

/// A test's answer may take so long at worst.
const LONGEST: Duration = Duration::from_secs(20);

/// What a round came to.
struct Round {
    failed: Vec<String>,
    /// In order.
    answered: Vec<Duration>,
}

#[test]
fn services_cycle_through_zero_together_without_a_failed_request() {
    let Some(place) = Place::new() else { return };
    let (count, rounds) = if is_long() { (50, 20) } else { (20, 2) };
    let names: Vec<_> = (0..count).map(|number| format!("s{number}")).collect();
    let none_at_first = "autoscaling.knative.dev/initial-scale: '0'";
    let services: String = names.iter().map(|name| service(name, none_at_first)).collect();
    let instance = place.start(&format!("{FAST}{services}"), &[]);
    let are_ready = || ready(&instance) == names.len();
    assert!(
        within(Duration::from_secs(60), are_ready),
        "{} of {count} services are ready",
        ready(&instance)
    );
    let begun = Instant::now();
    let mut failed = Vec::new();
    for number in 1..=rounds {
        let round = round(&instance, &names);
        let at = |share: usize| round.answered[(round.answered.len() - 1) * share / 100];
        println!(
            "round {number} of {rounds}, {:.0?}: {} cycles, {} failed, answers from zero P50 {:.0?}, P90 {:.0?}, at most {:.0?}",
            begun.elapsed(),
            number * count,
            round.failed.len(),
            at(50),
            at(90),
            at(100),
        );
        failed.extend(round.failed);
        let left = || instance.pods() == 0;
        assert!(within(Duration::from_secs(60), left), "{} pods stay", instance.pods());
    }
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
    println!("{} cycles over {count} services, none failed", rounds * count);
    instance.end();
    place.assert_nothing_left();
}

fn round(instance: &Instance, names: &[String]) -> Round {
    let asked: Vec<_> = thread::scope(|scope| {
        let ask = |name: &String| {
            let begun = Instant::now();
            let (status, body) = instance.get(&format!("{name}.default.localhost"), "/");
            let answered = begun.elapsed();
            let is_right = status == 200 && body.contains(name.as_str()) && answered < LONGEST;
            let wrong = (!is_right).then(|| format!("{name}: {status} {body} after {answered:?}"));
            (wrong, answered)
        };
        let asking: Vec<_> = names.iter().map(|name| scope.spawn(move || ask(name))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    let (failed, mut answered): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    answered.sort();
    Round {
        failed: failed.into_iter().flatten().collect(),
        answered,
    }
}

/// How many services are ready.
pub(crate) fn ready(instance: &Instance) -> usize {
    instance
        .list(SERVICES)
        .iter()
        .filter(|service| is_ready(service))
        .count()
}

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment")]
pub(crate) fn is_long() -> bool {
    std::env::var("SLUICE_LONG").is_ok_and(|value| value == "1")
}
