// SPDX-License-Identifier: Apache-2.0
//! The line with the names of the columns, if there is one.
//!
//! Depends on: line.

use crate::replay::line::LineError;

/// Whether a line has names where numbers would stand.
pub(super) fn is_header(line: &str) -> bool {
    line.trim_start().starts_with(|char: char| char.is_alphabetic()) && line.parse::<f64>().is_err()
}

/// Whether the names of a header stand where they belong; unknown names are nobody's business.
pub(super) fn check(line: &str, shape: &'static str) -> Result<(), LineError> {
    let known = shape.split(',');
    let names = line.split(',').map(str::trim);
    let is_misplaced = |(at, name): (usize, &str)| {
        known
            .clone()
            .position(|known| known == name)
            .is_some_and(|place| place != at)
    };
    match names.enumerate().any(is_misplaced) {
        true => Err(LineError::new("header", shape, line)),
        false => Ok(()),
    }
}
