// SPDX-License-Identifier: Apache-2.0
//! What every kind answers when an object is created or changed.
//!
//! Depends on: context, field_error.

use crate::context::Context;
use crate::field_error::FieldErrors;

/// A kind whose absent values are filled in (control-plane spec 3).
pub trait SetDefaults {
    /// Fills them in; `old` is what is stored, on an update. Doing it twice is doing it once.
    fn set_defaults(&mut self, old: Option<&Self>, context: &Context);
}

/// A kind that says what is wrong with an object (control-plane spec 2.3).
pub trait Validate {
    /// Everything that is wrong, and the warnings; `old` is what is stored, on an update.
    #[must_use]
    fn validate(&self, old: Option<&Self>, context: &Context) -> FieldErrors;
}
