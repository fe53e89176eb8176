// SPDX-License-Identifier: Apache-2.0
//! Any file as a trace of any format: reading never panics; what is read is played, and no request is lost.
#![no_main]
#![allow(clippy::panic, reason = "this is how a target fails")]

use logic::replay::trace::requests::{self, Arrival};
use logic::replay::trace::seconds::{self, Maker};
use logic::replay::trace::{self, Format};
use logic::replay::{Scenario, Settings, Simulation, scenario};
use std::time::Duration;

/// Longer traces say nothing new and take long.
const SPAN: u64 = 3600 * 1_000_000_000;
const REQUESTS: u64 = 1000;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<_> = text.lines().filter(|line| trace::is_content(line)).collect();
    let _ = Format::detect(lines.iter().copied());
    let mut arrivals = Vec::new();
    let mut reader = requests::Reader::default();
    arrivals.extend(lines.iter().filter_map(|line| reader.line(line).ok().flatten()));
    play(&arrivals);
    let (mut reader, mut maker) = (seconds::Reader::default(), Maker::default());
    let rows = lines.iter().filter_map(|line| reader.line(line).ok().flatten());
    let made = rows.flat_map(|row| maker.requests(row, Duration::from_secs(1)));
    play(&made.take(REQUESTS as usize).collect::<Vec<_>>());
    for line in lines {
        if let Ok(scenario) = Scenario::parse(line) {
            let again = Scenario::parse(&scenario.to_line());
            assert!(again.is_ok_and(|again| again == scenario), "{line}");
            let _ = scenario::play(&scenario, &[]);
        }
    }
});

fn play(arrivals: &[Arrival]) {
    let Some(first) = arrivals.first() else { return };
    let mut settings = Settings::default();
    settings.model.capacity = 2;
    settings.model.queue = 3;
    let mut simulation = Simulation::new(&settings, first.start);
    let is_near = |arrival: &&Arrival| arrival.start - first.start < SPAN && arrival.duration < SPAN;
    for arrival in arrivals.iter().filter(is_near).take(REQUESTS as usize) {
        assert!(simulation.arrive(*arrival).is_ok());
    }
    let outcome = simulation.finish();
    assert_eq!(
        outcome.requests,
        outcome.answered + outcome.refused + outcome.running + outcome.waiting
    );
}
