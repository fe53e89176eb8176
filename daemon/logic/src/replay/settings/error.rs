// SPDX-License-Identifier: Apache-2.0
//! What is wrong with settings.
//!
//! Depends on: nothing.

/// The most combinations that are compared.
pub const MOST_VARIANTS: usize = 12;

/// Settings that make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No such key.
    #[error("there is no setting `{key}`{}", offered(.nearest))]
    Unknown {
        /// What was asked for.
        key: String,
        /// What may have been meant.
        nearest: Vec<&'static str>,
    },
    /// A value that is none of this key's.
    #[error("{key}: expected {expected}, found `{value}`")]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// What Knative refuses, in its words.
    #[error("{0}")]
    Refused(String),
    /// A key more than once.
    #[error("`{0}` is given twice")]
    Twice(String),
    /// More combinations than can be looked at.
    #[error("{0} combinations are to be compared, at most {MOST_VARIANTS} can be")]
    TooMany(usize),
}

fn offered(nearest: &[&str]) -> String {
    match nearest {
        [] => String::new(),
        names => format!("; did you mean {}?", names.join(" or ")),
    }
}
