// SPDX-License-Identifier: Apache-2.0
//! Throughput, latency and CPU of the ways, compared within a round.
//!
//! Mechanism: a round runs every way once, in turn; the order is reversed every round; ratios and differences are to the
//! direct run of the same round.
//! Depends on: ground, drive, sample, limit, report.

use anyhow::Result;

use super::drive::{self, Outcome, Shape};
use super::ground::{Ground, Way};
use crate::limit::{Unit, at_least, at_most};
use crate::report::Report;
use crate::sample::Estimate;

const RATIO: Unit = Unit::none(2);
const MICROS: Unit = Unit("µs", 1);

const ALL: &[Way] = &[
    Way::Direct,
    Way::Counted,
    Way::Buffered,
    Way::Gateway,
    Way::Bytes,
    Way::Relay,
    Way::Pool,
];
const MOST: &[Way] = &[Way::Direct, Way::Buffered, Way::Pool];
const ONE: &[Way] = &[Way::Direct, Way::Buffered, Way::Bytes, Way::Pool];
const LARGE: &[Way] = &[Way::Direct, Way::Buffered, Way::Bytes, Way::Pages, Way::Pool];
const TWO: &[Way] = &[Way::Direct, Way::Buffered];

struct Case {
    name: &'static str,
    shape: Shape,
    connections: u32,
    ways: &'static [Way],
    rounds: u32,
}

/// Runs of each way, round by round.
struct Runs<'c> {
    case: &'c Case,
    rounds: Vec<Vec<Outcome>>,
}

impl Runs<'_> {
    /// A figure of a way against another's in the same round.
    fn against(&self, way: Way, other: Way, figure: impl Fn(&Outcome, &Outcome) -> f64) -> Estimate {
        let place = |way| {
            self.case
                .ways
                .iter()
                .position(|other| *other == way)
                .unwrap_or_default()
        };
        let (way, other) = (place(way), place(other));
        let values: Vec<f64> = self
            .rounds
            .iter()
            .map(|round| figure(&round[way], &round[other]))
            .collect();
        Estimate::of(&values)
    }

    fn ratio(&self, way: Way, other: Way) -> Estimate {
        self.against(way, other, |one, two| one.per_second / two.per_second)
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |way: &Way| {
            let of = |figure: fn(&Outcome) -> f64| self.against(*way, *way, |one, _| figure(one));
            let against =
                |figure: fn(&Outcome) -> f64| self.against(*way, Way::Direct, |one, two| figure(one) - figure(two));
            let (p50, is_direct) = (of(|run| run.p50), *way == Way::Direct);
            let unless_direct = |text: String| if is_direct { String::new() } else { text };
            vec![
                self.case.name.to_owned(),
                way.name().to_owned(),
                format!("{:.0}", of(|run| run.per_second)),
                unless_direct(format!("{:.2}", self.ratio(*way, Way::Direct))),
                if p50.median > 0.0 {
                    format!("{p50:.0}")
                } else {
                    String::new()
                },
                format!("{:.1}", of(|run| run.cpu)),
                unless_direct(format!("{:.1}", against(|run| run.cpu))),
                self.rounds.len().to_string(),
            ]
        };
        self.case.ways.iter().map(row).collect()
    }
}

/// Small requests at 1 and 32 connections: T3, T4, T5 and what hyper would do.
pub(super) fn small(ground: &Ground<'_>, quick: bool, report: &mut Report) -> Result<()> {
    let case = |name, connections, ways, rounds| Case {
        name,
        shape: Shape::Small,
        connections,
        ways,
        rounds: if quick { 3 } else { rounds },
    };
    let (many, one) = (case("32 connections", 32, ALL, 15), case("1 connection", 1, ONE, 15));
    let (many, one) = (run(ground, &many)?, run(ground, &one)?);
    let ratio = many.ratio(Way::Buffered, Way::Direct);
    at_least(
        report,
        "T3 buffered / direct throughput, 32 connections",
        [0.5, 0.7],
        RATIO,
        ratio,
    );
    let added = one.against(Way::Buffered, Way::Direct, |one, two| one.p50 - two.p50);
    at_most(report, "T4 p50 added at 1 connection", [30.0, 15.0], MICROS, added);
    let added = many.against(Way::Buffered, Way::Direct, |one, two| one.cpu - two.cpu);
    at_most(report, "T5 CPU added a buffered request", [14.0, 8.0], MICROS, added);
    let gain = many.ratio(Way::Buffered, Way::Pool);
    at_least(
        report,
        "buffered / hyper relay throughput, 32 connections",
        [1.3, 1.3],
        RATIO,
        gain,
    );
    let routes = many.ratio(Way::Gateway, Way::Buffered);
    at_least(
        report,
        "1 000 routes / one route, 32 connections",
        [0.95, 0.98],
        RATIO,
        routes,
    );
    table(report, "Path: small requests", &[many, one]);
    Ok(())
}

/// Other shapes: many connections, long heads, large bodies, HTTP/2.
pub(super) fn shapes(ground: &Ground<'_>, quick: bool, report: &mut Report) -> Result<()> {
    let case = |name, shape, connections, ways| Case {
        name,
        shape,
        connections,
        ways,
        rounds: if quick { 2 } else { 15 },
    };
    let cases = [
        case("256 connections", Shape::Small, 256, MOST),
        case("32 connections, 1 kB heads", Shape::LongHead, 32, MOST),
        case("8 connections, 1 MB answers", Shape::Down, 8, LARGE),
        case("8 connections, 1 MB requests", Shape::Up, 8, LARGE),
        case("h2c, 32 connections of 1 stream", Shape::Two(1), 32, TWO),
        case("h2c, 8 connections of 10 streams", Shape::Two(10), 8, TWO),
    ];
    let runs: Result<Vec<Runs<'_>>> = cases.iter().map(|case| run(ground, case)).collect();
    let runs = runs?;
    for (name, shape) in [
        ("1 MB answers, buffered / direct", Shape::Down),
        ("1 MB requests, buffered / direct", Shape::Up),
    ] {
        if let Some(runs) = runs.iter().find(|runs| runs.case.shape == shape) {
            at_least(report, name, [0.8, 0.9], RATIO, runs.ratio(Way::Buffered, Way::Direct));
        }
    }
    table(report, "Path: other shapes", &runs);
    Ok(())
}

fn run<'c>(ground: &Ground<'_>, case: &'c Case) -> Result<Runs<'c>> {
    eprintln!("path: {}", case.name);
    let mut rounds = Vec::new();
    for round in 0..case.rounds {
        let mut order: Vec<usize> = (0..case.ways.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        let mut outcomes = vec![Outcome::default(); case.ways.len()];
        for place in order {
            outcomes[place] = drive::run(ground, case.ways[place], case.shape, case.connections, 1)?;
        }
        rounds.push(outcomes);
    }
    Ok(Runs { case, rounds })
}

fn table(report: &mut Report, title: &str, runs: &[Runs<'_>]) {
    report.table(
        title,
        "One run is a second. Ratio, and CPU added, are to the direct run of the same round. CPU is the time of client, node \
         and pod together, a request.",
        &["case", "way", "requests/s", "ratio", "p50 µs", "CPU µs", "CPU added µs", "rounds"],
        runs.iter().flat_map(Runs::rows).collect(),
    );
}
