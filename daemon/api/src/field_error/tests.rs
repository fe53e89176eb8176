// SPDX-License-Identifier: Apache-2.0
use super::*;
use proptest::prelude::*;

#[test]
fn what_says_the_same_is_one_sorted_line() {
    let found = FieldErrors::missing(["b"])
        .also(FieldErrors::invalid_value("x", "a"))
        .also(FieldErrors::missing(["a", "b"]))
        .via_field("spec");
    assert_eq!(
        found.error().as_deref(),
        Some("invalid value: x: spec.a\nmissing field(s): spec.a, spec.b")
    );
}

#[test]
fn details_keep_lines_apart() {
    let found = FieldErrors::invalid_value("x", "a").with_details("why");
    let found = found.also(FieldErrors::invalid_value("x", "b"));
    assert_eq!(
        found.error().as_deref(),
        Some("invalid value: x: b\ninvalid value: x: a\nwhy")
    );
}

#[test]
fn indices_and_keys_follow_their_field_without_a_dot() {
    let found = FieldErrors::missing(["name"])
        .via_field_index("env", 2)
        .via_field_index("containers", 0);
    assert_eq!(
        found.error().as_deref(),
        Some("missing field(s): containers[0].env[2].name")
    );
    let found = FieldErrors::missing([""]).via_index(1).via_index(0).via_field("bar");
    assert_eq!(found.error().as_deref(), Some("missing field(s): bar[0][1]"));
}

#[test]
fn a_key_with_dots_is_split_as_knative_splits_it() {
    let found = FieldErrors::missing([""])
        .via_key("queue.sidecar/x")
        .via_field("annotations");
    assert_eq!(
        found.error().as_deref(),
        Some("missing field(s): annotations.[queue.sidecar/x]")
    );
}

#[test]
fn the_current_field_vanishes_and_no_path_stays_none() {
    let found = FieldErrors::missing([""]).via_field("spec");
    assert_eq!(found.error().as_deref(), Some("missing field(s): spec"));
    let found = FieldErrors::nowhere("off".to_owned()).via_field("spec");
    assert_eq!(found.error().as_deref(), Some("off: "));
}

#[test]
fn warnings_never_refuse() {
    let found = FieldErrors::generic("deprecated", "a").as_warning();
    assert_eq!(found.error(), None);
    assert_eq!(found.warnings(), ["deprecated: a"]);
}

proptest! {
    #[test]
    fn the_order_of_adding_is_nothing(mut parts in proptest::collection::vec(("[ab]", "[xy]"), 0..6)) {
        let sum = |parts: &[(String, String)]| {
            parts.iter().fold(FieldErrors::none(), |sum, (message, path)| {
                sum.also(FieldErrors::generic(message.as_str(), path.as_str()))
            })
        };
        let there = sum(&parts).error();
        parts.reverse();
        prop_assert_eq!(sum(&parts).error(), there);
    }
}
