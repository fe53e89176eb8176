// SPDX-License-Identifier: Apache-2.0
//! The files of the test data: one JSON value a line, each with a name; or one case a file.
//!
//! Invariants: a file that is missing, empty or has a line without a name is an error that names file and line.
//! Depends on: nothing.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// One input and what Knative answered.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) value: Value,
}

impl Case {
    /// Its `kind`, empty if it has none.
    pub(crate) fn kind(&self) -> &str {
        self.value["kind"].as_str().unwrap_or_default()
    }

    /// Whether it shows what looks like an accident of Knative.
    pub(crate) fn is_quirk(&self) -> bool {
        self.value["quirk"] == true
    }
}

/// The lines of `folder/file`.
pub(crate) fn lines(folder: &Path, file: &str) -> Result<Vec<Case>> {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).with_context(|| {
        format!(
            "reading {} (SLUICE_TESTDATA names the folder of the test data)",
            path.display()
        )
    })?;
    let cases: Vec<_> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| case(line).with_context(|| format!("{}:{}", path.display(), index + 1)))
        .collect::<Result<_>>()?;
    if cases.is_empty() {
        bail!("{} has no case", path.display());
    }
    Ok(cases)
}

/// The files in `folder` that end in `.ending`, as `{name, text}`, by name.
pub(crate) fn files(folder: &Path, ending: &str) -> Result<Vec<Case>> {
    let reading = || format!("reading {}", folder.display());
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        if path.extension().is_none_or(|found| found != ending) {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let value = serde_json::json!({"name": name, "text": text});
        cases.push(Case { name, value });
    }
    if cases.is_empty() {
        bail!("{} has no case", folder.display());
    }
    cases.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(cases)
}

fn case(line: &str) -> Result<Case> {
    let value: Value = serde_json::from_str(line).context("a line must be one JSON value")?;
    let name = value["name"].as_str().context("a case needs a `name`")?.to_owned();
    Ok(Case { name, value })
}
