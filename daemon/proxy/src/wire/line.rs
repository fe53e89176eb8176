// SPDX-License-Identifier: Apache-2.0
//! Lines of heads as nearly everybody writes them.
//!
//! Problem: whoever goes on with a head as it came must not take a line that another reader would read otherwise.
//! Mechanism: what `parse` is lenient in is no line here, nor is what it refuses: the head is left to it.
//! Invariants: a line ends with CR LF and has no other of the two; names are tokens; values have no control byte but the tab.
//! Depends on: parse.

use super::parse::trimmed;
use memchr::memchr;

/// Longer names are left to who knows how long they may be.
const NAME: usize = 128;

/// The first line, and what follows it.
pub(super) fn line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = text.split_at_checked(memchr(b'\n', text)?)?;
    Some((line.strip_suffix(b"\r")?, rest.get(1..)?))
}

/// The name and the value of a field's line.
pub(super) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
    let value = trimmed(value.get(1..)?);
    (is_name(name) && is_value(value)).then_some((name, value))
}

/// The length of a body, as one writes it.
pub(super) fn length(value: &[u8]) -> Option<u64> {
    let is_usual = matches!(value, [b'0'] | [b'1'..=b'9', ..]) && value.len() < 19;
    if !is_usual || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn is_name(name: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_!#$%&'*+.^`|~".contains(byte);
    !name.is_empty() && name.len() <= NAME && name.iter().all(is_token)
}

/// No control byte but the tab (`HeaderValue`).
fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| *byte >= b' ' && *byte != 0x7f || *byte == b'\t')
}

/// Lines of these names, as they are sent and as they should not be: with these values, and with some that are odd in any field.
#[cfg(test)]
pub(super) fn odd(
    names: &'static [&'static str],
    values: &[&'static str],
) -> impl proptest::strategy::Strategy<Value = String> + use<> {
    use proptest::prelude::Strategy as _;
    use proptest::sample::select;

    const VALUES: [&str; 17] = [
        "5",
        "0",
        "05",
        "-1",
        "99999999999999999999",
        "chunked",
        "close",
        "keep-alive",
        "X-Hop",
        "",
        " a ",
        "a\tb",
        "a\rb",
        "5\r",
        "\u{e9}",
        "a\x7f",
        "\x01",
    ];
    let value = select([&VALUES[..], values].concat());
    let colon = select(vec![":", ": ", ": ", ": ", " : ", "", ":\t"]);
    let end = select(vec!["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r\n ", "\r\r\n"]);
    (select(names), colon, value, end).prop_map(|(name, colon, value, end)| [name, colon, value, end].concat())
}
