// SPDX-License-Identifier: Apache-2.0
//! What holds for every map, and the maps that are shipped.

use super::*;
use crate::settings::autoscaler::Autoscaler;
use crate::settings::deployment::Deployment;
use crate::settings::gc::Gc;
use crate::settings::{Span, yaml};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn texts<const N: usize>(entries: [(&str, &str); N]) -> Data {
    entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// The shipped ConfigMaps: name, annotations, data.
fn shipped() -> Vec<(String, Data, Data)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config");
    let mut maps: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            let map = yaml::document(&text).unwrap();
            let texts = |value: &serde_json::Value| -> Data {
                let entries = value.as_object().into_iter().flatten();
                entries
                    .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
                    .collect()
            };
            let name = map["metadata"]["name"].as_str().unwrap().to_owned();
            (name, texts(&map["metadata"]["annotations"]), texts(&map["data"]))
        })
        .collect();
    maps.sort();
    maps
}

/// The keys of a documentation: `key: value`, after one `#` or none, at the start of a line.
fn documented_keys(example: &str) -> Vec<&str> {
    let lines = example.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
    let keys = lines.filter_map(|line| line.split_once(':').map(|(key, _)| key));
    keys.filter(|key| {
        !key.is_empty()
            && key
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || "-._".contains(char))
    })
    .collect()
}

#[test]
fn every_map_is_shipped_but_the_empty_one() {
    let shipped: Vec<_> = shipped().into_iter().map(|(name, ..)| name).collect();
    let named: Vec<_> = CONFIG_MAPS
        .iter()
        .map(|map| map.name)
        .filter(|name| *name != "config-tracing")
        .collect();
    assert_eq!(shipped, named);
}

#[test]
fn shipped_maps_are_admitted_with_their_checksum() {
    for (name, annotations, data) in shipped() {
        let sum = example::checksum(&data[EXAMPLE]);
        assert_eq!(annotations.get(CHECKSUM_ANNOTATION), Some(&sum), "{name}");
        assert_eq!(admit(&name, &annotations, &data), Ok(()), "{name}");
        assert_eq!(unknown_keys(&name, &data), [""; 0], "{name}");
    }
}

#[test]
fn spaces_around_a_text_are_dropped_and_around_a_number_are_not() {
    let class = Autoscaler::parse(&texts([("pod-autoscaler-class", " my.class\n")]))
        .unwrap()
        .class;
    assert_eq!(class, "my.class");
    let deployment = Deployment::parse(&texts([
        ("queue-sidecar-image", "image"),
        ("registries-skipping-tag-resolving", " kind.local, ko.local\t,dev.local"),
    ]));
    let skipped = deployment.unwrap().registries_skipping_tag_resolving;
    assert_eq!(
        skipped.into_iter().collect::<Vec<_>>(),
        ["dev.local", "kind.local", "ko.local"]
    );
    assert!(Autoscaler::parse(&texts([("min-scale", " 1")])).is_err());
    let gc = Gc::parse(&texts([
        ("retain-since-create-time", " disabled"),
        ("retain-since-last-active-time", "1h "),
        ("min-non-active-revisions", "3"),
        ("max-non-active-revisions", " 7\n"),
    ]));
    let kept = Gc {
        retain_since_create_time: None,
        retain_since_last_active_time: Some(Span::from_secs(3600)),
        min_non_active_revisions: 3,
        max_non_active_revisions: Some(7),
    };
    assert_eq!(gc, Ok(kept));
    assert!(Gc::parse(&texts([("min-non-active-revisions", " 3")])).is_err());
}

#[test]
fn documented_keys_are_known() {
    for (name, _, data) in shipped() {
        let map = CONFIG_MAPS.iter().find(|map| map.name == name).unwrap();
        let keys = documented_keys(&data[EXAMPLE]);
        assert!(!keys.is_empty(), "{name} documents no key");
        for key in keys {
            assert!((map.knows)(key), "{name} has no key {key}");
        }
    }
}

