// SPDX-License-Identifier: Apache-2.0
//! Kubernetes quantities: `100m`, `1.5Gi`, `1e3`.
//!
//! Problem: a quantity is read in many spellings and written in one, and Knative's answers show the written one.
//! Mechanism: an exact decimal (mantissa and power of ten) beside the family of its suffix; the canonical text has no
//! fraction and the largest suffix that loses nothing.
//! Invariants: a value finer than a billionth is rounded away from zero to one; more than 38 digits stay as written; equal
//! and ordered are amounts, whatever their spelling.
//! Depends on: nothing.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

/// A number with a suffix, exact to a billionth.
#[derive(Clone, Debug)]
pub struct Quantity(Amount);

#[derive(Clone, Debug)]
enum Amount {
    /// `mantissa · 10^exponent`.
    Exact {
        mantissa: i128,
        exponent: i32,
        family: Family,
    },
    /// Well formed, but too long to count with.
    Text(String),
}

/// Which suffixes the canonical text uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// `m`, `k`, `M`.
    Decimal,
    /// `e3`, `e6`.
    Exponent,
    /// `Ki`, `Mi`.
    Binary,
}

/// Why a text is no quantity; the texts are Kubernetes' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not look like a number and a suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    /// It has letters behind the number that mean nothing.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

const DECIMAL: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// The finest that is kept.
const NANO: i32 = -9;
/// The largest binary quantity.
const BINARY_LIMIT: i128 = i64::MAX as i128;

impl Quantity {
    /// Reads a quantity as Kubernetes does.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let parts = Parts::of(text)?;
        let scale = Scale::of(parts.suffix)?;
        let digits = format!("{}{}", parts.whole, parts.fraction);
        let finer = i32::try_from(parts.fraction.len()).unwrap_or(i32::MAX);
        let exact = digits
            .parse::<i128>()
            .ok()
            .and_then(|mantissa| mantissa.checked_mul(scale.factor))
            .map(|mantissa| {
                (
                    if parts.is_negative { -mantissa } else { mantissa },
                    scale.exponent.saturating_sub(finer),
                )
            });
        Ok(Self(match exact {
            Some((mantissa, exponent)) => bounded(mantissa, exponent, scale.family),
            None => Amount::Text(text.to_owned()),
        }))
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Amount::Exact { mantissa, .. } => *mantissa < 0,
            Amount::Text(text) => text.starts_with('-'),
        }
    }
}

impl Ord for Quantity {
    /// By amount; a text too long to count with is further from zero than any amount.
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Amount::Text(text), Amount::Text(other)) => text.cmp(other),
            (Amount::Text(_), Amount::Exact { .. }) => beyond(self),
            (Amount::Exact { .. }, Amount::Text(_)) => beyond(other).reverse(),
            (
                Amount::Exact { mantissa, exponent, .. },
                Amount::Exact {
                    mantissa: other,
                    exponent: others,
                    ..
                },
            ) => compare((*mantissa, *exponent), (*other, *others)),
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quantity {}

impl fmt::Display for Quantity {
    /// Writes the canonical text.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Amount::Text(text) => out.write_str(text),
            Amount::Exact { mantissa: 0, .. } => out.write_str("0"),
            Amount::Exact {
                mantissa,
                exponent,
                family,
            } => write(out, *mantissa, *exponent, *family),
        }
    }
}

fn beyond(text: &Quantity) -> Ordering {
    if text.is_negative() {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// A text cut at its joints.
struct Parts<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    suffix: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, Malformed> {
        if text.is_empty() {
            return Err(Malformed::Form);
        }
        let is_negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, rest) = digits(unsigned);
        let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
        let letters = suffix.trim_start_matches(|letter| "eEinumkKMGTP".contains(letter));
        let power = letters.strip_prefix(['-', '+']).unwrap_or(letters);
        if !power.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed::Form);
        }
        // A number without digits is zero, to Kubernetes.
        let whole = if whole.is_empty() { "0" } else { whole };
        let fraction = fraction.trim_end_matches('0');
        Ok(Self {
            is_negative,
            whole,
            fraction,
            suffix,
        })
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// What a suffix multiplies by.
struct Scale {
    factor: i128,
    exponent: i32,
    family: Family,
}

