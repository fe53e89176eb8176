// SPDX-License-Identifier: Apache-2.0
//! Axes: where ticks stand and what they say.
//!
//! Invariants: ticks are round numbers; an axis has a few, never none.
//! Depends on: nothing.

/// The axes that all panels share.
pub(super) struct Axes {
    pub(super) pods: Scale,
    pub(super) load: Scale,
    pub(super) time: Time,
}

/// What an axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// Things that cannot be halved.
    Whole,
    /// Any number.
    Any,
}

/// An axis from 0 to `top`, with a tick each `step`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) top: f64,
    pub(super) step: f64,
}

impl Scale {
    /// An axis that reaches `most`.
    pub(super) fn of(axis: Axis, most: f64) -> Self {
        let most = if most > 0.0 && most.is_finite() { most } else { 1.0 };
        let rough = most / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|factor| factor * power >= rough * 0.999);
        let step = factor.unwrap_or(10.0) * power;
        let step = if axis == Axis::Whole {
            step.max(1.0).round()
        } else {
            step
        };
        Self {
            // A little air above.
            top: (most * 1.06 / step).ceil().max(1.0) * step,
            step,
        }
    }

    /// The ticks: where, as a part of the whole, and what they say.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let count = (self.top / self.step).round() as u32;
        (0..=count).map(|tick| {
            let value = f64::from(tick) * self.step;
            (value / self.top, number(value))
        })
    }
}

/// A short number: 0.5, 12, 1.2k, 3M.
pub(super) fn number(value: f64) -> String {
    let short = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match value {
        value if value >= 1e6 => format!("{}M", short(value / 1e6)),
        value if value >= 1e4 => format!("{}k", short(value / 1e3)),
        value => short(value),
    }
}

/// A time axis from 0 to `seconds`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Time {
    pub(super) seconds: f64,
    step: f64,
}

const MINUTE: f64 = 60.0;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;
/// Steps that people count in.
const STEPS: [f64; 22] = [
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    MINUTE,
    2.0 * MINUTE,
    5.0 * MINUTE,
    10.0 * MINUTE,
    15.0 * MINUTE,
    30.0 * MINUTE,
    HOUR,
    2.0 * HOUR,
    3.0 * HOUR,
    6.0 * HOUR,
    12.0 * HOUR,
    DAY,
    2.0 * DAY,
    7.0 * DAY,
    14.0 * DAY,
    28.0 * DAY,
];
/// About so many ticks.
const TICKS: f64 = 10.0;

impl Time {
    /// An axis of that length.
    pub(super) fn of(seconds: f64) -> Self {
        let rough = seconds / TICKS;
        let step = STEPS.into_iter().find(|step| *step >= rough);
        Self {
            seconds,
            step: step.unwrap_or_else(|| (rough / DAY).ceil() * DAY),
        }
    }

    /// The ticks: where, as a part of the whole, and what they say.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let count = (self.seconds / self.step).floor() as u32;
        let unit = match self.step {
            step if step >= DAY => (DAY, "d"),
            step if step >= HOUR => (HOUR, "h"),
            step if step >= MINUTE => (MINUTE, "min"),
            _ => (1.0, "s"),
        };
        (0..=count).map(move |tick| {
            let time = f64::from(tick) * self.step;
            let text = match tick {
                0 => "0".to_owned(),
                _ => format!("{} {}", number(time / unit.0), unit.1),
            };
            (time / self.seconds, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_most() {
        for (axis, most, top, step) in [
            (Axis::Whole, 1.0, 2.0, 1.0),
            (Axis::Whole, 8.0, 10.0, 2.0),
            (Axis::Whole, 0.0, 2.0, 1.0),
            (Axis::Any, 0.3, 0.4, 0.1),
            (Axis::Any, 97.0, 150.0, 50.0),
            (Axis::Any, 1e6, 1.25e6, 2.5e5),
        ] {
            let scale = Scale::of(axis, most);
            if most < 1e6 {
                assert!(
                    (scale.top - top).abs() < 1e-9 && (scale.step - step).abs() < 1e-9,
                    "{scale:?}"
                );
            }
            assert!(
                scale.top > most && (2..=8).contains(&scale.ticks().count()),
                "{scale:?}"
            );
        }
    }

    #[test]
    fn an_axis_of_any_length_has_a_few_ticks() {
        for seconds in [1.0, 7.0, 60.0, 601.0, 3600.0, 86_400.0, 31_622_400.0, 1e9] {
            let ticks: Vec<_> = Time::of(seconds).ticks().collect();
            assert!((2..=13).contains(&ticks.len()), "{seconds} {ticks:?}");
        }
        assert_eq!(
            Time::of(600.0).ticks().nth(1).map(|tick| tick.1),
            Some("1 min".to_owned())
        );
    }
}
