// SPDX-License-Identifier: Apache-2.0
//! What a container says of its end: its termination message.
//!
//! Source: Kubernetes' kubelet (`terminationMessagePolicy`): 4096 bytes of the file; else, after an error, the last 80
//! lines or 2048 bytes of the log.
//! Depends on: plan.

use std::fs;
use std::path::Path;

use k8s_openapi::api::core::v1::Container;

use super::plan;

const OF_FILE: usize = 4096;
const OF_LOG: usize = 2048;
const LINES: usize = 80;

/// The last words of an attempt.
#[must_use]
pub(super) fn of(attempt: &Path, container: &Container, code: i32) -> String {
    let words = fs::read(attempt.join(plan::LAST_WORDS)).unwrap_or_default();
    if !words.is_empty() {
        let words = words.get(..OF_FILE).unwrap_or(&words);
        return String::from_utf8_lossy(words).into_owned();
    }
    let falls_back = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    if code == 0 || !falls_back {
        return String::new();
    }
    let log = fs::read(attempt.join("log")).unwrap_or_default();
    end_of(&String::from_utf8_lossy(&log))
}

/// The end of a log, without times and streams.
fn end_of(log: &str) -> String {
    let bodies: Vec<&str> = log.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).collect();
    let mut text = bodies
        .get(bodies.len().saturating_sub(LINES)..)
        .unwrap_or_default()
        .join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    let from = text.len().saturating_sub(OF_LOG);
    let from = (from..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or_default();
    text.split_off(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_short_and_bare() {
        assert_eq!(end_of("T stdout F one\nT stderr F two words\n"), "one\ntwo words\n");
        let long: String = (0..1000)
            .map(|number| format!("T stdout F line {number} ü\n"))
            .collect();
        let end = end_of(&long);
        assert!(end.len() <= OF_LOG && end.ends_with("line 999 ü\n"), "{end}");
    }
}
