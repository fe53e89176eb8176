// SPDX-License-Identifier: Apache-2.0
//! A judgement as lines for people, and as JSON.
//!
//! Invariants: one line a finding, whatever is in it; every line begins with file and line, as compilers write them.
//! Depends on: api.

use api::manifest::{Finding, Judgement, Severity, Verdict};
use serde_json::{Value, json};

/// The findings, then what becomes of the object.
pub(crate) fn lines(file: &str, judgement: &Judgement) -> Vec<String> {
    let what = object(judgement);
    let mut lines: Vec<_> = judgement
        .findings
        .iter()
        .map(|finding| one_line(&format!("{file}:{}: {what}: {}", finding.line, said(finding))))
        .collect();
    if judgement.verdict == Verdict::Accepted {
        lines.push(one_line(&format!("{file}:{}: {what}: accepted", judgement.line)));
    }
    lines
}

fn object(judgement: &Judgement) -> String {
    let document = judgement.document;
    match (judgement.kind.as_str(), judgement.name.as_str()) {
        ("", _) => format!("document {document}"),
        (kind, "") => format!("document {document}, {kind}"),
        (kind, name) => format!("document {document}, {kind} {name}"),
    }
}

fn said(finding: &Finding) -> String {
    let mut text = format!("{}: ", severity(finding.severity));
    if !finding.field.is_empty() && !finding.message.contains(&finding.field) {
        text.push_str(&finding.field);
        text.push_str(": ");
    }
    text.push_str(&finding.message);
    if !finding.help.is_empty() {
        text.push_str(&format!("; {}", finding.help));
    }
    text
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// Control characters would end the line, or worse.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

/// The fields that `sluice validate --help` lists.
pub(crate) fn json(file: &str, judgement: &Judgement) -> Value {
    let findings: Vec<_> = judgement
        .findings
        .iter()
        .map(|finding| {
            json!({
                "severity": severity(finding.severity),
                "line": finding.line,
                "field": finding.field,
                "message": finding.message,
                "help": finding.help,
            })
        })
        .collect();
    json!({
        "file": file,
        "document": judgement.document,
        "line": judgement.line,
        "kind": judgement.kind,
        "name": judgement.name,
        "verdict": match judgement.verdict {
            Verdict::Accepted => "accepted",
            Verdict::Refused => "refused",
            Verdict::Skipped => "skipped",
        },
        "findings": findings,
        "defaulted": judgement.defaulted,
    })
}
