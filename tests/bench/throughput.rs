// SPDX-License-Identifier: Apache-2.0
//! The same server counted and uncounted.
//!
//! Mechanism: pairs of runs next to each other, order reversed every round; the ratio is taken within a pair.
//! Depends on: site, limit, sample, report.

use anyhow::{Result, bail};

use crate::limit::{Unit, at_least};
use crate::report::Report;
use crate::sample::Estimate;
use crate::site::{Load, Protocol, Site};

struct Case {
    name: &'static str,
    load: Load,
    pairs: u32,
}

/// Required and wished share of the uncounted throughput (T1).
const REQUIRED: f64 = 0.93;
const AIM: f64 = 0.97;
/// The case that T1 speaks of.
const T1: &str = "HTTP/1.1, 32 connections";

/// Measures and reports.
pub(crate) fn measure(site: &Site<'_>, quick: bool, report: &mut Report) -> Result<()> {
    let mut rows = Vec::new();
    for case in cases(quick) {
        eprintln!("throughput: {}", case.name);
        let (uncounted, counted) = pairs(site, &case)?;
        let ratios: Vec<f64> = counted
            .iter()
            .zip(&uncounted)
            .map(|(with, without)| with / without)
            .collect();
        let ratio = Estimate::of(&ratios);
        if case.name == T1 {
            let name = "T1 counted / uncounted throughput, 32 connections";
            at_least(report, name, [REQUIRED, AIM], Unit::none(3), ratio);
        }
        rows.push(vec![
            case.name.to_owned(),
            format!("{:.0}", Estimate::of(&uncounted)),
            format!("{:.0}", Estimate::of(&counted)),
            format!("{ratio:.3}"),
            ratio.size.to_string(),
        ]);
    }
    report.table(
        "Throughput, counted and uncounted",
        "Requests a second; one run is one second. Small answers (13 bytes) unless said otherwise. \
         The ratio is the median over pairs of neighbouring runs, not the quotient of the medians.",
        &["case", "uncounted", "counted", "counted / uncounted", "pairs"],
        rows,
    );
    Ok(())
}

fn cases(quick: bool) -> Vec<Case> {
    let http2 = |connections| Load {
        protocol: Protocol::Http2 { streams: 1 },
        ..Load::small(connections)
    };
    let path = |path, connections| Load {
        path,
        ..Load::small(connections)
    };
    let heads = Load {
        long_head: true,
        ..Load::small(32)
    };
    let all = [
        (T1, Load::small(32), 101),
        ("HTTP/1.1, 1 connection", Load::small(1), 15),
        ("HTTP/1.1, 256 connections", Load::small(256), 15),
        ("HTTP/1.1, 32 connections, 1 kB heads", heads, 15),
        ("HTTP/1.1, 8 connections, 1 MB answers", path("large", 8), 15),
        ("HTTP/1.1, 32 connections, 100 chunks of 1 kB", path("chunks", 32), 15),
        ("h2c, 1 connection", http2(1), 15),
        ("h2c, 32 connections", http2(32), 15),
        ("h2c, 256 connections", http2(256), 15),
    ];
    let case = |(name, load, pairs)| Case {
        name,
        load,
        pairs: if quick { 2 } else { pairs },
    };
    // Of a quick form the first and the last.
    let is_wanted = |place: usize| !quick || place == 0 || place == all.len() - 1;
    (0..all.len())
        .filter(|place| is_wanted(*place))
        .map(|place| case(all[place]))
        .collect()
}

/// Requests a second without and with counting, pair by pair.
fn pairs(site: &Site<'_>, case: &Case) -> Result<(Vec<f64>, Vec<f64>)> {
    let (mut uncounted, mut counted) = (Vec::new(), Vec::new());
    for round in 0..case.pairs {
        let order = if round % 2 == 0 { [false, true] } else { [true, false] };
        for counts in order {
            let per_second = run(site, &case.load, counts)?;
            if counts { &mut counted } else { &mut uncounted }.push(per_second);
        }
    }
    Ok((uncounted, counted))
}

fn run(site: &Site<'_>, load: &Load, counts: bool) -> Result<f64> {
    if counts {
        site.count()?;
    }
    let before = site.started()?;
    let outcome = site.run(load, 1);
    let counted = site.started()? - before;
    site.uncount()?;
    let outcome = outcome?;
    let is_right = if counts {
        counted >= outcome.requests
    } else {
        counted == 0
    };
    if !is_right {
        bail!(
            "{load:?}: {} requests, {counted} counted (counting: {counts})",
            outcome.requests
        );
    }
    Ok(outcome.per_second)
}
