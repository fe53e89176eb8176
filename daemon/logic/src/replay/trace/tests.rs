// SPDX-License-Identifier: Apache-2.0

use super::*;
use crate::replay::scenario::{self, Scenario};
use proptest::prelude::*;

#[test]
fn content_tells_the_format() {
    let cases: [(&[&str], Option<Format>); 12] = [
        (&["{\"name\":\"a\"}"], Some(Format::Scenarios)),
        (&["# a comment", "", "second,concurrency,rps"], Some(Format::Seconds)),
        (&["second,concurrency"], Some(Format::Seconds)),
        (&["start_seconds,duration_seconds"], Some(Format::Requests)),
        (&["1,2,3"], Some(Format::Seconds)),
        (&["0,2", "1,2", "2,2"], Some(Format::Seconds)),
        (&["0,2", "60,2", "120,2"], Some(Format::Seconds)),
        (&["0,2", "0,2", "1,2"], Some(Format::Requests)),
        (&["0.0,2"], Some(Format::Requests)),
        (&["time,value"], None),
        (&["1,2,3,4"], None),
        (&[], None),
    ];
    for (lines, format) in cases {
        assert_eq!(Format::detect(lines.iter().copied()), format, "{lines:?}");
    }
}

/// Lines that are nearly right, and any others.
fn line() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        "[0-9]{1,12}(\\.[0-9]{0,9})?",
        "-?[0-9]{1,3}e[0-9]{1,4}",
        Just("NaN".to_owned()),
        Just("inf".to_owned()),
        Just(String::new())
    ];
    prop_oneof![
        prop::collection::vec(number, 1..5).prop_map(|fields| fields.join(",")),
        any::<String>(),
        "\\{\"name\":\"a\",\"start_unix\":[0-9]{1,21},\"steps\":.*\\}"
    ]
}

proptest! {
    #[test]
    fn no_lines_make_a_reader_panic_and_time_never_goes_back(lines in prop::collection::vec(line(), 0..20)) {
        let _ = Format::detect(lines.iter().map(String::as_str));
        let mut requests = requests::Reader::default();
        let starts: Vec<_> = lines.iter().filter_map(|line| requests.line(line).ok().flatten()).map(|read| read.start).collect();
        prop_assert!(starts.is_sorted());
        let mut seconds = seconds::Reader::default();
        let rows: Vec<_> = lines.iter().filter_map(|line| seconds.line(line).ok().flatten()).map(|row| row.second).collect();
        prop_assert!(rows.is_sorted_by(|one, next| one < next));
        for line in &lines {
            if let Ok(scenario) = Scenario::parse(line) {
                let _ = scenario::play(&scenario, &[]);
            }
        }
    }
}
