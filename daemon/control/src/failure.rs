// SPDX-License-Identifier: Apache-2.0
//! Why a look at an object did not come to its end.
//!
//! Depends on: kube (its errors).

use thiserror::Error;

/// Why a look at an object is to be repeated.
#[derive(Debug, Error)]
pub enum Failure {
    /// The API server refused or could not be asked; the text is its own.
    #[error("{}", words(.0))]
    Api(#[source] Box<kube::Error>),
    /// The object cannot be as it is wanted; the text is Knative's.
    #[error("{0}")]
    Decided(String),
    /// What was tried, and why it did not succeed.
    #[error("failed to {what}: {source}")]
    While {
        /// What was tried.
        what: String,
        /// Why it did not succeed.
        source: Box<Self>,
    },
    /// It took too long.
    #[error("context deadline exceeded")]
    Deadline,
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

impl Failure {
    /// The same, with what was tried.
    #[must_use]
    pub fn while_trying_to(self, what: impl Into<String>) -> Self {
        Self::While {
            what: what.into(),
            source: Box::new(self),
        }
    }

    /// The object was changed by somebody else meanwhile.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reason() == Some("Conflict")
    }

    /// The object is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.reason() == Some("NotFound")
    }

    /// An object of that name is there already.
    #[must_use]
    pub fn already_exists(&self) -> bool {
        self.reason() == Some("AlreadyExists")
    }

    /// Why the API server refused.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Api(error) => match error.as_ref() {
                kube::Error::Api(status) => Some(&status.reason),
                _ => None,
            },
            Self::While { source, .. } => source.reason(),
            Self::Decided(_) | Self::Deadline => None,
        }
    }
}

/// What the server says, without what the library adds.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
