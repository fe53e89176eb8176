// SPDX-License-Identifier: Apache-2.0
//! The parts of an object that are written apart.
//!
//! Depends on: nothing.

/// A part of an object with a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Whole,
    /// The status.
    Status,
}

impl Part {
    /// The name of the subresource; empty for the object itself.
    #[must_use]
    pub fn sub_resource(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Status => "status",
        }
    }
}
