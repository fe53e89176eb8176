// SPDX-License-Identifier: Apache-2.0
//! What a start costs: from the pod's creation to the program's first line, to ready, and to its end.
//!
//! `pods-suite bench`: one line of figures, in milliseconds. The program is this one, which takes some of it for itself.
//! Depends on: machine.

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::machine::{Machine, pod};

const TIMES: usize = 100;

pub(crate) fn run() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let machine = Machine::new()?;
    // The pool of ready places fills.
    std::thread::sleep(Duration::from_millis(500));
    let (mut listens, mut readies, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TIMES {
        let name = format!("p{turn}");
        let since = SystemTime::now();
        let begun = Instant::now();
        machine.create(pod(&name, &[], json!({})))?;
        machine.ready(&name)?;
        readies.push(begun.elapsed());
        // It listens a moment before it says so.
        let log = loop {
            let log = machine.logs(&name, &Default::default())?;
            if log.ends_with('\n') {
                break log;
            }
        };
        let at: u128 = log.trim().rsplit(' ').next().context("log")?.parse()?;
        let from = since.duration_since(SystemTime::UNIX_EPOCH)?.as_micros();
        listens.push(Duration::from_micros(u64::try_from(at.saturating_sub(from))?));
        let begun = Instant::now();
        machine.delete(&name, Some(1))?;
        machine.gone(&name)?;
        ends.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(30));
    }
    let own = (0..TIMES).map(|_| own_start()).collect::<Result<Vec<_>>>()?;
    for (what, mut times) in [
        ("program alone", own),
        ("listens", listens),
        ("ready", readies),
        ("ended", ends),
    ] {
        times.sort();
        let at = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e3;
        println!(
            "{what:14} p50 {:7.2}  p90 {:7.2}  p99 {:7.2} ms",
            at(50),
            at(90),
            at(99)
        );
    }
    Ok(())
}

/// The program's own start, without a pod: from spawn to its first line.
fn own_start() -> Result<Duration> {
    use std::io::BufRead as _;
    let begun = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .arg("app")
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().context("stdout")?).read_line(&mut line)?;
    let took = begun.elapsed();
    child.kill()?;
    child.wait()?;
    Ok(took)
}
