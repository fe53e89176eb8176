// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a ConfigMap.
//!
//! Problem: Knative stops at the first mistake; an operator wants to see all of them, and tools that read Knative's answer
//! want its text.
//! Invariants: there is at least one problem; the first is the one Knative would answer with.
//! Depends on: nothing.

use std::fmt;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key in `data` that is wrong, in its current spelling.
    pub key: String,
    /// Knative's text for it.
    pub text: String,
}

/// Every mistake of a ConfigMap, the one Knative answers with first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    first: Problem,
    others: Vec<Problem>,
}

impl Problems {
    /// A single mistake.
    #[must_use]
    pub fn one(key: &str, text: impl Into<String>) -> Self {
        Self {
            first: Problem {
                key: key.to_owned(),
                text: text.into(),
            },
            others: Vec::new(),
        }
    }

    /// These mistakes, if there are any.
    #[must_use]
    pub fn of(list: Vec<Problem>) -> Option<Self> {
        let mut list = list.into_iter();
        let first = list.next()?;
        Some(Self {
            first,
            others: list.collect(),
        })
    }

    /// The text Knative answers with: that of the first mistake alone.
    #[must_use]
    pub fn as_knative(&self) -> &str {
        &self.first.text
    }

    /// Every mistake.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl fmt::Display for Problems {
    /// Every mistake, one a line.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.first.text)?;
        self.others.iter().try_for_each(|other| write!(out, "\n{}", other.text))
    }
}

impl std::error::Error for Problems {}
