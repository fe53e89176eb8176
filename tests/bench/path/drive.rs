// SPDX-License-Identifier: Apache-2.0
//! One run of a load tool over one way.
//!
//! Depends on: ground, site (what the tools say), wrk, h2load, taskset.

use anyhow::{Context, Result};

use super::ground::{Ground, HOST, HOST_TWO, Way};
use crate::site::{h2load_says, wrk_says};

/// Seconds after which a load tool is killed.
const LIMIT: u32 = 30;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A GET with a short head and a short answer.
    Small,
    /// The same with a head of 1 kB in 14 fields.
    LongHead,
    /// A GET answered with 1 MB.
    Down,
    /// A POST of 1 MB.
    Up,
    /// HTTP/2, so many streams a connection.
    Two(u32),
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) per_second: f64,
    /// Microseconds; 0 where the tool does not say it.
    pub(super) p50: f64,
    /// Microseconds of CPU a request.
    pub(super) cpu: f64,
}

/// Loads a way for about so many seconds.
pub(super) fn run(ground: &Ground<'_>, way: Way, shape: Shape, connections: u32, seconds: u32) -> Result<Outcome> {
    if way == Way::Counted {
        ground.site.count()?;
    }
    let outcome = load(ground, way, shape, connections, seconds);
    if way == Way::Counted {
        ground.site.uncount()?;
    }
    outcome
}

fn load(ground: &Ground<'_>, way: Way, shape: Shape, connections: u32, seconds: u32) -> Result<Outcome> {
    let arguments = arguments(ground, way, shape, connections, seconds)?;
    let mut words = vec!["-c", "echo 0 > \"$0\" && exec \"$@\""];
    let procs = ground.load.path().join("cgroup.procs");
    words.push(procs.to_str().context("a path of the rig")?);
    words.extend(arguments.iter().map(String::as_str));
    let before = ground.spent()?;
    let said = ground.site.field.client.tool("sh", &words, "")?;
    let spent = ground.spent()? - before;
    let outcome = match shape {
        Shape::Two(_) => h2load_says(&said),
        _ => wrk_says(&said),
    };
    let outcome = outcome.with_context(|| format!("{}:\n{said}", arguments.join(" ")))?;
    Ok(Outcome {
        per_second: outcome.per_second,
        p50: median_of(&said).unwrap_or_default(),
        cpu: spent / outcome.requests.max(1) as f64,
    })
}

fn arguments(ground: &Ground<'_>, way: Way, shape: Shape, connections: u32, seconds: u32) -> Result<Vec<String>> {
    let is_two = matches!(shape, Shape::Two(_));
    let tool = match shape {
        Shape::Two(streams) => {
            let requests = seconds * if connections == 1 { 10_000 } else { 25_000 };
            format!("h2load -t1 -n{requests} -m{streams} -c{connections}")
        }
        _ => format!("wrk -t1 -d{seconds}s --latency -c{connections}"),
    };
    let mut all: Vec<String> = format!("taskset -c 0 timeout -s KILL {LIMIT} {tool}")
        .split(' ')
        .map(str::to_owned)
        .collect();
    let host = match shape {
        Shape::Two(_) => format!(":authority: {HOST_TWO}"),
        _ => format!("Host: {HOST}"),
    };
    all.extend(["-H".to_owned(), host]);
    let path = match shape {
        Shape::Down => "large",
        Shape::Up => {
            let script = ground.folder.join("post.lua");
            std::fs::write(&script, "wrk.method = 'POST'\nwrk.body = string.rep('x', 1048576)\n")?;
            all.extend(["-s".to_owned(), script.display().to_string()]);
            "sink"
        }
        _ => "small",
    };
    if shape == Shape::LongHead {
        for field in 0..14 {
            all.extend(["-H".to_owned(), format!("x-field-{field:02}: {}", "v".repeat(57))]);
        }
    }
    all.push(format!("http://{}/{path}", ground.address(way, is_two)));
    Ok(all)
}

/// What wrk says of the median, in microseconds.
fn median_of(said: &str) -> Option<f64> {
    let word = said.lines().find_map(|line| line.trim().strip_prefix("50%"))?.trim();
    let digits = word.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let factor = match word.get(digits.len()..)? {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_read_in_any_unit() {
        assert_eq!(
            median_of("  Latency\n     50%  219.00us\n     75%  1.2ms\n"),
            Some(219.0)
        );
        assert_eq!(median_of("     50%    1.50ms\n"), Some(1500.0));
        assert_eq!(median_of("nothing"), None);
    }
}
