// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a line of a trace, and how a number in it is read.
//!
//! Invariants: what is found is shown shortened and without control characters.
//! Depends on: nothing.

/// So much of what was found is shown.
const SHOWN: usize = 60;

/// A line that is not what its format says; whoever read it adds file and line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, found {found}")]
pub struct LineError {
    /// Which field.
    pub field: &'static str,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl LineError {
    /// An error that shows what was found.
    pub fn new(field: &'static str, expected: impl Into<String>, found: &str) -> Self {
        Self {
            field,
            expected: expected.into(),
            found: match found.trim() {
                "" => "nothing".to_owned(),
                text => format!("`{}`", shown(text)),
            },
        }
    }
}

/// Shortened, and safe on a terminal.
pub fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .take(SHOWN)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

/// A number from 0 to `most`.
pub fn number(field: &'static str, text: Option<&str>, most: f64) -> Result<f64, LineError> {
    let text = text.unwrap_or_default().trim();
    text.parse()
        .ok()
        .filter(|value| (0.0..=most).contains(value))
        .ok_or_else(|| LineError::new(field, format!("a number from 0 to {most}"), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_in_range_is_refused() {
        assert_eq!(number("x", Some(" 1.5 "), 2.0), Ok(1.5));
        for wrong in ["", "a", "-1", "NaN", "inf", "2.1", "1 2"] {
            assert!(number("x", Some(wrong), 2.0).is_err(), "{wrong}");
        }
        let error = number("x", None, 2.0).unwrap_err();
        assert_eq!(error.to_string(), "x: expected a number from 0 to 2, found nothing");
    }

    #[test]
    fn what_is_shown_is_short_and_harmless() {
        let error = LineError::new("x", "y", &"\x1b[31m".repeat(100));
        assert!(error.found.chars().count() < 70 && !error.found.contains('\x1b'));
    }
}
