// SPDX-License-Identifier: Apache-2.0
//! Values as Go's fmt prints them.
//!
//! Depends on: nothing.

use std::fmt::Write;

/// A text in quotes, as `%q` prints it.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        push_escaped(&mut out, char);
    }
    out.push('"');
    out
}

/// A character in quotes, as `%q` prints it.
#[must_use]
pub fn quoted_char(char: char) -> String {
    let mut out = String::from("'");
    match char {
        '\'' => out.push_str("\\'"),
        '"' => out.push('"'),
        _ => push_escaped(&mut out, char),
    }
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, char: char) {
    let named = match char {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        '\'' => "'",
        _ => "",
    };
    let code = u32::from(char);
    // Writing to a String cannot fail.
    let _ = if !named.is_empty() {
        out.write_str(named)
    } else if is_printable(char) {
        out.write_char(char)
    } else if code < 0x80 {
        write!(out, "\\x{code:02x}")
    } else if code < 0x1_0000 {
        write!(out, "\\u{code:04x}")
    } else {
        write!(out, "\\U{code:08x}")
    };
}

/// Whether Go prints it as it is: letters, marks, digits, punctuation, symbols and the space of ASCII.
#[must_use]
pub fn is_printable(char: char) -> bool {
    if char.is_ascii() {
        return (' '..='~').contains(&char);
    }
    // At the start of a text Rust escapes combining marks, too; after a letter it does not.
    let mut bytes = [b'a'; 5];
    let length = char.encode_utf8(&mut bytes[1..]).len();
    str::from_utf8(&bytes[..=length]).is_ok_and(|text| text.escape_debug().count() == 2)
}

/// A number as `%v` prints it: the shortest text, with an exponent below 1e-4 and from 1e6.
#[must_use]
pub fn float(value: f64) -> String {
    match not_finite(value) {
        Some(name) => name.to_owned(),
        None => general(value, None),
    }
}

/// A number as `%v` prints it when it has 32 bits.
#[must_use]
pub fn short_float(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "fewer digits are the purpose")]
    let short = value as f32;
    match not_finite(f64::from(short)) {
        Some(name) => name.to_owned(),
        None => shortest(&format!("{short:e}"), SHORTEST),
    }
}

/// A finite number as `%g` prints it, with so many digits or as few as tell it apart.
#[must_use]
pub fn general(value: f64, digits: Option<usize>) -> String {
    match digits {
        None => shortest(&format!("{value:e}"), SHORTEST),
        Some(digits) => {
            let digits = digits.max(1);
            shortest(&format!("{value:.*e}", digits - 1), digits)
        }
    }
}

/// From which exponent on Go writes one where the digits are not counted.
const SHORTEST: usize = 6;

/// `1.5e3`, as Rust writes it, with an exponent only below -4 and from `most` on.
fn shortest(text: &str, most: usize) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, unsigned) = match mantissa.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", mantissa),
    };
    let digits = unsigned.replacen('.', "", 1);
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    let most = i32::try_from(most).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= most {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{point}{rest}{}", signed_exponent(exponent));
    }
    let Ok(whole) = usize::try_from(exponent + 1) else {
        let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
        return format!("{sign}0.{}{digits}", "0".repeat(zeros));
    };
    match digits.split_at_checked(whole) {
        Some((whole, rest)) if !rest.is_empty() && !whole.is_empty() => format!("{sign}{whole}.{rest}"),
        Some((_, rest)) if !rest.is_empty() => format!("{sign}0.{rest}"),
        _ => format!("{sign}{digits}{}", "0".repeat(whole.saturating_sub(digits.len()))),
    }
}

/// A finite number as `%e` prints it, with so many digits after the point.
#[must_use]
pub fn with_exponent(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}{}", signed_exponent(exponent.parse().unwrap_or_default()))
}

fn signed_exponent(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("e{sign}{:02}", exponent.unsigned_abs())
}

/// A number as `%f` prints it: six digits after the point.
#[must_use]
pub fn fixed(value: f64) -> String {
    match not_finite(value) {
        Some(name) => name.to_owned(),
        None => format!("{value:.6}"),
    }
}

fn not_finite(value: f64) -> Option<&'static str> {
    match value {
        _ if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_go_prints_them() {
        assert_eq!(float(-5.0), "-5");
        assert_eq!(float(123456.5), "123456.5");
        assert_eq!(float(1_234_567.0), "1.234567e+06");
        assert_eq!(float(1e-5), "1e-05");
        assert_eq!(float(f64::INFINITY), "+Inf");
        assert_eq!(fixed(1.01), "1.010000");
        assert_eq!(
            (float(0.0), float(0.1), float(0.00012)),
            ("0".into(), "0.1".into(), "0.00012".into())
        );
        assert_eq!(
            (short_float(0.123_456_789_1), short_float(1e6)),
            ("0.12345679".into(), "1e+06".into())
        );
        assert_eq!(
            (general(100.0, Some(3)), general(100.0, Some(2))),
            ("100".into(), "1e+02".into())
        );
        assert_eq!(
            (general(-0.012_34, Some(2)), with_exponent(0.25, 1)),
            ("-0.012".into(), "2.5e-01".into())
        );
    }

    #[test]
    fn quotes_escape_what_cannot_be_seen() {
        assert_eq!(
            quoted("e\u{301}\u{301}\u{20dd}\u{200c}"),
            "\"e\u{301}\u{301}\u{20dd}\\u200c\""
        );
        assert_eq!(quoted("\u{a0}\u{7f}\u{85}\u{e000}"), r#""\u00a0\x7f\u0085\ue000""#);
        assert_eq!(quoted("a\"b\\\n\u{1}é\u{200b}'"), r#""a\"b\\\n\x01é\u200b'""#);
    }
}
