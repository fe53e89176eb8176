// SPDX-License-Identifier: Apache-2.0
//! What every call works on: the state, the settings, the bounds.
//!
//! Depends on: state, settings, logs, verbs.

use std::sync::Arc;

use api::context::Settings;
use tokio::sync::Semaphore;

use super::settings::Followed;
use crate::logs::Logs;
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
    pub(super) settings: Followed,
    pub(super) logs: Option<Arc<dyn Logs>>,
    pub(super) limits: Limits,
    pub(super) watches: Arc<Semaphore>,
}

/// Who calls, by the settings of the moment.
pub(super) fn caller<'a>(settings: &'a Settings, manager: &'a str, unknown: Unknown) -> Caller<'a> {
    Caller {
        settings,
        user: USER,
        manager,
        has_booked: false,
        unknown,
    }
}
