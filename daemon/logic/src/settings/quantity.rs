// SPDX-License-Identifier: Apache-2.0
//! Amounts of resources as Kubernetes reads and prints them.
//!
//! Mechanism: a signed number of nano-units and the family of suffixes it was written in.
//! Invariants: at most 10^29 units, more is taken for that; what lies between two nano-units is rounded away from zero; the canonical text reads
//! back as the same amount.
//! Depends on: nothing.

use std::cmp::Ordering;
use std::fmt;

/// An amount, such as `100m`, `1.5Gi` or `1e3`.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// In units of 10^-9.
    nanos: i128,
    family: Family,
}

/// Which suffixes the amount was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// `Ki`, `Mi`, …
    Binary,
    /// `m`, `k`, `M`, …
    Decimal,
    /// `e3`, …
    Exponent,
}

/// A text that is not an amount, with Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It does not look like one.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    /// There is no such suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

const UNIT: i128 = 1_000_000_000;
/// The most units an amount can have here; Kubernetes has no bound.
const MAX_UNITS: u128 = 10_u128.pow(29);
const MAX: i128 = MAX_UNITS as i128 * UNIT;
/// Digits after the point that are looked at; a rest only rounds up.
const FRACTION_DIGITS: usize = 19;

impl Quantity {
    /// Reads what Kubernetes reads.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        if text.is_empty() {
            return Err(QuantityError::Form);
        }
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(rest);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", rest),
        };
        let (family, scale) = scale(suffix)?;
        let magnitude = magnitude(whole, fraction, scale);
        let nanos = if negative { -magnitude } else { magnitude };
        let is_below_one = family == Family::Binary && magnitude > 0 && magnitude < UNIT;
        let family = if is_below_one { Family::Decimal } else { family };
        Ok(Self { nanos, family })
    }

    /// The amount in billionths of a unit.
    #[must_use]
    pub fn as_nanos(&self) -> i128 {
        self.nanos
    }

    /// The amount in thousandths, rounded away from zero.
    #[must_use]
    pub fn as_millis(&self) -> i64 {
        let millis = divide_away_from_zero(self.nanos, UNIT / 1000);
        i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX })
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }
}

impl PartialEq for Quantity {
    /// By amount, whatever the suffix.
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    /// The canonical text: the largest suffix that leaves no fraction.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return write!(out, "0");
        }
        let is_small = self.nanos.abs() < 1024 * UNIT;
        match self.family {
            Family::Binary if !is_small => binary(out, divide_away_from_zero(self.nanos, UNIT)),
            Family::Binary | Family::Decimal => decimal(out, self.nanos, false),
            Family::Exponent => decimal(out, self.nanos, true),
        }
    }
}

fn binary(out: &mut fmt::Formatter<'_>, mut value: i128) -> fmt::Result {
    let mut suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].into_iter();
    let mut suffix = suffixes.next().unwrap_or_default();
    while value % 1024 == 0 {
        let Some(next) = suffixes.next() else { break };
        suffix = next;
        value /= 1024;
    }
    write!(out, "{value}{suffix}")
}

fn decimal(out: &mut fmt::Formatter<'_>, mut value: i128, as_exponent: bool) -> fmt::Result {
    const SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    let mut thousands = 0;
    while value % 1000 == 0 && (as_exponent || thousands + 1 < SUFFIXES.len()) {
        thousands += 1;
        value /= 1000;
    }
    let suffix = SUFFIXES.get(thousands).copied().unwrap_or_default();
    match thousands {
        3 => write!(out, "{value}"),
        _ if as_exponent => write!(out, "{value}e{}", thousands as i64 * 3 - 9),
        _ => write!(out, "{value}{suffix}"),
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len()))
}

/// What a suffix multiplies by.
#[derive(Clone, Copy)]
enum Scale {
    Two(u32),
    Ten(i64),
}

fn scale(suffix: &str) -> Result<(Family, Scale), QuantityError> {
    let letters = suffix.trim_start_matches(|char: char| "eEinumkKMGTP".contains(char));
    let exponent = letters.strip_prefix(['-', '+']).unwrap_or(letters);
    if !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(QuantityError::Form);
    }
    Ok(match suffix {
        "" => (Family::Decimal, Scale::Ten(0)),
        "n" => (Family::Decimal, Scale::Ten(-9)),
        "u" => (Family::Decimal, Scale::Ten(-6)),
        "m" => (Family::Decimal, Scale::Ten(-3)),
        "k" => (Family::Decimal, Scale::Ten(3)),
        "M" => (Family::Decimal, Scale::Ten(6)),
        "G" => (Family::Decimal, Scale::Ten(9)),
        "T" => (Family::Decimal, Scale::Ten(12)),
        "P" => (Family::Decimal, Scale::Ten(15)),
        "E" => (Family::Decimal, Scale::Ten(18)),
        "Ki" => (Family::Binary, Scale::Two(10)),
        "Mi" => (Family::Binary, Scale::Two(20)),
        "Gi" => (Family::Binary, Scale::Two(30)),
        "Ti" => (Family::Binary, Scale::Two(40)),
        "Pi" => (Family::Binary, Scale::Two(50)),
        "Ei" => (Family::Binary, Scale::Two(60)),
        _ => (
            Family::Exponent,
            Scale::Ten(decimal_exponent(suffix).ok_or(QuantityError::Suffix)?),
        ),
    })
}

