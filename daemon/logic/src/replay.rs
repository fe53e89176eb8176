// SPDX-License-Identifier: Apache-2.0
//! `sluice simulate`: traces played against the real autoscaler and the real limiter.
//!
//! Problem: people tune an autoscaler by guessing, since its loop (load, decision, pods that start late, requests that wait)
//! cannot be seen in advance.
//! Mechanism: `trace` reads lines; `play` closes the loop over a pod model (`pods`, `scaler`) in virtual time and gives an
//! `outcome`; `scenario` replays recorded samples as they were; `settings` says by what, `chart` draws it.
//! Invariants: no I/O and no clock: whoever reads the file gives lines; memory is bounded whatever the trace; no line panics.
//! Depends on: kpa, limiter, settings.

pub mod chart;
pub mod line;
pub mod model;
pub mod nearest;
pub mod outcome;
pub mod play;
mod pods;
mod scaler;
pub mod scenario;
pub mod settings;
pub mod timeline;
pub mod trace;
pub mod waits;

pub use line::LineError;
pub use model::Model;
pub use outcome::Outcome;
pub use play::{Overload, Simulation};
pub use scenario::Scenario;
pub use settings::{SettingError, Settings, Variant};
pub use timeline::{Point, Timeline};
pub use trace::Format;
