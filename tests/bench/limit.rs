// SPDX-License-Identifier: Apache-2.0
//! Figures of which at most or at least so much is required and wished.
//!
//! Depends on: report, sample.

use std::fmt::Display;

use crate::report::{Report, Target};
use crate::sample::Estimate;

/// What is judged: a value, or a median whose interval is told beside it.
pub(crate) trait Figure: Copy + Display {
    /// What is held against the limit.
    fn middle(self) -> f64;
}

impl Figure for f64 {
    fn middle(self) -> f64 {
        self
    }
}

impl Figure for Estimate {
    fn middle(self) -> f64 {
        self.median
    }
}

/// How a figure is written.
#[derive(Clone, Copy)]
pub(crate) struct Unit(pub(crate) &'static str, pub(crate) usize);

impl Unit {
    /// Of a ratio.
    pub(crate) const fn none(digits: usize) -> Self {
        Self("", digits)
    }

    fn write(self, number: impl Display) -> String {
        format!("{number} {}", self.0).trim_end().to_owned()
    }
}

/// A figure that must not be above a limit: required, and wished.
pub(crate) fn at_most(report: &mut Report, name: &'static str, limits: [f64; 2], unit: Unit, figure: impl Figure) {
    judge(report, name, ("≤", |value, limit| value <= limit), limits, unit, figure);
}

/// A figure that must not be below a limit: required, and wished.
pub(crate) fn at_least(report: &mut Report, name: &'static str, limits: [f64; 2], unit: Unit, figure: impl Figure) {
    judge(report, name, ("≥", |value, limit| value >= limit), limits, unit, figure);
}

fn judge(
    report: &mut Report,
    name: &'static str,
    (sign, holds): (&str, fn(f64, f64) -> bool),
    limits: [f64; 2],
    unit: Unit,
    figure: impl Figure,
) {
    let [required, aim] = limits.map(|limit| unit.write(format_args!("{sign} {limit}")));
    let [is_met, is_aim_met] = limits.map(|limit| holds(figure.middle(), limit));
    let digits = unit.1;
    report.target(Target {
        name,
        required,
        aim,
        measured: unit.write(format_args!("{figure:.digits$}")),
        is_met,
        is_aim_met,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_itself_is_met_from_either_side() {
        let mut report = Report::default();
        at_most(&mut report, "time", [20.0, 5.0], Unit("ms", 1), 20.0);
        at_least(
            &mut report,
            "ratio",
            [0.5, 0.7],
            Unit::none(2),
            Estimate::of(&[0.5, 0.8, 0.9]),
        );
        assert!(report.missed().is_empty());
        let text = report.text();
        assert!(text.contains("≤ 20 ms") && text.contains("20.0 ms"), "{text}");
        assert!(text.contains("≥ 0.5 ") && text.contains("0.80 [0.50, 0.90]"), "{text}");
        at_most(&mut report, "more", [20.0, 5.0], Unit("ms", 1), 20.1);
        at_least(&mut report, "less", [0.5, 0.7], Unit::none(2), 0.49);
        let missed = report.missed();
        assert_eq!(
            missed,
            ["more: 20.1 ms (required ≤ 20 ms)", "less: 0.49 (required ≥ 0.5)"]
        );
    }
}
