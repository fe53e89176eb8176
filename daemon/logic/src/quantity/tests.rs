// SPDX-License-Identifier: Apache-2.0

use super::*;
use proptest::prelude::*;

fn canonical(text: &str) -> String {
    match Quantity::parse(text) {
        Ok(quantity) => quantity.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_canonical_text_has_the_largest_suffix_that_loses_nothing() {
    let cases = [
        ("1000m", "1"),
        ("0.1", "100m"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.", "1"),
        ("1.G", "1G"),
        ("+5", "5"),
        ("-1", "-1"),
        ("1000", "1k"),
        ("1000000", "1M"),
        ("100M", "100M"),
        ("1500M", "1500M"),
        ("1E", "1E"),
        ("1000E", "1e21"),
        ("9999999999999999999", "9999999999999999999"),
        ("1.0000000001", "1000000001n"),
        ("0.0000000001", "1n"),
        ("0.1n", "1n"),
        ("1.0000000000000000000000000000000000000000", "1"),
        ("0", "0"),
        ("-", "0"),
        ("m", "0"),
    ];
    for (text, expected) in cases {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn an_exponent_stays_one() {
    let cases = [
        ("1e3", "1e3"),
        ("1E6", "1e6"),
        ("10e3", "10e3"),
        ("1000e3", "1e6"),
        ("1e25", "10e24"),
        ("12e-1", "1200e-3"),
        ("12345e-2", "123450e-3"),
        ("1e400000", "10e399999"),
        ("0e400000", "0"),
        ("1e-400000", "1e-9"),
    ];
    for (text, expected) in cases {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn a_binary_suffix_stays_while_it_loses_nothing() {
    let cases = [
        ("1.5Gi", "1536Mi"),
        ("-1.5Gi", "-1536Mi"),
        ("1024Ki", "1Mi"),
        ("1000Ki", "1000Ki"),
        ("0.5Ki", "512"),
        ("0.1Ki", "102400m"),
        ("1.0001Ki", "1024102400u"),
        ("0.0000000001Ki", "103n"),
        ("8Ei", "9223372036854775807"),
    ];
    for (text, expected) in cases {
        assert_eq!(canonical(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_quantity_is_refused_with_its_reason() {
    for text in ["", "x", "1x", "1Gx", "1 Gi", "1.2.3"] {
        assert_eq!(Quantity::parse(text), Err(Malformed::Form), "{text}");
    }
    for text in ["1K", "1mm", "1mi", "1Gi1", "1ee3", "1e", "--1", "1e99999999999"] {
        assert_eq!(Quantity::parse(text), Err(Malformed::Suffix), "{text}");
    }
}

#[test]
fn quantities_compare_by_amount() {
    let compare = |left, right| Some(Quantity::parse(left).ok()?.cmp(&Quantity::parse(right).ok()?));
    let long = "9".repeat(40);
    assert_eq!(compare("1", "1000m"), Some(Ordering::Equal));
    assert_eq!(compare("1Ki", "1k"), Some(Ordering::Greater));
    assert_eq!(compare("-1", "1n"), Some(Ordering::Less));
    assert_eq!(compare("1e30", "1"), Some(Ordering::Greater));
    assert_eq!(compare(&long, "1e30"), Some(Ordering::Greater));
    assert_eq!(compare("-1e30", &format!("-{long}")), Some(Ordering::Greater));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[-+0-9.a-zA-Z ]{0,60}|[+-]?[0-9]{0,45}[.]?[0-9]{0,20}[eEinumkKMGTP]{0,2}[-+]?[0-9]{0,10}") {
        let _ = Quantity::parse(&text).map(|quantity| quantity.to_string());
    }

    #[test]
    fn the_canonical_text_is_the_same_amount_and_its_own(
        number in "[-+]?[0-9]{1,12}(\\.[0-9]{0,12})?",
        suffix in "|n|u|m|k|M|G|T|P|E|e[0-9]|e-[0-9]|Ki|Mi|Gi|Ti|Pi|Ei",
    ) {
        let quantity = Quantity::parse(&format!("{number}{suffix}")).unwrap();
        let again = Quantity::parse(&quantity.to_string()).unwrap();
        prop_assert_eq!(&quantity, &again);
        prop_assert_eq!(again.to_string(), quantity.to_string());
    }
}
