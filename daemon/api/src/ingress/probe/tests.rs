// SPDX-License-Identifier: Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::ingress::HttpIngressRule;

fn ingress(hosts: &[String], paths: usize) -> Ingress {
    let rule = IngressRule {
        hosts: hosts.to_vec(),
        visibility: "ExternalIP".to_owned(),
        http: Some(HttpIngressRule {
            paths: vec![HttpIngressPath::default(); paths].into(),
        }),
    };
    let mut ingress = Ingress::default();
    ingress.metadata.name = Some("hello".to_owned());
    ingress.metadata.namespace = Some("default".to_owned());
    ingress.spec.rules = vec![rule];
    ingress
}

#[test]
fn what_go_escapes_is_escaped() {
    let text = hashed_text(&ingress(&["<&>\u{2028}\u{2029}é".to_owned()], 0).spec).unwrap();
    assert!(text.contains(r#""\u003c\u0026\u003e\u2028\u2029é""#), "{text}");
}

#[test]
fn a_rule_without_http_is_an_error() {
    let mut without = ingress(&["a".to_owned(), "b".to_owned()], 0);
    without.spec.rules[0].http = None;
    let error = with_probe(&without).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rule is missing HTTP block: {Hosts:[a b] Visibility:ExternalIP HTTP:<nil>}"
    );
}

#[test]
fn a_list_that_was_not_given_is_hashed_as_null_and_probed_as_empty() {
    let read = |http: &str| -> Ingress {
        serde_json::from_str(&format!(r#"{{"spec":{{"rules":[{{"http":{http}}}]}}}}"#)).unwrap()
    };
    let text = |ingress: &Ingress| hashed_text(&ingress.spec).unwrap();
    let never = read("{}");
    assert_eq!(text(&never), r#"{"rules":[{"http":{"paths":null}}]}"#);
    assert_eq!(text(&read(r#"{"paths":[]}"#)), r#"{"rules":[{"http":{"paths":[]}}]}"#);
    assert_eq!(
        text(&read(r#"{"paths":[{"splits":[]},{}]}"#)),
        r#"{"rules":[{"http":{"paths":[{"splits":[]},{"splits":null}]}}]}"#
    );
    assert_eq!(
        text(&with_probe(&never).unwrap().0),
        r#"{"rules":[{"http":{"paths":[]}}]}"#
    );
}

#[test]
fn name_and_namespace_are_part_of_the_hash() {
    let one = ingress(&[], 1);
    let mut other = one.clone();
    other.metadata.name = Some("other".to_owned());
    assert_ne!(hash(&one), hash(&other));
}

proptest! {
    #[test]
    fn the_hash_outlives_a_round_trip_and_ignores_the_status(hosts in proptest::collection::vec(".*", 0..4)) {
        let one = ingress(&hosts, 1);
        let text = serde_json::to_string(&one).unwrap();
        let mut read: Ingress = serde_json::from_str(&text).unwrap();
        read.status.observed.observed_generation = 7;
        prop_assert_eq!(hash(&one), hash(&read));
    }

    #[test]
    fn every_path_gets_one_twin_before_the_paths(paths in 0..5_usize) {
        let (probed, hash) = with_probe(&ingress(&[], paths)).unwrap();
        let all = &probed.spec.rules[0].http.as_ref().unwrap().paths;
        prop_assert_eq!(all.len(), paths * 2);
        prop_assert!(all.iter().take(paths).all(|path| path.append_headers[NETWORK_HASH] == hash));
        prop_assert!(all.iter().skip(paths).all(|path| path.headers.is_empty()));
    }
}
