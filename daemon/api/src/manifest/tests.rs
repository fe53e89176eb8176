// SPDX-License-Identifier: Apache-2.0
use super::*;
use logic::settings::Features;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SERVICE: &str = "apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: hello
spec:
  template:
    spec:
      containers:
      - image: example.com/app
";

fn findings(text: &str) -> Vec<String> {
    judge(text, &Circumstances::default())
        .iter()
        .flat_map(|judgement| &judgement.findings)
        .filter(|finding| finding.severity != Severity::Warning)
        .map(|finding| {
            format!(
                "{}: {}: {} [{}]",
                finding.line, finding.field, finding.message, finding.help
            )
        })
        .collect()
}

#[test]
fn a_good_manifest_is_accepted_with_its_defaults() {
    let [judgement] = judge(SERVICE, &Circumstances::default()).try_into().unwrap();
    assert_eq!(judgement.verdict, Verdict::Accepted);
    let defaulted = judgement.defaulted.unwrap();
    assert_eq!(defaulted["spec"]["template"]["spec"]["timeoutSeconds"], 300);
    assert_eq!(defaulted["metadata"]["namespace"], "default");
}

#[test]
fn unknown_fields_are_refused_warned_of_or_ignored() {
    let text = format!("{SERVICE}        imagePullPolcy: Always\n");
    assert_eq!(
        findings(&text),
        ["10: spec.template.spec.containers[0].imagePullPolcy: unknown field \
          \"spec.template.spec.containers[0].imagePullPolcy\" [did you mean \"imagePullPolicy\"?]"]
    );
    for (how, expected) in [(UnknownFields::Warn, 1), (UnknownFields::Ignore, 0)] {
        let circumstances = Circumstances {
            unknown_fields: how,
            ..Circumstances::default()
        };
        let [judgement] = judge(&text, &circumstances).try_into().unwrap();
        assert_eq!(judgement.verdict, Verdict::Accepted);
        let about_it = |finding: &&Finding| finding.message.starts_with("unknown");
        assert_eq!(judgement.findings.iter().filter(about_it).count(), expected);
    }
}

#[test]
fn a_feature_that_is_off_is_named_with_the_key_that_turns_it_on() {
    for (added, feature) in [
        ("hostPID: true", "kubernetes.podspec-hostpid"),
        ("nodeSelector: {a: b}", "kubernetes.podspec-nodeselector"),
        (
            "initContainers: [{image: example.com/init, name: init}]",
            "kubernetes.podspec-init-containers",
        ),
    ] {
        let text = format!("{SERVICE}      {added}\n");
        let help = format!("[to allow it, write `{feature}: enabled` into the ConfigMap config-features");
        let found = findings(&text);
        assert!(
            found.iter().any(|finding| finding.contains(&help)),
            "{feature}: {found:?}"
        );
        let map = BTreeMap::from([(feature.to_owned(), "enabled".to_owned())]);
        let mut allowing = Circumstances::default();
        allowing.settings.features = Features::parse(&map).unwrap();
        let [judgement] = judge(&text, &allowing).try_into().unwrap();
        assert_eq!(judgement.verdict, Verdict::Accepted, "{:?}", judgement.findings);
    }
}

#[test]
fn what_the_schema_and_the_webhook_both_miss_is_said_once() {
    let text = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\nspec: {template: {spec: {}}}\n";
    let found = findings(text);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_boolean_where_a_text_belongs_should_be_quoted() {
    let text = format!("{SERVICE}        env: [{{name: A, value: on}}]\n");
    assert_eq!(
        findings(&text),
        [
            "10: spec.template.spec.containers[0].env[0].value: Invalid value: must be of type string: true [put it in \
          quotes: \"true\"]"
        ]
    );
}

#[test]
fn lists_and_documents_are_judged_one_by_one() {
    let text = format!(
        "{SERVICE}---\n# nothing\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n"
    );
    let verdicts: Vec<_> = judge(&text, &Circumstances::default())
        .iter()
        .map(|judgement| (judgement.document, judgement.verdict))
        .collect();
    assert_eq!(verdicts, [(1, Verdict::Accepted), (3, Verdict::Skipped)]);
}

#[test]
fn aliases_that_grow_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}, ", level - 1).repeat(8);
        text.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
    }
    let [found] = findings(&text).try_into().unwrap();
    assert!(found.contains("more than 200000 values"), "{found}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z:{}\\[\\], \n\t&*|>#\"'-]{0,200}") {
        prop_assert!(!judge(&text, &Circumstances::default()).is_empty());
    }

    #[test]
    fn no_cut_or_changed_manifest_panics(at in 0_usize..200, with in "[ -~\n]{0,5}") {
        let mut text = SERVICE.to_owned();
        let at = at.min(text.len());
        text.replace_range(at..(at + with.len()).min(text.len()), &with);
        prop_assert!(!judge(&text, &Circumstances::default()).is_empty());
    }
}