fn decimal_exponent(suffix: &str) -> Option<i64> {
    let digits = suffix.strip_prefix(['e', 'E'])?;
    digits.strip_prefix('+').unwrap_or(digits).parse().ok()
}

/// In nano-units, rounded up, at most `MAX`.
fn magnitude(whole: &str, fraction: &str, scale: Scale) -> i128 {
    let ten = match scale {
        Scale::Ten(exponent) => exponent,
        Scale::Two(_) => 0,
    };
    let digits = Digits::shifted(whole, fraction, ten);
    let two = match scale {
        Scale::Two(exponent) => exponent,
        Scale::Ten(_) => 0,
    };
    let units = digits.whole.and_then(|whole| whole.checked_mul(1 << two));
    let Some(units) = units.filter(|units| *units < MAX_UNITS) else {
        return MAX;
    };
    // At most 10^19 * 2^60.
    let part = digits.fraction << two;
    let divisor = 10_u128.pow(FRACTION_DIGITS as u32 - 9);
    let nanos = part.div_ceil(divisor) + u128::from(digits.has_rest && part.is_multiple_of(divisor));
    i128::try_from(units * UNIT.unsigned_abs() + nanos).map_or(MAX, |nanos| nanos.min(MAX))
}

/// A decimal number: whole part (nothing if too large), so many digits of fraction, and whether more follow.
struct Digits {
    whole: Option<u128>,
    fraction: u128,
    has_rest: bool,
}

impl Digits {
    /// `whole.fraction * 10^exponent`.
    fn shifted(whole: &str, fraction: &str, exponent: i64) -> Self {
        let digits = || {
            whole
                .bytes()
                .chain(fraction.bytes())
                .map(|byte| u128::from(byte - b'0'))
        };
        let point = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent);
        let mut number = Self {
            whole: Some(0),
            fraction: 0,
            has_rest: false,
        };
        let mut fraction_digits = 0;
        // Zeros between the point and the first digit.
        if point < 0 {
            fraction_digits = usize::try_from(point.unsigned_abs()).unwrap_or(usize::MAX);
        }
        for (position, digit) in (0_i64..).zip(digits()) {
            if position < point {
                number.whole = number.whole.and_then(|whole| whole.checked_mul(10)?.checked_add(digit));
            } else if fraction_digits < FRACTION_DIGITS {
                number.fraction += digit * 10_u128.pow((FRACTION_DIGITS - 1 - fraction_digits) as u32);
                fraction_digits += 1;
            } else {
                number.has_rest |= digit != 0;
            }
        }
        // Zeros between the last digit and the point.
        let count = i64::try_from(whole.len() + fraction.len()).unwrap_or(i64::MAX);
        let zeros = u32::try_from(point.saturating_sub(count).max(0)).unwrap_or(u32::MAX);
        number.whole = match number.whole {
            Some(0) => Some(0),
            other => other.and_then(|whole| whole.checked_mul(10_u128.checked_pow(zeros)?)),
        };
        number
    }
}

fn divide_away_from_zero(value: i128, by: i128) -> i128 {
    let rest = value % by;
    value / by + if rest == 0 { 0 } else { rest.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_texts_are_those_of_kubernetes() {
        let texts = [
            ("1.5Gi", "1536Mi"),
            ("100M", "100M"),
            ("1000", "1k"),
            ("0.1", "100m"),
            ("1000m", "1"),
            ("-", "0"),
            ("m", "0"),
            ("0.5Ki", "512"),
            ("0.5", "500m"),
            ("0.1Ki", "102400m"),
            ("1e3", "1e3"),
            ("10e3", "10e3"),
            ("12345e-2", "123450e-3"),
            ("0.0000000001", "1n"),
            ("9999999999999999999", "9999999999999999999"),
            ("1.0000000001", "1000000001n"),
            ("0.0000000001Ki", "103n"),
            ("1000e3", "1e6"),
            ("1e25", "10e24"),
            ("1E", "1E"),
            ("1.G", "1G"),
            ("-1.5Gi", "-1536Mi"),
            ("1024Ki", "1Mi"),
            ("1e400000", "100e27"),
            ("0e400000", "0"),
            ("1e-400000", "1e-9"),
        ];
        for (text, canonical) in texts {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn wrong_texts_are_refused_with_their_reason() {
        for text in ["", "x", "1Gx", "1 Gi", "1.2.3"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Form), "{text}");
        }
        for text in ["1K", "1mi", "1Gi1", "1ee3", "1e", "--1"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Suffix), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_text_is_the_same_amount(
            number in "[-+]?[0-9]{1,12}(\\.[0-9]{0,12})?",
            suffix in "|n|u|m|k|M|G|T|P|E|e[0-9]|e-[0-9]|Ki|Mi|Gi|Ti",
        ) {
            let quantity = Quantity::parse(&format!("{number}{suffix}")).unwrap();
            let again = Quantity::parse(&quantity.to_string()).unwrap();
            // A binary amount is printed without its fraction.
            if quantity.family != Family::Binary || quantity.nanos % UNIT == 0 {
                prop_assert_eq!(quantity, again);
            }
            prop_assert_eq!(again.to_string(), quantity.to_string());
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.a-zA-Z ]{0,40}") {
            let _ = Quantity::parse(&text).map(|quantity| quantity.to_string());
        }
    }
}
