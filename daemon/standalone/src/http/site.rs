// SPDX-License-Identifier: Apache-2.0
//! What every call works on: the state, the settings, the bounds, the time.
//!
//! Invariants: the clock and chance are read here and nowhere else.
//! Depends on: state, verbs.

use std::sync::Arc;
use std::time::SystemTime;

use api::context::Settings;
use k8s_openapi::jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::moment::Moment;
use crate::state::State;
use crate::verbs::{Caller, Unknown};

/// Who everybody is: there is no login, the listener decides who comes in.
const USER: &str = "system:admin";

/// Bounds of what clients may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Watches at a time.
    pub watches: usize,
    /// Connections at a time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 3 << 20,
            watches: 1024,
            connections: 2048,
        }
    }
}

/// What every call works on.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) state: Arc<State>,
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    pub(super) watches: Arc<Semaphore>,
}

impl Site {
    pub(super) fn caller<'a>(&'a self, manager: &'a str, unknown: Unknown) -> Caller<'a> {
        Caller {
            settings: &self.settings,
            user: USER,
            manager,
            has_booked: false,
            unknown,
        }
    }
}

/// Now.
pub(super) fn moment() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Moment {
        now: Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX),
        random: fastrand::Rng::new(),
    }
}
