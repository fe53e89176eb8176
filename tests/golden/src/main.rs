// SPDX-License-Identifier: Apache-2.0
//! `golden`: what real Knative answered, case by case, against our own answers.
//!
//! Problem: compatibility is thousands of small answers; each must be compared, none may be lost or quietly excused.
//! Mechanism: a topic reads its cases from the folder of test data (`data`), judges each one (`topics`), and the list of
//! intended differences (`differences.txt`) says which may differ, and why.
//! Invariants: every case of every file is judged; a case nobody can judge fails; a listed case that agrees fails; a listed
//! name that no file has fails. What the data mark as an accident of Knative (`quirk`) may differ: it is counted apart, and
//! `--quirks` prints it.
//! Depends on: api, logic.

mod compare;
mod data;
mod differences;
mod report;
mod topics;

use anyhow::{Result, bail};
use clap::Parser;
use differences::Differences;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use topics::Topic;

/// Compares our answers with what real Knative answered
#[derive(Parser)]
#[command(name = "golden", version)]
struct Cli {
    /// Topics to judge; every one when none is named
    topics: Vec<String>,
    /// The folder of the test data
    #[arg(long, env = "SLUICE_TESTDATA", default_value = "../shared/testdata")]
    data: PathBuf,
    /// Only the cases with this in their name
    #[arg(long, value_name = "NAME")]
    case: Option<String>,
    /// How many differences of each topic to print
    #[arg(long, default_value_t = 5)]
    show: usize,
    /// Print the accidents of Knative that we do not repeat, too
    #[arg(long)]
    quirks: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("golden: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything agrees.
fn run(cli: &Cli) -> Result<bool> {
    let differences = Differences::listed()?;
    let mut total = Report::default();
    let chosen: Vec<_> = topics::ALL.iter().filter(|topic| cli.wants(topic)).collect();
    if let Some(unknown) = cli
        .topics
        .iter()
        .find(|name| topics::ALL.iter().all(|topic| topic.name != **name))
    {
        let known: Vec<_> = topics::ALL.iter().map(|topic| topic.name).collect();
        bail!("no topic `{unknown}`; there are {}", known.join(", "));
    }
    for topic in chosen {
        let cases = topic.cases(&cli.data)?;
        let stale = match &cli.case {
            None => differences.unknown(topic.name, &cases),
            Some(_) => Vec::new(),
        };
        let mut report = Report::default();
        let wanted: Vec<_> = cases.iter().filter(|case| cli.wants_case(&case.name)).collect();
        for (case, verdict) in wanted.iter().zip(topic.verdicts(&wanted)) {
            let reason = differences.reason(topic.name, &case.name);
            match verdict {
                Err(difference) if case.is_quirk() && reason.is_none() => report.add_quirk(&case.name, difference),
                verdict => report.add(&case.name, verdict, reason),
            }
        }
        report.add_stale(stale);
        report.print(topic.name, cli.show, cli.quirks);
        total += report;
    }
    println!("{} passed, {} failed", total.passed(), total.failed());
    Ok(total.failed() == 0)
}

impl Cli {
    fn wants(&self, topic: &Topic) -> bool {
        match self.topics.is_empty() {
            true => !topic.is_hidden(),
            false => self.topics.iter().any(|name| name == topic.name),
        }
    }

    fn wants_case(&self, case: &str) -> bool {
        self.case.as_ref().is_none_or(|part| case.contains(part.as_str()))
    }
}
