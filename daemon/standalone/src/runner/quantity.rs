// SPDX-License-Identifier: Apache-2.0
//! Kubernetes' quantities as numbers: `100m`, `1.5`, `64Mi`, `1e3`.
//!
//! Depends on: nothing.

/// A quantity in thousandths of its unit, rounded up; none if it is not one or is negative.
#[must_use]
pub(super) fn thousandths(text: &str) -> Option<u128> {
    let at = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at_checked(at)?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || digits.len() > 24 {
        return None;
    }
    let scale: u128 = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let number: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (up, down) = factor(suffix)?;
    Some(
        number
            .checked_mul(up)?
            .checked_mul(1000)?
            .div_ceil(scale.checked_mul(down)?),
    )
}

/// What a suffix multiplies and divides by.
fn factor(suffix: &str) -> Option<(u128, u128)> {
    let small = match suffix {
        "n" => Some(1_000_000_000),
        "u" => Some(1_000_000),
        "m" => Some(1000),
        _ => None,
    };
    if let Some(down) = small {
        return Some((1, down));
    }
    let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
        .iter()
        .position(|one| *one == suffix);
    if let Some(power) = binary {
        return Some((1 << (10 * (power + 1)), 1));
    }
    let decimal = ["", "k", "M", "G", "T", "P", "E"].iter().position(|one| *one == suffix);
    if let Some(power) = decimal {
        return Some((1000_u128.pow(u32::try_from(power).ok()?), 1));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_u128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn quantities_are_numbers_with_suffixes() {
        for (text, value) in [
            ("1", 1000),
            ("100m", 100),
            ("1.5", 1500),
            ("64Mi", 64 * 1024 * 1024 * 1000),
            ("1k", 1_000_000),
            ("1e3", 1_000_000),
            ("1n", 1),
            (".5", 500),
        ] {
            assert_eq!(thousandths(text), Some(value), "{text}");
        }
        for wrong in ["", "x", "1x", "-1", "1..2", ".", "1e99", "99999999999999999999999999"] {
            assert_eq!(thousandths(wrong), None, "{wrong}");
        }
    }
}
