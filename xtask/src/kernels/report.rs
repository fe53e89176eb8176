// SPDX-License-Identifier: Apache-2.0
//! What a guest's console said, and the table made of it.
//!
//! Problem: one stream carries test results, the verifier's answers and whatever else a booting machine prints.
//! Mechanism: four kinds of line are read: the runner's result lines, `guest: STEP ended with CODE`, `probe: {JSON}`, and
//! how many of the requests that `sluice check` makes were counted.
//! Invariants: a guest that does not say how every step ended has failed; a tier that did not come as it was asked for
//! is a failure, and so is a check that did not count. A kernel that cannot read requests has the best tier that it can
//! have instead, and no suite; where that is none, `check` and `top` have to end with the code that says so.
//! Depends on: setup (Kernel), tally.

use crate::setup::Kernel;
use crate::tally::Tally;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// How `sluice` ends where the kernel cannot do it.
const UNSUPPORTED: &str = "4";

/// What the programs cost this kernel's verifier when a tier was asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Answer {
    asked: String,
    tier: String,
    why: String,
    programs: BTreeMap<String, u64>,
    /// Whether it is what this kernel can do at most.
    #[serde(skip)]
    is_best: bool,
}

/// What the guest said so far.
#[derive(Default)]
pub(super) struct Report {
    tests: Tally,
    answers: Vec<Answer>,
    best: &'static str,
    has_begun: bool,
    counted: bool,
    check: Option<bool>,
    top: Option<bool>,
    probe: Option<bool>,
    suite: Option<bool>,
}

impl Report {
    /// Of a kernel that has this tier at best.
    pub(super) fn of(best: &'static str) -> Self {
        Self {
            best,
            ..Self::default()
        }
    }

    /// Takes one line.
    pub(super) fn read(&mut self, line: &str) {
        self.tests.read(line);
        self.has_begun |= line.starts_with("guest: ");
        let answer: Option<Answer> = line
            .strip_prefix("probe: ")
            .and_then(|text| serde_json::from_str(text).ok());
        self.answers.extend(answer.map(|answer| Answer {
            is_best: answer.tier == self.best_of(&answer.asked),
            ..answer
        }));
        self.counted |= line.contains(match self.best {
            "exact" => "counted exactly: 2 of 2",
            "connections" => "counted as connections: 2 of 2",
            _ => "tier: none",
        });
        let words: Vec<_> = line.split_whitespace().collect();
        if let ["guest:", step, "ended", "with", code] = words[..] {
            let mut expected = "0";
            if self.best == "none" && ["check", "top"].contains(&step) {
                expected = UNSUPPORTED;
            }
            let step = match step {
                "check" => &mut self.check,
                "top" => &mut self.top,
                "probe" => &mut self.probe,
                "suite" => &mut self.suite,
                _ => return,
            };
            *step = Some(code == expected);
        }
    }

    /// Whether our init ran, which says so first of all.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    fn best_of<'a>(&self, asked: &'a str) -> &'a str {
        if self.best == "exact" { asked } else { self.best }
    }

    /// The verifier's answers; to be shown whatever the verdict is.
    pub(super) fn into_answers(self) -> Vec<Answer> {
        self.answers
    }

    /// The sum: `check` and `top` are one each, each tier is one, and the suite's own.
    pub(super) fn tally(&self) -> Result<Tally> {
        let is_exact = self.best == "exact";
        let suite = if is_exact { self.suite } else { Some(true) };
        let (Some(check), Some(top), Some(probe), Some(suite)) = (self.check, self.top, self.probe, suite) else {
            bail!("the guest ended without a verdict");
        };
        let tiers: Tally = self.answers.iter().map(|answer| one(answer.is_best)).sum();
        // It ends with 1 where a tier is less than was asked for.
        let silent = (!probe && is_exact || self.answers.is_empty()) && tiers.failed == 0;
        let crashed = !suite && self.tests.failed == 0;
        let missing = [silent, crashed].into_iter().filter(|is| *is).map(|_| Tally::FAILED);
        Ok(self.tests + one(check && self.counted) + one(top) + tiers + missing.sum())
    }
}

fn one(is_right: bool) -> Tally {
    if is_right { Tally::PASSED } else { Tally::FAILED }
}

