// SPDX-License-Identifier: Apache-2.0
//! `sluice standalone -f`: what is wrong in files is told before anything starts.

use crate::{GOOD, sluice, stderr};
use std::path::Path;

/// What is said of files that are refused.
#[track_caller]
fn refused(text: &str, said: &[&str]) {
    let output = sluice(&["standalone", "-f", "-"], text);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(output.stdout.is_empty(), "it started");
    assert!(said.iter().all(|words| told.contains(words)), "{said:?} in {told}");
}

#[test]
fn malformed_yaml_is_told_by_file_line_and_document() {
    refused("a: [\n", &["error: ", "line 2, document 1: no YAML: "]);
    refused(&format!("{GOOD}---\nkind: [\n"), &["document 2: no YAML: "]);
    refused(
        "\u{0}\u{1}",
        &["(standard input): binary data or not UTF-8: no manifest"],
    );
}

#[test]
fn an_unknown_field_is_told_by_line_and_name_with_the_one_that_was_meant() {
    let unknown = GOOD.replace("containers:", "containerz:");
    refused(
        &unknown,
        &[
            ":8: document 1, Service hello: error: ",
            "unknown field \"spec.template.spec.containerz\"",
            "\"containers\"?",
        ],
    );
}

#[test]
fn an_invalid_object_is_told_by_file_document_field_and_in_knatives_words() {
    let invalid = GOOD.replace("      containers:", "      containerConcurrency: -1\n      containers:");
    refused(
        &format!("{GOOD}---\n{invalid}"),
        &[
            ":18: document 2, Service hello: error: spec.template.spec.containerConcurrency: expected 0 <= -1 <= 1000",
            "1 of the objects would be refused; nothing was applied",
        ],
    );
    let nameless = GOOD.replace("  name: hello", "  labels: {}");
    refused(&nameless, &["metadata.name"]);
}

#[test]
fn a_kind_that_nobody_serves_and_a_file_that_is_not_there_are_named() {
    refused(
        "apiVersion: v2\nkind: Thing\nmetadata: {name: x}\n",
        &["there is no kind \"Thing\" of \"v2\" here"],
    );
    let output = sluice(&["standalone", "-f", "no/such.yaml"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("no/such.yaml: No such file"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn limits_are_a_file_and_a_wrong_one_is_named() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("limits.yaml");
    let file = path.to_str().unwrap();
    for (text, said) in [
        (
            "limits: {header_count: 30000}\n",
            "limits.yaml: limits.header_count: must be at most 24000",
        ),
        ("limits: {heads: 1}\n", "heads"),
        ("listen: []\n", "listen"),
    ] {
        std::fs::write(&path, text).unwrap();
        let output = sluice(&["standalone", "--limits", file], "");
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(said), "{said:?} in {told}");
        assert!(told.contains("docs/limits.md"), "{told}");
    }
}

#[test]
fn what_is_refused_hides_no_other_mistake_and_makes_none_up() {
    let kindless = "metadata: {name: a}\n---\napiVersion: serving.knative.dev/v1\nkind: Servce\nmetadata: {name: b}\n";
    let output = sluice(&["standalone", "-f", "-"], kindless);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for words in [
        "every object says its apiVersion",
        "there is no kind Servce",
        "2 of the objects would be refused",
    ] {
        assert!(told.contains(words), "{words:?} in {told}");
    }
    assert!(!told.contains("kind \"\""), "{told}");
}

#[test]
fn arguments_are_refused_with_what_to_write() {
    for (option, value, words) in [
        ("--listen", "8080", "as in 127.0.0.1:8080"),
        ("--api", "localhost:8001", "as in 127.0.0.1:8080"),
        ("--domain", "", "'--domain <NAME>'"),
        ("--domain", "foo_bar..x", "a lowercase RFC 1123 subdomain"),
        ("--image", "app", "write NAME=PATH"),
    ] {
        let output = sluice(&["standalone", option, value], "");
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(words), "{words:?} in {told}");
    }
}
