// SPDX-License-Identifier: Apache-2.0
//! `sluice validate`.

use crate::{GOOD, objects, sluice, stderr, stdout};

#[test]
fn a_good_manifest_is_accepted_with_its_defaults() {
    let output = sluice(&["validate", "-o", "json", "-"], GOOD);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let object = &objects(&output)[0];
    assert_eq!(object["verdict"], "accepted");
    assert_eq!(object["defaulted"]["spec"]["traffic"][0]["percent"], 100);
}

#[test]
fn a_refusal_names_line_and_field() {
    let bad = GOOD.replace("      containers:", "      containerConcurrency: -1\n      containers:");
    let output = sluice(&["validate", "-"], &bad);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(":8: document 1, Service hello: error: "), "{text}");
    assert!(text.contains("spec.template.spec.containerConcurrency"), "{text}");
}

#[test]
fn one_bad_document_does_not_hide_the_others() {
    let output = sluice(
        &["validate", "-o", "json", "-"],
        &format!("{GOOD}---\nkind: [\n---\n{GOOD}"),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).is_empty() || !stdout(&output).is_empty(),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_file_that_is_not_there_is_another_exit_code() {
    let output = sluice(&["validate", "no/such/file.yaml"], "");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("no/such/file.yaml"), "{}", stderr(&output));
}