/// Whether these are the settings of an empty map.
fn is_default(name: &str, data: &Data) -> bool {
    match name {
        "config-autoscaler" => autoscaler::Autoscaler::parse(data) == Ok(Default::default()),
        "config-certmanager" => certmanager::CertManager::parse(data) == Ok(Default::default()),
        "config-defaults" => defaults::Defaults::parse(data) == Ok(Default::default()),
        "config-deployment" => {
            let mut expected = deployment::Deployment::default();
            "none".clone_into(&mut expected.queue_sidecar.image);
            deployment::Deployment::parse(data) == Ok(expected)
        }
        "config-domain" => domain::Domain::parse(data) == Ok(Default::default()),
        "config-features" => features::Features::parse(data) == Ok(Default::default()),
        "config-gc" => gc::Gc::parse(data) == Ok(Default::default()),
        "config-leader-election" => leader_election::LeaderElection::parse(data) == Ok(Default::default()),
        "config-logging" => logging::Logging::parse(data) == Ok(Default::default()),
        "config-network" => network::Network::parse(data) == Ok(Default::default()),
        "config-observability" => observability::Observability::parse(data) == Ok(Default::default()),
        _ => false,
    }
}

/// The lines of a documentation that stand without `#`.
fn documented_values(example: &str) -> Data {
    let lines = example.lines().filter(|line| !line.starts_with('#'));
    let entries = lines.filter_map(|line| line.split_once(": "));
    entries
        .map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

#[test]
fn documented_values_are_the_defaults() {
    for (name, _, mut data) in shipped() {
        let mut documented = documented_values(&data.remove(EXAMPLE).unwrap());
        documented.extend(data);
        assert!(is_default(&name, &documented), "{name}");
    }
}

#[test]
fn every_current_key_is_documented() {
    for (name, _, data) in shipped() {
        let documented = documented_keys(&data[EXAMPLE]);
        let map = CONFIG_MAPS.iter().find(|map| map.name == name).unwrap();
        for key in (map.keys)() {
            assert!(documented.contains(&key), "{name} does not document {key}");
        }
    }
}

#[test]
fn a_changed_documentation_is_refused() {
    let annotations = texts([(CHECKSUM_ANNOTATION, "12345678")]);
    let problems = admit("config-gc", &annotations, &texts([(EXAMPLE, "x")])).unwrap_err();
    assert_eq!(
        problems.as_knative(),
        "the update modifies a key in \"_example\" which is probably not what you want. Instead, copy the respective \
         setting to the top-level of the ConfigMap, directly below \"data\""
    );
    assert_eq!(admit("config-gc", &annotations, &texts([])), Ok(()));
    assert_eq!(admit("other", &annotations, &texts([(EXAMPLE, "x")])), Ok(()));
}

#[test]
fn every_problem_is_reported_and_none_follows_from_another() {
    let data = texts([
        ("max-scale-limit", "x"),
        ("max-scale", "-1"),
        ("stable-window", "5s"),
        ("activator-capacity", "0"),
        ("enable-scale-to-zero", "maybe"),
    ]);
    let problems = autoscaler::Autoscaler::parse(&data).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "enable-scale-to-zero",
            "max-scale-limit",
            "activator-capacity",
            "stable-window"
        ]
    );
    assert!(
        problems
            .as_knative()
            .starts_with("failed to parse data: failed to parse \"enable-scale-to-zero\"")
    );
}

#[test]
fn misspelt_keys_are_found() {
    let data = texts([("max-scales", "1"), ("max-scale", "1"), (EXAMPLE, "")]);
    assert_eq!(unknown_keys("config-autoscaler", &data), ["max-scales"]);
}

/// Keys that some map has, in every spelling, and a few that none has.
const KEYS: &[&str] = &[
    "stable-window",
    "max-scale",
    "max-scale-limit",
    "container-concurrency-target-percentage",
    "retain-since-create-time",
    "max-non-active-revisions",
    "domain-template",
    "tagTemplate",
    "rollout-duration",
    "namespace-wildcard-cert-selector",
    "http-protocol",
    "runtime-class-name",
    "queue-sidecar-cpu-request",
    "queueSidecarImage",
    "container-name-template",
    "revision-timeout-seconds",
    "logging.request-log-template",
    "tracing-protocol",
    "loglevel.",
    "loglevel.webhook",
    "map-lease-prefix",
    "map-lease-prefixé",
    "buckets",
    "issuerRef",
    "example.com",
    "_example",
];

proptest! {
    #[test]
    fn no_map_panics(
        data in proptest::collection::btree_map(
            prop::sample::select(KEYS).prop_map(str::to_owned),
            prop_oneof![
                "[-+0-9.a-zA-Z{}: \n\"'|&*]{0,16}",
                ".{0,8}",
                "\\{\\{[a-zA-Z. |()\"]{0,10}\\}\\}",
                "[a-c]: [\\[{][a-c: ,]{0,8}[\\]}]",
            ],
            0..8,
        )
    ) {
        for map in CONFIG_MAPS {
            let _ = (map.check)(&data);
        }
    }
}
