// SPDX-License-Identifier: Apache-2.0
//! Running the machine's own network tools, with what they said in the error.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a tool to its end and returns what it wrote to standard output.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    feed(program, arguments, "")
}

/// As [`run`], with something on standard input.
pub fn feed(program: &str, arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{program}: is it installed? (cargo xtask setup)"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends early says so by its exit status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let given: String = input.chars().take(500).collect();
        bail!(
            "{program} {}: {}: {}\n{given}",
            arguments.join(" "),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
