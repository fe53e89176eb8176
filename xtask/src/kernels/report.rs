// SPDX-License-Identifier: Apache-2.0
//! What a guest's console said, and the table made of it.
//!
//! Problem: one stream carries test results, the verifier's answers and whatever else a booting machine prints.
//! Mechanism: three kinds of line are read: the runner's result lines, `guest: STEP ended with CODE`, `probe: {JSON}`.
//! Invariants: a guest that does not say how every step ended has failed; a tier that did not come as it was asked for
//! is a failure.
//! Depends on: tally.

use crate::tally::Tally;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What the programs cost this kernel's verifier when a tier was asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Answer {
    asked: String,
    tier: String,
    why: String,
    programs: BTreeMap<String, u64>,
}

/// What the guest said so far.
#[derive(Default)]
pub(super) struct Report {
    tests: Tally,
    answers: Vec<Answer>,
    check: Option<bool>,
    probe: Option<bool>,
    suite: Option<bool>,
}

impl Report {
    /// Takes one line.
    pub(super) fn read(&mut self, line: &str) {
        self.tests.read(line);
        let answer = line
            .strip_prefix("probe: ")
            .and_then(|text| serde_json::from_str(text).ok());
        self.answers.extend(answer);
        let words: Vec<_> = line.split_whitespace().collect();
        if let ["guest:", step, "ended", "with", code] = words[..] {
            let step = match step {
                "check" => &mut self.check,
                "probe" => &mut self.probe,
                "suite" => &mut self.suite,
                _ => return,
            };
            *step = Some(code == "0");
        }
    }

    /// The verifier's answers; to be shown whatever the verdict is.
    pub(super) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// The sum: `check` is one, each tier is one, and the suite's own.
    pub(super) fn tally(&self) -> Result<Tally> {
        let (Some(check), Some(probe), Some(suite)) = (self.check, self.probe, self.suite) else {
            bail!("the guest ended without a verdict");
        };
        let tiers: Tally = self.answers.iter().map(|answer| one(answer.is_as_asked())).sum();
        let silent = (!probe || self.answers.is_empty()) && tiers.failed == 0;
        let crashed = !suite && self.tests.failed == 0;
        let missing = [silent, crashed].into_iter().filter(|is| *is).map(|_| Tally::FAILED);
        Ok(self.tests + one(check) + tiers + missing.sum())
    }
}

impl Answer {
    fn is_as_asked(&self) -> bool {
        self.tier == self.asked
    }
}

fn one(is_right: bool) -> Tally {
    if is_right { Tally::PASSED } else { Tally::FAILED }
}

/// A kernel's row of numbers, as Markdown that a terminal can show too.
pub(super) fn table(rows: &[(String, Vec<Answer>)]) -> String {
    let mut text =
        "| kernel | tier asked | tier | program | verifier's instructions |\n|---|---|---|---|---:|\n".to_owned();
    for (release, answers) in rows {
        for answer in answers {
            let start = format!("| {release} | {} | {} |", answer.asked, answer.tier);
            for (program, instructions) in &answer.programs {
                let _ = writeln!(text, "{start} {program} | {instructions} |");
            }
            if answer.programs.is_empty() {
                let _ = writeln!(text, "{start} none | |");
            }
        }
    }
    text
}

/// Why tiers did not come as they were asked for.
pub(super) fn complaints(rows: &[(String, Vec<Answer>)]) -> Vec<String> {
    let answers = rows
        .iter()
        .flat_map(|(release, answers)| answers.iter().map(move |answer| (release, answer)));
    answers
        .filter(|(_, answer)| !answer.is_as_asked())
        .map(|(release, answer)| format!("{release}: {} instead of {}: {}", answer.tier, answer.asked, answer.why))
        .collect()
}

/// Writes the page with the last recorded numbers.
pub(super) fn record(page: &Path, table: &str, tally: Tally, untested: &[&str]) -> Result<()> {
    let text = format!(
        "# Other kernels\n\n\
         Written by `cargo xtask test kernels --record`: Debian's own kernel under QEMU (TCG), every program loaded in\n\
         both tiers, then the network suite without its cases of loss and delay: {tally}.\n\
         Limit of the verifier: 1 000 000 instructions a program.\n\n\
         {table}\n\
         Untested, because no package of Debian 12 offers them: {}.\n",
        untested.join(", ")
    );
    if let Some(folder) = page.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::write(page, text).with_context(|| format!("writing {}", page.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        let mut report = Report::default();
        text.lines().for_each(|line| report.read(line));
        report
    }

    fn tally(text: &str) -> Result<Tally> {
        report(text).tally()
    }

    const RESULT: &str = "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
    const CHECK: &str = "guest: check ended with 0";
    const SUITE: &str = "guest: suite ended with 0";
    const PROBE: &str = r#"probe: {"asked":"exact","tier":"exact","why":"","milliseconds":5,"programs":{"egress":30044}}
guest: probe ended with 0"#;
    const REFUSED: &str = r#"probe: {"asked":"exact","tier":"connections","why":"R3 min value","milliseconds":5,"programs":{}}
guest: probe ended with 1"#;

    fn passed_and_failed(passed: usize, failed: usize) -> Tally {
        Tally {
            passed,
            failed,
            skipped: 0,
        }
    }

    #[test]
    fn a_guest_that_falls_silent_has_failed() {
        assert!(tally(RESULT).is_err());
        assert!(tally(CHECK).is_err());
        assert!(tally(&format!("{CHECK}\n{PROBE}\n{RESULT}")).is_err());
        assert!(tally(&format!("{CHECK}\n{RESULT}\n{SUITE}")).is_err());
    }

    #[test]
    fn check_and_each_tier_count_as_one() {
        let text = format!("{CHECK}\n{PROBE}\n{RESULT}\n{SUITE}");
        assert_eq!(tally(&text).unwrap(), passed_and_failed(6, 0));
        let text = format!("guest: check ended with 3\n{PROBE}\n{RESULT}\n{SUITE}");
        assert_eq!(tally(&text).unwrap(), passed_and_failed(5, 1));
        let text = format!("{CHECK}\n{REFUSED}\n{RESULT}\n{SUITE}");
        assert_eq!(tally(&text).unwrap(), passed_and_failed(5, 1));
    }

    #[test]
    fn a_probe_that_says_nothing_is_one_failure() {
        let text = format!("{CHECK}\nguest: probe ended with 127\n{RESULT}\n{SUITE}");
        assert_eq!(tally(&text).unwrap(), passed_and_failed(5, 1));
    }

    #[test]
    fn a_suite_that_crashes_is_one_failure() {
        let text = format!("{CHECK}\n{PROBE}\nguest: suite ended with 139");
        assert_eq!(tally(&text).unwrap(), passed_and_failed(2, 1));
    }

    #[test]
    fn the_table_has_a_row_for_every_program_and_the_complaint_says_why() {
        let rows = [
            ("6.1".to_owned(), report(PROBE).answers().to_vec()),
            ("5.10".to_owned(), report(REFUSED).answers().to_vec()),
        ];
        let table = table(&rows);
        assert!(table.contains("| 6.1 | exact | exact | egress | 30044 |\n"), "{table}");
        assert!(table.contains("| 5.10 | exact | connections | none | |\n"), "{table}");
        assert_eq!(complaints(&rows), ["5.10: connections instead of exact: R3 min value"]);
    }
}