impl Scale {
    fn of(suffix: &str) -> Result<Self, Malformed> {
        if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
            return Ok(Self {
                factor: 1,
                exponent: *exponent,
                family: Family::Decimal,
            });
        }
        if let Some((_, factor)) = BINARY.iter().zip(powers_of_1024()).find(|(name, _)| **name == suffix) {
            return Ok(Self {
                factor,
                exponent: 0,
                family: Family::Binary,
            });
        }
        let power = suffix.strip_prefix(['e', 'E']).ok_or(Malformed::Suffix)?;
        Ok(Self {
            factor: 1,
            exponent: power.parse().map_err(|_| Malformed::Suffix)?,
            family: Family::Exponent,
        })
    }
}

fn powers_of_1024() -> impl Iterator<Item = i128> {
    (1..).map(|power: u32| 1024_i128.saturating_pow(power))
}

/// Rounds to a billionth and caps what is binary.
fn bounded(mantissa: i128, exponent: i32, family: Family) -> Amount {
    let (mut mantissa, exponent) = if exponent < NANO {
        (round_up(mantissa, exponent.abs_diff(NANO)), NANO)
    } else {
        (mantissa, exponent)
    };
    let mut exponent = exponent;
    let mut family = family;
    if family == Family::Binary {
        let magnitude = mantissa.saturating_abs();
        if compare((magnitude, exponent), (BINARY_LIMIT, 0)) == Ordering::Greater {
            (mantissa, exponent) = (mantissa.signum() * BINARY_LIMIT, 0);
        }
        if magnitude > 0 && compare((magnitude, exponent), (1, 0)) == Ordering::Less {
            family = Family::Decimal;
        }
    }
    Amount::Exact {
        mantissa,
        exponent,
        family,
    }
}

/// Divides by a power of ten, away from zero.
fn round_up(mantissa: i128, places: u32) -> i128 {
    let Some(divisor) = 10_i128.checked_pow(places) else {
        return mantissa.signum();
    };
    let rest = if mantissa % divisor == 0 { 0 } else { mantissa.signum() };
    mantissa / divisor + rest
}

/// Compares `a · 10^b` without ever overflowing.
fn compare(left: (i128, i32), right: (i128, i32)) -> Ordering {
    if left.0.signum() != right.0.signum() || left.0 == 0 {
        return left.0.signum().cmp(&right.0.signum());
    }
    let lowest = left.1.min(right.1);
    let raised = |(mantissa, exponent): (i128, i32)| {
        let factor = 10_i128.checked_pow(exponent.abs_diff(lowest))?;
        mantissa.checked_mul(factor)
    };
    match (raised(left), raised(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (None, _) => left.0.cmp(&0),
        (_, None) => 0.cmp(&right.0),
    }
}

fn write(out: &mut fmt::Formatter<'_>, mantissa: i128, exponent: i32, family: Family) -> fmt::Result {
    if family == Family::Binary
        && let Some(whole) = whole(mantissa, exponent)
        && whole.saturating_abs() >= 1024
    {
        return write_binary(out, whole);
    }
    let (mut mantissa, mut exponent) = (mantissa, exponent);
    while mantissa % 10 == 0 {
        (mantissa, exponent) = (mantissa / 10, exponent.saturating_add(1));
    }
    while exponent.rem_euclid(3) != 0 {
        let Some(larger) = mantissa.checked_mul(10) else {
            return write!(out, "{mantissa}e{exponent}");
        };
        (mantissa, exponent) = (larger, exponent - 1);
    }
    match (family, DECIMAL.iter().find(|(_, power)| *power == exponent)) {
        (Family::Exponent, _) if exponent == 0 => write!(out, "{mantissa}"),
        (Family::Exponent, _) | (_, None) => write!(out, "{mantissa}e{exponent}"),
        (_, Some((suffix, _))) => write!(out, "{mantissa}{suffix}"),
    }
}

/// The value, if it is a whole number.
fn whole(mantissa: i128, exponent: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 {
        return mantissa.checked_mul(factor);
    }
    (mantissa % factor == 0).then(|| mantissa / factor)
}

fn write_binary(out: &mut fmt::Formatter<'_>, whole: i128) -> fmt::Result {
    let (mut number, mut suffix) = (whole, "");
    for larger in BINARY {
        if number % 1024 != 0 {
            break;
        }
        (number, suffix) = (number / 1024, larger);
    }
    write!(out, "{number}{suffix}")
}
