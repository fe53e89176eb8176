// SPDX-License-Identifier: Apache-2.0
//! The controllers, and the only client of the Kubernetes API.
//!
//! Problem: what people declare must become what runs, whatever dies meanwhile, and be told back to them.
//! Mechanism: each kind has one folder: observe (lists and watches), decide (pure, `logic` and `api`), apply.
//! Depends on: kube, api, logic, life.

pub mod boot;
pub mod cache;
pub mod caches;
pub mod clock;
pub mod context;
pub mod controller;
pub mod events;
pub mod failure;
mod informer;
pub mod kept;
pub mod key;
pub mod queue;
pub mod settings;
pub mod tracker;
