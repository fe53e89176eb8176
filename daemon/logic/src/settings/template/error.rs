// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a template; prints as Go prints it.
//!
//! Depends on: nothing.

/// A template that cannot be parsed or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It cannot be parsed.
    #[error("template: {name}:{line}: {reason}")]
    Parse {
        /// The name of the template.
        name: &'static str,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// It cannot be rendered over this value.
    #[error("template: {name}:{line}:{column}: executing \"{executing}\" at <{at}>: {reason}")]
    Render {
        /// The name of the template.
        name: &'static str,
        /// Counted from 1.
        line: usize,
        /// In bytes, counted from 0.
        column: usize,
        /// The template that fails: this one, or one it calls.
        executing: String,
        /// The part that fails.
        at: String,
        /// Why.
        reason: String,
    },
}

/// The line of a position, counted from 1, and the column, in bytes from 0.
pub(super) fn place(text: &str, position: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..position).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |index| index + 1);
    (line, before.len() - start)
}
