// SPDX-License-Identifier: Apache-2.0
//! The time of day, as conditions and events have it.
//!
//! Depends on: k8s-openapi.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

/// Tells the time; clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock of one's own.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's.
    #[must_use]
    pub fn of_machine() -> Self {
        Self::new(Timestamp::now)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        Time((self.0)())
    }
}
