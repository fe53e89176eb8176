// SPDX-License-Identifier: Apache-2.0
//! Booleans and numbers as Go's strconv reads them, with its error texts.
//!
//! Invariants: what strconv refuses is refused with the same text; nothing panics.
//! Depends on: print.

use super::print::quoted;
use std::borrow::Cow;

/// A text that is not the wanted number; prints as Go's `*strconv.NumError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("strconv.{function}: parsing {}: {reason}", quoted(.input))]
pub struct NumberError {
    function: &'static str,
    input: String,
    reason: &'static str,
}

const SYNTAX: &str = "invalid syntax";
const RANGE: &str = "value out of range";

impl NumberError {
    /// What Go's ParseInt gives beside the error, for 32 bits: the bound that was passed, else 0.
    #[must_use]
    pub fn nearest_int32(&self) -> i32 {
        match (self.reason, self.input.starts_with('-')) {
            (RANGE, true) => i32::MIN,
            (RANGE, false) => i32::MAX,
            _ => 0,
        }
    }
}

/// A boolean: `1`, `t`, `T`, `true`, `TRUE`, `True` and their opposites.
///
/// # Errors
/// Any other text.
pub fn boolean(text: &str) -> Result<bool, NumberError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(error("ParseBool", text, SYNTAX)),
    }
}

/// A decimal integer of 64 bits.
///
/// # Errors
/// Not a decimal integer, or out of range.
pub fn int64(text: &str) -> Result<i64, NumberError> {
    signed(text, i64::MIN, i64::MAX, u64::MAX)
}

/// A decimal integer of 32 bits.
///
/// # Errors
/// Not a decimal integer, or out of range.
pub fn int32(text: &str) -> Result<i32, NumberError> {
    let value = signed(text, i32::MIN.into(), i32::MAX.into(), u32::MAX.into())?;
    i32::try_from(value).map_err(|_| error("ParseInt", text, RANGE))
}

/// A decimal integer of 64 bits without a sign.
///
/// # Errors
/// Not a decimal integer, or out of range.
pub fn uint64(text: &str) -> Result<u64, NumberError> {
    digits(text, u64::MAX).map_err(|reason| error("ParseUint", text, reason))
}

/// A decimal integer of 32 bits without a sign.
///
/// # Errors
/// Not a decimal integer, or out of range.
pub fn uint32(text: &str) -> Result<u32, NumberError> {
    let value = digits(text, u32::MAX.into()).map_err(|reason| error("ParseUint", text, reason))?;
    u32::try_from(value).map_err(|_| error("ParseUint", text, RANGE))
}

/// A floating point number, decimal or hexadecimal, or an infinity or NaN; a `_` may stand between two digits, and after
/// the `0x`.
///
/// # Errors
/// Not a number, or too large for 64 bits.
pub fn float(text: &str) -> Result<f64, NumberError> {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'-') => (-1.0, text.get(1..).unwrap_or_default()),
        Some(b'+') => (1.0, text.get(1..).unwrap_or_default()),
        _ => (1.0, text),
    };
    let syntax = || error("ParseFloat", text, SYNTAX);
    let plain = without_separators(rest).ok_or_else(syntax)?;
    let named = plain.to_ascii_lowercase();
    let value = match named.as_str() {
        "inf" | "infinity" => return Ok(sign * f64::INFINITY),
        "nan" if plain.len() == text.len() => return Ok(f64::NAN),
        _ if named.starts_with("0x") => hexadecimal(&named).ok_or_else(syntax)?,
        _ if plain.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            plain.parse::<f64>().map_err(|_| syntax())?
        }
        _ => return Err(syntax()),
    };
    if value.is_infinite() {
        return Err(error("ParseFloat", text, RANGE));
    }
    Ok(sign * value)
}

/// The number without its `_`, if these stand where they may.
fn without_separators(unsigned: &str) -> Option<Cow<'_, str>> {
    if !unsigned.contains('_') {
        return Some(Cow::Borrowed(unsigned));
    }
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
            return None;
        }
        last = char;
    }
    (last != '_').then(|| Cow::Owned(unsigned.replace('_', "")))
}

/// `0x…p±…`: the exponent is required.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.strip_prefix("0x")?.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: u128 = 0;
    let mut shift: i32 = 0;
    for (index, digit) in whole.chars().chain(fraction.chars()).enumerate() {
        let digit = digit.to_digit(16)?;
        let in_fraction = index >= whole.len();
        if value >> 112 == 0 {
            value = value << 4 | u128::from(digit);
            shift = shift.saturating_sub(if in_fraction { 4 } else { 0 });
        } else {
            // Only whether something was left decides how the rest is rounded.
            value |= u128::from(digit > 0);
            shift = shift.saturating_add(if in_fraction { 0 } else { 4 });
        }
    }
    let exponent = binary_exponent(exponent)?;
    let power = shift.saturating_add(exponent).clamp(-1400, 1400);
    #[expect(clippy::cast_precision_loss, reason = "rounding to a float is the purpose")]
    let value = value as f64;
    // Two steps: one factor alone may be zero or infinite where the product is not.
    Some(value * 2f64.powi(power / 2) * 2f64.powi(power - power / 2))
}

