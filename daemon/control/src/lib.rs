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
pub mod configuration;
pub mod context;
pub mod controller;
pub mod data_path;
pub mod data_plane;
pub mod domain_mapping;
pub mod events;
pub mod failure;
pub mod gateway;
pub mod gc;
mod informer;
pub mod ingress;
pub mod kept;
pub mod key;
pub mod labeler;
pub mod live;
pub mod metric;
pub mod pass;
pub mod pod_autoscaler;
pub mod queue;
pub mod queues;
pub mod revision;
pub mod route;
pub mod same;
pub mod serverless_service;
pub mod service;
pub mod settings;
pub mod tracker;
