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
    // At the start of a text Rust escapes combining marks, too; after a letter it does not.
    let mut bytes = [b'a'; 5];
    let length = char.encode_utf8(&mut bytes[1..]).len();
    str::from_utf8(&bytes[..=length]).is_ok_and(|text| text.escape_debug().count() == 2)
}

/// A number as `%v` prints it: the shortest text, with an exponent below 1e-4 and from 1e6.
#[must_use]
pub fn float(value: f64) -> String {
    if let Some(name) = not_finite(value) {
        return name.to_owned();
    }
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
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
