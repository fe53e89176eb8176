// SPDX-License-Identifier: Apache-2.0
//! What is wrong with an object, with the paths and texts of Knative's webhook; control-plane spec 2.2.
//!
//! Mechanism: a list of findings; going up one field puts its name in front of every path. Findings that say the same
//! are one line with all their paths; lines are sorted.
//! Invariants: no order of adding changes the text; an empty path is the current field and vanishes.
//! Depends on: nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

/// Whether a finding refuses the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The object is refused.
    Error,
    /// The object is accepted, the user is told.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    message: String,
    details: String,
    paths: Vec<String>,
}

/// Everything that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<Finding>);

impl FieldErrors {
    /// Nothing is wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A finding in words of its own.
    #[must_use]
    pub fn generic(message: impl Into<String>, path: impl Into<String>) -> Self {
        Self::at(message.into(), [path])
    }

    /// A finding about several fields.
    #[must_use]
    pub fn at(message: String, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(vec![Finding {
            level: Level::Error,
            message,
            details: String::new(),
            paths: paths.into_iter().map(Into::into).collect(),
        }])
    }

    /// A finding without any path: its line ends with `: ` wherever it is found.
    #[must_use]
    pub fn nowhere(message: String) -> Self {
        Self::at(message, <[&str; 0]>::default())
    }

    /// Required fields that are absent.
    #[must_use]
    pub fn missing<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::at("missing field(s)".to_owned(), paths)
    }

    /// Fields that must be absent; nothing if there are none.
    #[must_use]
    pub fn disallowed<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let found = Self::at("must not set the field(s)".to_owned(), paths);
        Self(
            found
                .0
                .into_iter()
                .filter(|finding| !finding.paths.is_empty())
                .collect(),
        )
    }

    /// A value that is no good.
    #[must_use]
    pub fn invalid_value(value: impl Display, path: impl Into<String>) -> Self {
        Self::at(format!("invalid value: {value}"), [path])
    }

    /// A value outside of its bounds.
    #[must_use]
    pub fn out_of_bounds(value: impl Display, low: impl Display, high: impl Display, path: impl Into<String>) -> Self {
        Self::at(format!("expected {low} <= {value} <= {high}"), [path])
    }

    /// None of several fields is set.
    #[must_use]
    pub fn missing_one_of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::at("expected exactly one, got neither".to_owned(), paths)
    }

    /// More than one of several fields is set.
    #[must_use]
    pub fn multiple_one_of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self::at("expected exactly one, got both".to_owned(), paths)
    }

    /// A key that is no good.
    #[must_use]
    pub fn invalid_key(key: &str, path: &str) -> Self {
        Self::at(format!("invalid key name {}", logic::go::print::quoted(key)), [path])
    }

    /// With more words on a line of their own.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        let details = details.into();
        for finding in &mut self.0 {
            finding.details.clone_from(&details);
        }
        self
    }

    /// The same as warnings.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        for finding in &mut self.0 {
            finding.level = Level::Warning;
        }
        self
    }

    /// These and others.
    #[must_use]
    pub fn also(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Adds others.
    pub fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The same, seen from the object whose `field` was looked at.
    #[must_use]
    pub fn via_field(mut self, field: &str) -> Self {
        for path in self.0.iter_mut().flat_map(|finding| &mut finding.paths) {
            *path = join(field, path);
        }
        self
    }

    /// The same, seen from the list whose element was looked at.
    #[must_use]
    pub fn via_index(self, index: usize) -> Self {
        self.via_field(&format!("[{index}]"))
    }

    /// The same, seen from the object whose list was looked at.
    #[must_use]
    pub fn via_field_index(self, field: &str, index: usize) -> Self {
        self.via_index(index).via_field(field)
    }

    /// The same, seen from the map whose entry was looked at.
    #[must_use]
    pub fn via_key(self, key: &str) -> Self {
        self.via_field(&format!("[{key}]"))
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines of one level, sorted.
    #[must_use]
    pub fn lines(&self, level: Level) -> Vec<Line> {
        let mut merged: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for finding in self.0.iter().filter(|finding| finding.level == level) {
            let paths = merged.entry((&finding.message, &finding.details)).or_default();
            paths.extend(finding.paths.iter().map(String::as_str));
        }
        merged
            .into_iter()
            .map(|((message, details), paths)| Line {
                message: message.to_owned(),
                paths: paths.into_iter().map(str::to_owned).collect(),
                details: details.to_owned(),
            })
            .collect()
    }

    /// The text of all errors; nothing if there is none.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        let lines: Vec<_> = self.lines(Level::Error).iter().map(Line::to_string).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// The text of each warning.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.lines(Level::Warning).iter().map(Line::to_string).collect()
    }
}

/// One message, the fields it is about, and perhaps more words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What is wrong.
    pub message: String,
    /// Which fields, sorted; an empty one is the object itself.
    pub paths: Vec<String>,
    /// More words; empty if there are none.
    pub details: String,
}

impl Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.message, self.paths.join(", "))?;
        match self.details.as_str() {
            "" => Ok(()),
            details => write!(out, "\n{details}"),
        }
    }
}

/// Parts are what stands between dots; an index or a key follows the part before it without a dot.
fn join(prefix: &str, path: &str) -> String {
    let mut joined = String::with_capacity(prefix.len() + path.len() + 1);
    for part in prefix.split('.').chain(path.split('.')).filter(|part| !part.is_empty()) {
        let is_index = part.starts_with('[') && part.ends_with(']');
        if !joined.is_empty() && !is_index {
            joined.push('.');
        }
        joined.push_str(part);
    }
    joined
}

#[cfg(test)]
mod tests;
