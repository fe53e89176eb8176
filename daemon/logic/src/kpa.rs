// SPDX-License-Identifier: Apache-2.0
//! The Knative Pod Autoscaler (KPA): from samples to a desired number of pods.
//!
//! Problem: every tick must decide exactly as Knative's autoscaler does for the same samples.
//! Mechanism: samples go into two windows (`windows`), whose averages and the number of ready pods go into the `decider`.
//! Invariants: time is an argument; no input makes it panic; a sample that is not finite never gets into a window.
//! Depends on: nothing.

pub mod autoscaler;
pub mod config;
pub mod decider;
pub mod delay;
pub mod derive;
pub mod integral;
pub mod knative;
pub mod moment;
pub mod profile;
pub mod reach;
pub mod runner;
pub mod spec;
pub mod target;
pub mod window;
pub mod windows;

pub use autoscaler::{Autoscaler, Sample};
pub use config::{Annotations, Config};
pub use decider::{Decider, Decision};
pub use integral::{Meter, Reading, ReadingError};
pub use knative::Kpa;
pub use moment::Moment;
pub use profile::Profile;
pub use reach::Reachability;
pub use runner::{Runner, Wake};
pub use spec::{Algorithm, Metric, Spec};
pub use windows::{Averages, NotFinite, Windows};
