// SPDX-License-Identifier: Apache-2.0
//! Floating point numbers as Go reads them, with `_` between digits.
//!
//! Depends on: logic (Go's numbers).

use logic::settings::go::number::{self, NumberError};

/// The number; a `_` may stand between two digits, and after the prefix of a hexadecimal one.
pub(super) fn float(text: &str) -> Result<f64, NumberError> {
    match has_good_separators(text) {
        true => number::float(&text.replace('_', "")),
        false => number::float(text),
    }
}

fn has_good_separators(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_hexadecimal = unsigned.starts_with("0x") || unsigned.starts_with("0X");
    let is_digit = |char: char| char.is_ascii_digit() || is_hexadecimal && char.is_ascii_hexdigit();
    let mut last = if is_hexadecimal { '0' } else { ' ' };
    for char in unsigned.chars().skip(if is_hexadecimal { 2 } else { 0 }) {
        let is_good = match (last, char) {
            (last, '_') => is_digit(last),
            ('_', char) => is_digit(char),
            _ => true,
        };
        if !is_good {
            return false;
        }
        last = char;
    }
    last != '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_stand_between_digits() {
        assert_eq!(float("1_000.5"), Ok(1000.5));
        for wrong in ["_1", "1_", "1__0", "1_.5", "1._5"] {
            assert!(float(wrong).is_err(), "{wrong}");
        }
    }
}
