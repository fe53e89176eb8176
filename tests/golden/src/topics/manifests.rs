// SPDX-License-Identifier: Apache-2.0
//! `manifests`: what people copy from articles, accepted or refused as the comment at the top says.
//!
//! What the comment quotes, its line number, keys with a `/` and names of groups must be among the findings.
//! Depends on: data, report.

use crate::data::Case;
use crate::report::Verdict;
use api::manifest::{self, Circumstances, Severity};

/// Whether the manifest is judged as its comment says.
pub(crate) fn judge(case: &Case) -> Verdict {
    let text = case.value["text"].as_str().unwrap_or_default();
    let comment: Vec<_> = text.lines().map_while(|line| line.strip_prefix('#')).collect();
    let comment = comment.join(" ");
    let expected = comment
        .trim()
        .strip_prefix("expect: ")
        .ok_or("the first line says no `expect`")?;
    let judgements = manifest::judge(text, &Circumstances::default());
    let is_accepted = judgements.iter().all(|one| one.verdict == manifest::Verdict::Accepted);
    let findings: Vec<_> = judgements
        .iter()
        .flat_map(|one| &one.findings)
        .filter(|finding| finding.severity != Severity::Warning)
        .map(|finding| {
            format!(
                "line {}: {}: {} [{}]",
                finding.line, finding.field, finding.message, finding.help
            )
        })
        .collect();
    let said = findings.join("\n");
    if is_accepted != expected.starts_with("accepted") {
        return Err(format!("expected {expected}, got {said:?}"));
    }
    let wanted = if is_accepted { Vec::new() } else { words(expected) };
    match wanted.into_iter().find(|word| !said.contains(word.as_str())) {
        None => Ok(()),
        Some(word) => Err(format!("nothing says {word:?}:\n{said}")),
    }
}

/// What the findings must contain.
fn words(expected: &str) -> Vec<String> {
    let quoted = expected.split('"').skip(1).step_by(2).map(str::to_owned);
    let line = expected.split("line ").nth(1).map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        format!("line {digits}")
    });
    let keys = expected
        .split(|char: char| char.is_whitespace() || ":;,\"".contains(char))
        .filter(|word| word.contains(".dev"))
        .map(str::to_owned);
    quoted.chain(line).chain(keys).collect()
}
