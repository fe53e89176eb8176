// SPDX-License-Identifier: Apache-2.0
//! `kpa-decider`: every decision of a scenario, second by second, as `sluice simulate` replays it.
//!
//! Depends on: compare, data, report.

use crate::compare::difference;
use crate::data::Case;
use crate::report::Verdict;
use logic::replay::Scenario;
use logic::replay::scenario;

/// Whether every decision is Knative's, and all else is written back as it was.
pub(crate) fn judge(case: &Case) -> Verdict {
    let line = case.value.to_string();
    let scenario = Scenario::parse(&line).map_err(|error| error.to_string())?;
    let played = scenario::play(&scenario, &[]).map_err(|error| error.to_string())?;
    let written = serde_json::from_str(&played.scenario.to_line()).map_err(|error| error.to_string())?;
    match difference(&case.value, &written) {
        Some(difference) => Err(difference),
        None => Ok(()),
    }
}
