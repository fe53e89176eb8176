// SPDX-License-Identifier: Apache-2.0

use super::*;
use std::time::Duration;

fn pair((key, value): (&str, &str)) -> Pair {
    (key.to_owned(), value.to_owned())
}

fn settings(pairs: &[(&str, &str)]) -> Result<Settings, SettingError> {
    Settings::of(&pairs.iter().copied().map(pair).collect::<Vec<_>>())
}

#[test]
fn nothing_set_is_the_default() {
    assert_eq!(settings(&[]), Ok(Settings::default()));
    assert_eq!(settings(&[]).unwrap().spec(), Spec::default());
    let articles = settings(&[("profile", "articles")]).unwrap();
    assert_eq!(articles.config, Profile::Articles.config());
}

#[test]
fn a_key_wins_over_the_profile_wherever_it_stands() {
    let delay = settings(&[("scale-down-delay", "10s"), ("profile", "articles")]).unwrap();
    assert_eq!(delay.config.scale_down_delay, Duration::from_secs(10));
    assert_eq!(delay.config.max_scale_up_rate, 10.0);
}

#[test]
fn every_known_key_can_be_set() {
    for key in known() {
        let values = ["1", "1s", "10s", "true", "on", "rps", "linear", "articles", "10", "2"];
        let class = ["kpa.autoscaling.knative.dev"];
        let mut all = values.iter().chain(&class);
        assert!(
            all.any(|value| {
                // Below a limit there must be a maximum.
                settings(&[(key, value)]).is_ok() || settings(&[(key, value), ("max-scale", "1")]).is_ok()
            }),
            "{key}"
        );
        assert!(
            settings(&[(key, "nonsense of any kind")]).is_err() || key == "none",
            "{key}"
        );
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    let message = settings(&[("windw", "60s")]).unwrap_err().to_string();
    assert_eq!(message, "there is no setting `windw`; did you mean window?");
    let message = settings(&[("startup", "60s")]).unwrap_err().to_string();
    assert_eq!(message, "there is no setting `startup`; did you mean start-up?");
}

#[test]
fn annotations_may_be_written_in_full() {
    let long = settings(&[
        ("autoscaling.knative.dev/target", "5"),
        ("serving.knative.dev/progress-deadline", "9s"),
    ]);
    assert_eq!(long.unwrap().annotations.target, Some(5.0));
}

#[test]
fn what_knative_refuses_is_refused_and_so_is_what_is_no_number() {
    for wrong in [
        ("stable-window", "1s"),
        ("window", "5s"),
        ("window", "6.5s"),
        ("target", "0"),
        ("target", "NaN"),
        ("max-scale-up-rate", "inf"),
        ("target-burst-capacity", "NaN"),
        ("min-scale", "x"),
        ("start-up", "-1s"),
        ("start-up", "1e300"),
        ("pods", "10001"),
        ("capacity", "-1"),
        ("events", "yes"),
        ("pod-autoscaler-class", "hpa.autoscaling.knative.dev"),
        ("profile", "default,articles"),
    ] {
        assert!(settings(&[wrong]).is_err(), "{wrong:?}");
    }
}

#[test]
fn comparisons_multiply() {
    let compare = |key: &str, values: &[&str]| (key.to_owned(), values.iter().map(|&value| value.to_owned()).collect());
    let both = [
        compare("profile", &["default", "articles"]),
        compare("window", &["6s", "60s"]),
    ];
    let all = variants(&[], &both).unwrap();
    let labels: Vec<_> = all.iter().map(|variant| variant.label.as_str()).collect();
    assert_eq!(
        labels,
        [
            "profile=default window=6s",
            "profile=default window=60s",
            "profile=articles window=6s",
            "profile=articles window=60s"
        ]
    );
    let set = [pair(("window", "60s"))];
    assert_eq!(variants(&set, &both), Err(SettingError::Twice("window".to_owned())));
    let many: Vec<_> = (6..20).map(|seconds| format!("{seconds}s")).collect();
    let many = [("window".to_owned(), many)];
    assert_eq!(variants(&[], &many), Err(SettingError::TooMany(14)));
    assert_eq!(variants(&[], &[]).unwrap().len(), 1);
}
