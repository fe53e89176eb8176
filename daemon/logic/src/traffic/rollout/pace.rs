// SPDX-License-Identifier: Apache-2.0
//! The pace of a rollout: how many steps, how large, how far apart (control-plane spec 4.8, "ObserveReady").
//!
//! Mechanism: the arithmetic is in 64-bit floats, for the stored times must equal Knative's to the nanosecond (a Unix
//! time in nanoseconds has a grain of 256 ns there).
//! Depends on: state.

use super::state::ConfigurationRollout;
use std::time::Duration;

const SECOND: f64 = 1e9;

/// Sets time and size of the steps. A share of 1 % has nothing left to move and gets none (Knative would divide by zero).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the floats are the contract"
)]
pub(super) fn set(configuration: &mut ConfigurationRollout, now: i64, duration: Duration) {
    if configuration.percent < 2 {
        return;
    }
    let fastest = seconds(now.saturating_sub(configuration.step_params.start_time))
        .ceil()
        .max(1.0);
    // The first 1 % has used up `fastest` already.
    let remaining = (duration.as_secs() as f64 - fastest).max(1.0);
    let points = (configuration.percent - 1) as f64;
    let steps = (remaining / fastest).max(1.0).min(points);
    let step_duration = remaining / steps * SECOND;
    let params = &mut configuration.step_params;
    params.step_duration = step_duration as i64;
    params.step_size = (points / steps).round() as i64;
    params.next_step_time = (now as f64 + step_duration) as i64;
}

/// Whole seconds and the rest, added as floats.
#[expect(clippy::cast_precision_loss, reason = "the floats are the contract")]
fn seconds(nanoseconds: i64) -> f64 {
    (nanoseconds / 1_000_000_000) as f64 + (nanoseconds % 1_000_000_000) as f64 / SECOND
}