/// One sign, if any, and digits; what is too large for anything stays so.
fn binary_exponent(text: &str) -> Option<i32> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let magnitude: i32 = digits.parse().unwrap_or(i32::MAX);
    Some(sign * magnitude)
}

fn signed(text: &str, min: i64, max: i64, digits_max: u64) -> Result<i64, NumberError> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    let magnitude = digits(rest, digits_max).map_err(|reason| error("ParseInt", text, reason))?;
    let value = if negative {
        -i128::from(magnitude)
    } else {
        i128::from(magnitude)
    };
    i64::try_from(value)
        .ok()
        .filter(|value| (min..=max).contains(value))
        .ok_or_else(|| error("ParseInt", text, RANGE))
}

/// The digits are looked at one by one: too many come before a wrong one.
fn digits(text: &str, max: u64) -> Result<u64, &'static str> {
    if text.is_empty() {
        return Err(SYNTAX);
    }
    text.bytes().try_fold(0_u64, |value, byte| {
        if !byte.is_ascii_digit() {
            return Err(SYNTAX);
        }
        value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(byte - b'0')))
            .filter(|value| *value <= max)
            .ok_or(RANGE)
    })
}

fn error(function: &'static str, input: &str, reason: &'static str) -> NumberError {
    NumberError {
        function,
        input: input.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_those_of_strconv() {
        let text = |error: NumberError| error.to_string();
        assert_eq!(
            text(boolean(" true").unwrap_err()),
            "strconv.ParseBool: parsing \" true\": invalid syntax"
        );
        assert_eq!(
            text(int32("2147483648").unwrap_err()),
            "strconv.ParseInt: parsing \"2147483648\": value out of range"
        );
        assert_eq!(
            text(uint64("-1").unwrap_err()),
            "strconv.ParseUint: parsing \"-1\": invalid syntax"
        );
        assert_eq!(
            text(float("1e999").unwrap_err()),
            "strconv.ParseFloat: parsing \"1e999\": value out of range"
        );
        assert_eq!(
            text(int64("99999999999999999999x").unwrap_err()),
            "strconv.ParseInt: parsing \"99999999999999999999x\": value out of range"
        );
    }

    #[test]
    fn integers_take_a_sign_but_no_underscore() {
        assert_eq!(int64("+5"), Ok(5));
        assert_eq!(int64("-9223372036854775808"), Ok(i64::MIN));
        assert!(int64("1_000").is_err() && int64("").is_err() && int64("-").is_err());
    }

    #[test]
    fn floats_are_read_in_every_form() {
        assert_eq!(float("1e3"), Ok(1000.0));
        assert_eq!(float(".5"), Ok(0.5));
        assert_eq!(float("5."), Ok(5.0));
        assert_eq!(float("0x1p-2"), Ok(0.25));
        assert_eq!(float("-0x1.8p1"), Ok(-3.0));
        assert_eq!(float("-Inf"), Ok(f64::NEG_INFINITY));
        assert!(float("NaN").is_ok_and(f64::is_nan));
        for wrong in ["", ".", "e5", "1e", "+nan", "0x1", "--1", "0xp1", "0x1p"] {
            assert!(float(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn exponents_of_base_two_have_one_sign_and_any_size() {
        assert_eq!(float("0x1p-99999999999"), Ok(0.0));
        assert_eq!(float("0x0p99999999999"), Ok(0.0));
        assert_eq!(float("0x1p+4"), Ok(16.0));
        assert_eq!(
            float("0x1p99999999999").unwrap_err().to_string(),
            "strconv.ParseFloat: parsing \"0x1p99999999999\": value out of range"
        );
        for wrong in ["0x1p+-5", "0x1p-+5", "0x1p--5", "0x1p+", "0x1p5x"] {
            let error = float(wrong).unwrap_err().to_string();
            assert!(error.ends_with(": invalid syntax"), "{error}");
        }
    }

    #[test]
    fn a_digit_far_behind_still_decides_how_a_half_is_rounded() {
        let half = "0x1.00000000000008";
        assert_eq!(float(&format!("{half}p0")), Ok(1.0));
        assert_eq!(float(&format!("{half}{}1p0", "0".repeat(40))), Ok(1.0 + f64::EPSILON));
    }

    #[test]
    fn separators_stand_between_digits() {
        assert_eq!(float("1_000.5_0e1_0"), Ok(1000.5e10));
        assert_eq!(float("0x_1_0p-0_2"), Ok(4.0));
        for wrong in ["_1", "1_", "1__0", "1_.5", "1._5", "1e_5", "0x1_p1", "in_f"] {
            assert!(float(wrong).is_err(), "{wrong}");
        }
    }
}