/// A kernel's row of numbers, as Markdown that a terminal can show too.
pub(super) fn table(rows: &[(Kernel, Vec<Answer>)]) -> String {
    let mut text =
        "| kernel | tier asked | tier | program | verifier's instructions |\n|---|---|---|---|---:|\n".to_owned();
    for (kernel, answers) in rows {
        let release = &kernel.release;
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
pub(super) fn complaints(rows: &[(Kernel, Vec<Answer>)]) -> Vec<String> {
    let answers = rows
        .iter()
        .flat_map(|(kernel, answers)| answers.iter().map(move |answer| (&kernel.release, answer)));
    answers
        .filter(|(_, answer)| !answer.is_best)
        .map(|(release, answer)| format!("{release}: {} instead of {}: {}", answer.tier, answer.asked, answer.why))
        .collect()
}

/// Writes the page with the last recorded numbers.
pub(super) fn record(page: &Path, table: &str, tally: Tally, untested: &[&str]) -> Result<()> {
    let text = format!(
        "# Other kernels\n\n\
         Written by `cargo xtask test kernels --record`: kernels of Debian's releases under QEMU (TCG), each with\n\
         `sluice check`, `sluice top` and every program loaded in both tiers, then the network suite without its cases of\n\
         loss and delay: {tally}. Before Linux 5.17 (no `bpf_loop`) connections are counted at most, before 5.12 (no\n\
         atomic instructions that answer) nothing: there `check` and `top` have to say so, and the suite is not run.\n\n\
         Limit of the verifier: 1 000 000 instructions a program.\n\n\
         {table}\n\
         Untested, because no release of Debian has them: {}.\n",
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
    use std::path::PathBuf;

    fn report(text: &str) -> Report {
        report_of("exact", text)
    }

    fn report_of(best: &'static str, text: &str) -> Report {
        let mut report = Report::of(best);
        text.lines().for_each(|line| report.read(line));
        report
    }

    fn tally(text: &str) -> Result<Tally> {
        report(text).tally()
    }

    const RESULT: &str = "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
    const CHECK: &str = "  yes  requests through a cgroup of our own  counted exactly: 2 of 2, one HTTP/1.1, one HTTP/2
guest: check ended with 0
guest: top ended with 0";
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
    fn a_guest_that_panics_while_it_boots_has_not_begun() {
        assert!(!report("[    3.6] traps: PANIC: double fault, error_code: 0x0").has_begun());
        assert!(report("guest: kernel 6.12.107").has_begun());
    }

    #[test]
    fn check_and_each_tier_count_as_one() {
        let text = format!("{CHECK}\n{PROBE}\n{RESULT}\n{SUITE}");
        assert_eq!(tally(&text).unwrap(), passed_and_failed(7, 0));
        for (from, to) in [
            ("check ended with 0", "check ended with 3"),
            ("top ended with 0", "top ended with 1"),
            ("counted exactly: 2", "counted as connections: 2"),
        ] {
            assert_eq!(tally(&text.replace(from, to)).unwrap(), passed_and_failed(6, 1), "{to}");
        }
        let text = format!("{CHECK}\n{REFUSED}\n{RESULT}\n{SUITE}");
        assert_eq!(tally(&text).unwrap(), passed_and_failed(6, 1));
    }

    #[test]
    fn a_kernel_that_cannot_read_requests_has_to_say_so_and_has_no_suite() {
        let text = format!("{CHECK}\n{REFUSED}").replace("exactly", "as connections");
        assert_eq!(
            report_of("connections", &text).tally().unwrap(),
            passed_and_failed(3, 0)
        );
        let exact = text.replace("as connections", "exactly");
        assert_eq!(
            report_of("connections", &exact).tally().unwrap(),
            passed_and_failed(2, 1)
        );
        assert!(report_of("connections", REFUSED).tally().is_err());
        let none = text
            .replace("  yes  requests", "tier: none\n  no  requests")
            .replace("as connections", "as nothing")
            .replace("check ended with 0", "check ended with 4")
            .replace("top ended with 0", "top ended with 4")
            .replace("\"tier\":\"connections\"", "\"tier\":\"none\"");
        assert_eq!(report_of("none", &none).tally().unwrap(), passed_and_failed(3, 0));
        assert_eq!(
            report_of("connections", &none).tally().unwrap(),
            passed_and_failed(0, 3)
        );
        assert_eq!(report_of("none", &text).tally().unwrap(), passed_and_failed(0, 3));
    }

    #[test]
    fn a_probe_that_says_nothing_is_one_failure() {
        let text = format!("{CHECK}\nguest: probe ended with 127\n{RESULT}\n{SUITE}");
        assert_eq!(tally(&text).unwrap(), passed_and_failed(6, 1));
    }

    #[test]
    fn a_suite_that_crashes_is_one_failure() {
        let text = format!("{CHECK}\n{PROBE}\nguest: suite ended with 139");
        assert_eq!(tally(&text).unwrap(), passed_and_failed(3, 1));
    }

    #[test]
    fn the_table_has_a_row_for_every_program_and_the_complaint_says_why() {
        let kernel = |release: &str| Kernel {
            release: release.to_owned(),
            image: PathBuf::new(),
            modules: PathBuf::new(),
        };
        let rows = [
            (kernel("6.1"), report(PROBE).into_answers()),
            (kernel("5.10"), report(REFUSED).into_answers()),
        ];
        let table = table(&rows);
        assert!(table.contains("| 6.1 | exact | exact | egress | 30044 |\n"), "{table}");
        assert!(table.contains("| 5.10 | exact | connections | none | |\n"), "{table}");
        assert_eq!(complaints(&rows), ["5.10: connections instead of exact: R3 min value"]);
    }
}
