// SPDX-License-Identifier: Apache-2.0
//! The config-* ConfigMaps, parsed.
//!
//! Problem: operators keep the ConfigMaps they have; every key, default, bound and error must be Knative's.
//! Mechanism: one module a map: its settings with defaults, a table of keys, a table of rules (`table`), read by parsers that
//! read what Go's read (`go`, `template`, `yaml`).
//! Invariants: a map is accepted whole or refused with every problem, Knative's first; no map panics.
//! Depends on: nothing that does I/O.

pub mod autoscaler;
pub mod certmanager;
pub mod defaults;
pub mod deployment;
pub mod domain;
pub mod example;
pub mod features;
pub mod gc;
pub mod leader_election;
pub mod logging;
pub mod maps;
pub mod network;
pub mod observability;
pub mod problem;
pub mod selector;
pub mod table;
pub mod template;
pub mod tracing;
mod yaml;

pub use crate::go::span::Span;
pub use autoscaler::Autoscaler;
pub use certmanager::CertManager;
pub use defaults::Defaults;
pub use deployment::Deployment;
pub use domain::Domain;
pub use features::{Features, Flag, SecurePodDefaults};
pub use gc::Gc;
pub use leader_election::LeaderElection;
pub use logging::Logging;
pub use network::Network;
pub use observability::Observability;
pub use problem::{Problem, Problems};
pub use table::Data;
pub use template::Template;
