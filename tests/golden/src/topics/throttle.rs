// SPDX-License-Identifier: Apache-2.0
//! `throttle.jsonl`: limiters, capacities, subsets; and the conditions of every kind.
//!
//! Depends on: data, report, conditions.

use super::conditions;
use crate::data::Case;
use crate::report::Verdict;

pub(crate) fn judge(case: &Case) -> Verdict {
    match case.kind() {
        "conditions" => conditions::judge(case),
        kind => Err(format!("nobody judges the kind `{kind}` yet")),
    }
}
