// SPDX-License-Identifier: Apache-2.0
//! What came of a simulation, for people, in 80 columns.
//!
//! Depends on: played, spark, logic.

use std::time::Duration;

use logic::replay::{Outcome, Point, line::shown};

use super::{played::Played, spark};

/// Columns of a curve.
const WIDTH: usize = 60;
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// The lines.
pub(super) fn lines(trace: &str, set: &str, played: &[Played<'_>], in_colour: bool) -> Vec<String> {
    let style = |style: &str, text: String| match in_colour {
        true => format!("{style}{text}{PLAIN}"),
        false => text,
    };
    let mut lines = Vec::new();
    if let Some(first) = played.first() {
        let time = duration(first.outcome.time);
        lines.push(format!(
            "{}: {} requests, {time} with the tail{}",
            shown(trace),
            thousands(first.outcome.requests),
            if set.is_empty() {
                String::new()
            } else {
                format!("; {}", shown(set))
            },
        ));
        lines.push(String::new());
    }
    let names: Vec<_> = played.iter().map(|played| name(played)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(8);
    let is_wide = wide > 24;
    let first = if is_wide { 8 } else { wide };
    lines.push(style(BOLD, heading(first)));
    for (played, name) in played.iter().zip(&names) {
        if is_wide {
            lines.push(name.clone());
        }
        lines.push(row(if is_wide { "" } else { name }, first, &played.outcome));
    }
    for (played, name) in played.iter().zip(&names) {
        lines.push(String::new());
        if played.variant.label.is_empty() {
            lines.push(style(BOLD, "over time".to_owned()));
        } else {
            lines.push(style(BOLD, name.clone()));
        }
        lines.extend(curves(&played.outcome).map(|(text, is_faint)| if is_faint { style(DIM, text) } else { text }));
    }
    lines
}

fn name(played: &Played<'_>) -> String {
    match played.variant.label.as_str() {
        "" => "as set".to_owned(),
        label => shown(label),
    }
}

fn heading(wide: usize) -> String {
    format!(
        "{:wide$} {:>6} {:>5} {:>8} {:>5} {:>7} {:>7} {:>7} {:>6}",
        "SETTINGS", "PODS", "MOST", "POD-S", "COLD", "WAITp50", "p99", "REFUSED", "PANIC"
    )
}

fn row(name: &str, wide: usize, outcome: &Outcome) -> String {
    format!(
        "{name:wide$} {:>6.1} {:>5} {:>8} {:>5} {:>7} {:>7} {:>7} {:>6}",
        outcome.mean_pods(),
        outcome.most_ready,
        short(outcome.pod_seconds),
        short(outcome.cold_starts as f64),
        duration(outcome.waits.quantile(0.5)),
        duration(outcome.waits.quantile(0.99)),
        short(outcome.refused as f64),
        duration(Duration::from_secs(outcome.panic_seconds)),
    )
}

/// Curves over time, each with its largest value, and whether the line is faint.
fn curves(outcome: &Outcome) -> impl Iterator<Item = (String, bool)> {
    let points = &outcome.points;
    let column = |value: fn(&Point) -> f64| points.iter().map(value).collect::<Vec<_>>();
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let (load, waiting) = (column(|point| point.load), column(|point| point.waiting));
    let (desired, ready) = (column(|point| point.desired), column(|point| point.ready));
    let pods = most(&desired).max(most(&ready));
    let requests = most(&load);
    let curve = |name: &str, values: &[f64], top: f64| {
        let line = spark::line(values, WIDTH, top);
        format!("  {name:8} {line:WIDTH$} {}", short(most(values)))
    };
    let marks: Vec<_> = points
        .iter()
        .map(|point| match (point.cold_starts, point.panic) {
            (1.., _) => Some('!'),
            (_, true) => Some('~'),
            _ => None,
        })
        .collect();
    let mut lines = vec![(curve("load", &load, requests), false)];
    if most(&waiting) > 0.0 {
        lines.push((curve("waiting", &waiting, requests), false));
    }
    lines.push((curve("desired", &desired, pods), false));
    lines.push((curve("ready", &ready, pods), false));
    let is_marked = marks.iter().any(Option::is_some);
    if is_marked {
        let line = format!("  {:8} {}", "", spark::marks(&marks, WIDTH));
        lines.push((line.trim_end().to_owned(), true));
    }
    let end = duration(outcome.time);
    let drawn = WIDTH.min(points.len()).saturating_sub(1);
    lines.push((format!("  {:8} 0{end:>drawn$}", ""), true));
    if is_marked {
        lines.push((format!("  {:8} ! a cold start, ~ panic", ""), true));
    }
    lines.into_iter()
}

/// The figures of a panel.
pub(super) fn figures(outcome: &Outcome) -> String {
    let refused = match outcome.refused {
        0 => String::new(),
        refused => format!("{} refused · ", thousands(refused)),
    };
    let cold = match outcome.cold_starts {
        1 => "1 cold start".to_owned(),
        count => format!("{} cold starts", thousands(count)),
    };
    format!(
        "{refused}wait p50 {}, p99 {} · {cold} · {} pod-seconds",
        duration(outcome.waits.quantile(0.5)),
        duration(outcome.waits.quantile(0.99)),
        thousands(outcome.pod_seconds.round() as u64),
    )
}

/// Digits in groups of three.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// At most six characters.
pub(super) fn short(number: f64) -> String {
    match number {
        number if number >= 1e8 => format!("{:.0}M", number / 1e6),
        number if number >= 1e5 => format!("{:.0}k", number / 1e3),
        number if number.fract() == 0.0 || number >= 100.0 => format!("{number:.0}"),
        number => format!("{number:.1}"),
    }
}

/// A short time: 0, 12ms, 1.9s, 66s, 12min, 3.1h.
pub(super) fn duration(time: Duration) -> String {
    match time.as_secs_f64() {
        0.0 => "0".to_owned(),
        seconds if seconds < 0.0095 => format!("{:.1}ms", seconds * 1e3),
        seconds if seconds < 0.9995 => format!("{:.0}ms", seconds * 1e3),
        seconds if seconds < 9.95 && seconds.fract() != 0.0 => format!("{seconds:.1}s"),
        seconds if seconds < 999.5 => format!("{seconds:.0}s"),
        seconds if seconds < 3600.0 * 3.0 => format!("{:.0}min", seconds / 60.0),
        seconds if seconds < 86_400.0 * 3.0 => format!("{:.1}h", seconds / 3600.0),
        seconds => format!("{:.1}d", seconds / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        let times = [
            (0, "0"),
            (1_500, "1.5ms"),
            (120_000, "120ms"),
            (1_900_000, "1.9s"),
            (2_000_000, "2s"),
            (66_000_000, "66s"),
        ];
        for (microseconds, text) in times {
            assert_eq!(duration(Duration::from_micros(microseconds)), text);
        }
        assert_eq!(duration(Duration::from_secs(3600)), "60min");
        assert_eq!(thousands(1_234_567), "1 234 567");
        assert_eq!(
            (short(99_999.4), short(123_456.0), short(0.5)),
            ("99999".into(), "123k".into(), "0.5".into())
        );
    }
}
