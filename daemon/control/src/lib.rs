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
pub mod gateway;
mod informer;
pub mod ingress;
pub mod kept;
pub mod key;
pub mod live;
pub mod metric;
pub mod pod_autoscaler;
pub mod queue;
pub mod serverless_service;
pub mod settings;
pub mod tracker;
