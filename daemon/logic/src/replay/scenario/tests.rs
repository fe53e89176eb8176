// SPDX-License-Identifier: Apache-2.0

use super::*;

const LINE: &str = r#"{"name":"a","start_unix":1700000000,"spec":{"max_scale_up_rate":1000,"max_scale_down_rate":2,"target_value":1,"total_value":1.5,"target_burst_capacity":0,"panic_threshold":2,"stable_window_seconds":60,"panic_window_seconds":6,"scale_down_delay_seconds":0,"reachable":true,"activation_scale":0,"algorithm":"linear","scrape_target":true},"steps":[{"t":0,"value":3,"ready":1},{"t":1,"value":3.5,"ready":1,"decision":{"valid":true,"desired":4,"excess_burst_capacity":0}}]}"#;

fn pairs(pairs: &[(&str, &str)]) -> Vec<Pair> {
    let own = |&(key, value): &(&str, &str)| (key.to_owned(), value.to_owned());
    pairs.iter().map(own).collect()
}

#[test]
fn a_scenario_comes_out_as_it_went_in() {
    let scenario = Scenario::parse(LINE).unwrap();
    assert_eq!(scenario.to_line(), LINE);
    let played = play(&scenario, &[]).unwrap();
    assert_eq!(played.scenario, scenario);
    assert_eq!((played.decisions, played.different, played.most_desired), (1, 0, 4));
}

#[test]
fn other_settings_replace_those_of_the_same_name_and_no_other() {
    let scenario = Scenario::parse(LINE).unwrap();
    let spec = |set: &[(&str, &str)]| play(&scenario, &pairs(set)).unwrap().scenario.spec.spec().unwrap();
    let recorded = scenario.spec.spec().unwrap();
    let burst = Spec {
        target_burst_capacity: 200.0,
        max_scale_up_rate: 10.0,
        scale_down_delay: std::time::Duration::from_secs(300),
        ..recorded.clone()
    };
    assert_eq!(spec(&[("profile", "articles")]), burst);
    assert_eq!(spec(&[("window", "30s")]).stable_window.as_secs(), 30);
    assert_eq!(spec(&[("window", "30s")]).panic_window.as_secs(), 3);
    assert_eq!(spec(&[("stable-window", "30s")]).stable_window.as_secs(), 30);
    assert_eq!(spec(&[("window", "60s"), ("max-scale", "3")]), recorded);
    assert_eq!(spec(&[("target", "3")]).target_value, 2.0);
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        ("{", "line: expected a scenario in JSON"),
        ("\"t\":1,/\"t\":-1,", "line: expected a scenario in JSON"),
        (
            "\"t\":0,/\"t\":9,",
            "steps.t: expected a time not before that of the step before (9), found `1`",
        ),
        ("\"value\":3,/\"value\":1e999,", "line: expected a scenario in JSON"),
        (
            "\"value\":3,/\"value\":2e12,",
            "steps.value: expected a number between -1e12 and 1e12",
        ),
        (
            "\"linear\"/\"x\"",
            "spec.algorithm: expected linear or weighted-exponential, found `x`",
        ),
        (
            "\"target_value\":1,/\"target_value\":0,",
            "spec.target_value: expected a number above 0, found `0`",
        ),
        (
            "_window_seconds\":6,/_window_seconds\":-6,",
            "spec.panic_window_seconds: expected seconds, not negative",
        ),
        (
            "1700000000/99999999999",
            "start_unix: expected a time before the year 2286",
        ),
    ];
    for (change, message) in cases {
        let line = match change.split_once('/') {
            Some((from, to)) => LINE.replacen(from, to, 1),
            None => change.to_owned(),
        };
        let error = Scenario::parse(&line)
            .map_err(Refused::from)
            .and_then(|scenario| play(&scenario, &[]));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}
