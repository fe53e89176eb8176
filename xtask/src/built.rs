// SPDX-License-Identifier: Apache-2.0
//! What cargo built: programs by name, and how many warnings its compiler had.
//!
//! Problem: a suite needs the path of a test binary, and a warning in the BPF object must fail even if nothing was
//! compiled this time.
//! Mechanism: cargo's JSON messages; cargo repeats the warnings of what was fresh.
//! Invariants: what the compiler says is shown as it would show it.
//! Depends on: process.

use crate::process;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// A build that succeeded.
pub(crate) struct Built {
    messages: Vec<Value>,
}

/// Runs a cargo command that builds.
pub(crate) fn by(cargo: &mut Command) -> Result<Built> {
    let mut messages = Vec::new();
    process::finish(
        process::lines(cargo.args(["--message-format", "json"]), |line| {
            messages.extend(read(line));
        })?,
        cargo,
    )?;
    Ok(Built { messages })
}

/// A message; what the compiler says in it is shown.
fn read(line: &str) -> Option<Value> {
    let message: Value = serde_json::from_str(line).ok()?;
    if let Some(text) = message.pointer("/message/rendered").and_then(Value::as_str) {
        eprint!("{text}");
    }
    Some(message)
}

impl Built {
    /// The program of that name.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        let is_it = |message: &&Value| message.pointer("/target/name").and_then(Value::as_str) == Some(name);
        let executable = |message: &Value| message.get("executable")?.as_str().map(PathBuf::from);
        let mut found = self.messages.iter().filter(is_it).filter_map(executable);
        found
            .next_back()
            .with_context(|| format!("cargo built no program called {name}"))
    }

    /// How often the compiler warned.
    pub(crate) fn warnings(&self) -> usize {
        let level = |message: &Value| Some(message.pointer("/message/level")?.as_str()? == "warning");
        // The last one of a crate only counts the others.
        let is_sum = |message: &Value| {
            let text = message.pointer("/message/message").and_then(Value::as_str);
            text.is_some_and(|text| text.ends_with("emitted"))
        };
        let warned = |message: &&Value| level(message) == Some(true) && !is_sum(message);
        self.messages.iter().filter(warned).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(messages: &str) -> Built {
        Built {
            messages: messages.lines().filter_map(read).collect(),
        }
    }

    #[test]
    fn a_program_is_found_among_cargos_messages() {
        let built = built(
            r#"{"reason":"compiler-artifact","target":{"name":"netns"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"netns"},"executable":"/a/netns-1"}
{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(built.program("netns").unwrap(), PathBuf::from("/a/netns-1"));
        assert!(built.program("kernel-probe").is_err());
    }

    #[test]
    fn warnings_are_counted_and_their_sum_is_not() {
        let built = built(
            r#"{"reason":"compiler-message","message":{"level":"warning","message":"unused variable: `a`"}}
{"reason":"compiler-message","message":{"level":"warning","message":"1 warning emitted"}}
{"reason":"compiler-message","message":{"level":"note","message":"by the way"}}
{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(built.warnings(), 1);
    }
}
