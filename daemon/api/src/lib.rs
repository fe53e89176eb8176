// SPDX-License-Identifier: Apache-2.0
//! Knative's kinds: types, defaults, validation, conditions, derived objects; one folder a kind.
//!
//! Every object is an [`object::Object`] of a spec and a status. Fields follow one rule: what is a pointer in Knative's
//! own types is an `Option`; what is a plain value that vanishes when empty is a plain value that vanishes when empty.
//! Invariants: decoding drops unknown fields and takes `null` for an absent value; no clock, no I/O.
//! Depends on: `logic`, k8s-openapi.

pub mod address;
pub mod admission;
pub mod admitted;
pub mod annotation;
pub mod certificate;
pub mod child_name;
pub mod cluster_domain_claim;
pub mod concurrency;
pub mod condition;
pub mod conditions;
pub mod configuration;
pub mod context;
pub mod crd;
mod difference;
pub mod domain_mapping;
pub mod field_error;
pub mod image;
pub mod ingress;
pub mod json;
pub mod kind;
pub mod manifest;
pub mod metadata;
pub mod metric;
pub mod names;
pub mod object;
pub mod pod_autoscaler;
pub mod pod_spec;
pub mod pressed;
pub mod reference;
pub mod revision;
pub mod route;
pub mod serverless_service;
pub mod service;
pub mod shape;
