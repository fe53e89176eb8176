// SPDX-License-Identifier: Apache-2.0
//! The binary as people call it, where it needs no privilege: what goes in, what comes out, the exit code.
//!
//! Depends on: the binary `sluice`, docs/examples, curl.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

mod proxy;
mod simulate;
mod standalone;
mod validate;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// A Service that nothing is wrong with.
const GOOD: &str = "\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello
spec:
  template:
    spec:
      containers:
      - image: example.com/hello
";

/// Runs `sluice` in the repository's root, with `input` on stdin.
fn sluice(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The objects of `-o json`, one a line.
fn objects(output: &Output) -> Vec<serde_json::Value> {
    stdout(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
