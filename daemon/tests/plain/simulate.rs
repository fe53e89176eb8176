// SPDX-License-Identifier: Apache-2.0
//! `sluice simulate`.

use crate::{objects, sluice, stderr, stdout};

const DAY: &str = "docs/examples/day.csv";

#[test]
fn every_request_is_answered_refused_or_still_there() {
    let output = sluice(&["simulate", "--trace", DAY, "--set", "capacity=10", "-o", "json"], "");
    assert!(output.status.success(), "{}", stderr(&output));
    let requests = &objects(&output)[0]["requests"];
    let count = |key: &str| requests[key].as_u64().unwrap();
    assert!(count("total") > 20_000);
    assert_eq!(
        count("total"),
        count("answered") + count("refused") + count("running") + count("waiting")
    );
}

#[test]
fn compared_settings_stand_side_by_side() {
    let output = sluice(
        &["simulate", "--trace", DAY, "--compare", "profile=default,articles"],
        "",
    );
    let text = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(text.lines().any(|line| line.starts_with("profile=default ")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("profile=articles ")), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn the_picture_is_one_svg_element() {
    let output = sluice(&["simulate", "--trace", DAY, "-o", "svg"], "");
    let text = stdout(&output);
    assert!(text.starts_with("<svg "), "{}", stderr(&output));
    assert!(text.trim_end().ends_with("</svg>"));
}

#[test]
fn the_decisions_of_a_scenario_are_those_recorded() {
    let scenario = concat!(
        r#"{"name":"calm","start_unix":1700000000,"spec":{"max_scale_up_rate":1000,"max_scale_down_rate":2,"#,
        r#""target_value":10,"total_value":10,"target_burst_capacity":0,"panic_threshold":2,"#,
        r#""stable_window_seconds":60,"panic_window_seconds":6,"scale_down_delay_seconds":0,"reachable":true,"#,
        r#""activation_scale":0,"algorithm":"linear","scrape_target":true},"steps":["#,
        r#"{"t":0,"value":25,"ready":1},{"t":1,"value":25,"ready":1,"#,
        r#""decision":{"valid":true,"desired":3,"excess_burst_capacity":0}}]}"#,
    );
    let output = sluice(&["simulate", "--trace", "-", "-o", "json"], &format!("{scenario}\n"));
    assert!(output.status.success(), "{}", stderr(&output));
    let decision = &objects(&output)[0]["steps"][1]["decision"];
    assert_eq!(decision["desired"], 3, "{decision}");
    assert_eq!(decision["excess_burst_capacity"], 0, "{decision}");
}

#[test]
fn what_is_wrong_is_told_by_line_and_field() {
    let cases = [
        ("", "the trace is empty"),
        ("1,2\n0.5,1\n", "stdin:2: start_seconds"),
        ("1,nan\n", "stdin:1: concurrency"),
        ("0.5,1\n0.7,-1\n", "stdin:2: duration_seconds"),
        ("\u{0}\u{1}\u{2}\n", "stdin"),
    ];
    for (trace, expected) in cases {
        let output = sluice(&["simulate", "--trace", "-"], trace);
        assert_eq!(output.status.code(), Some(1), "{trace:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{trace:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn an_unknown_setting_names_the_nearest() {
    let output = sluice(&["simulate", "--trace", DAY, "--set", "windo=10s"], "");
    assert!(stderr(&output).contains("did you mean window"), "{}", stderr(&output));
    assert!(!output.status.success());
}
