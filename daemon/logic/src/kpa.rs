// SPDX-License-Identifier: Apache-2.0
//! The Knative Pod Autoscaler (KPA): from samples to a desired number of pods.
//!
//! Problem: every tick must decide exactly as Knative's autoscaler does for the same samples.
//! Mechanism: samples go into two windows (`windows`), whose averages and the number of ready pods go into the `decider`;
//! `runner` holds and publishes what it decides, `plan` says what follows. docs/kpa.md walks through it.
//! Invariants: time is an argument; no input makes it panic; a sample that is not finite never gets into a window.
//! Depends on: limiter (the consistent choice), settings.

pub mod activators;
pub mod activity;
pub mod autoscaler;
pub mod bounds;
#[cfg(test)]
mod budget;
pub mod config;
pub mod decider;
pub mod delay;
pub mod derive;
pub mod hpa;
pub mod integral;
pub mod knative;
pub mod moment;
pub mod plan;
pub mod pods;
pub mod profile;
pub mod reach;
pub mod runner;
pub mod shard;
pub mod spec;
pub mod target;
pub mod window;
pub mod windows;
pub mod zero;

pub use activators::Mode;
pub use activity::{Active, ActiveSince, Activity};
pub use autoscaler::{Autoscaler, Sample};
pub use bounds::Bounds;
pub use config::{Annotations, Config};
pub use decider::{Decider, Decision};
pub use hpa::Hpa;
pub use integral::{Meter, Reading, ReadingError};
pub use knative::Kpa;
pub use moment::Moment;
pub use plan::{Observed, Plan, Planned};
pub use pods::{Phase, Pod, PodCounts};
pub use profile::Profile;
pub use reach::Reachability;
pub use runner::{Runner, Wake};
pub use spec::{Algorithm, Metric, Spec};
pub use windows::{Averages, SampleError, Windows};
pub use zero::Probe;
