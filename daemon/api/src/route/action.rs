// SPDX-License-Identifier: Apache-2.0
//! What a reconciliation of a Route wants done: data for whoever can do it.
//!
//! Depends on: certificate, ingress (their types).

use std::fmt;

use k8s_openapi::api::core::v1::{Endpoints, Service};

use crate::certificate::Certificate;
use crate::ingress::Ingress;

/// One thing to do, and what to tell about the Route once it is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// What to do.
    pub write: Write,
    /// What to tell.
    pub event: Option<Event>,
}

/// A change of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Of a placeholder Service.
    Service(Change<Service>),
    /// Of the Endpoints of a placeholder Service.
    Endpoints(Change<Endpoints>),
    /// Of a Certificate.
    Certificate(Change<Certificate>),
    /// Of the Ingress.
    Ingress(Change<Ingress>),
}

/// How an object changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Change<T> {
    /// It is made.
    Create(Box<T>),
    /// It is written again, all of it.
    Update(Box<T>),
    /// It is deleted and made anew.
    Replace(Box<T>),
    /// The one of this name in the Route's namespace is deleted.
    Delete(String),
}

/// Something worth telling the user of the Route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// One word for machines.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Normal {} {}", self.reason, self.message)
    }
}

impl Action {
    /// Done without a word.
    #[must_use]
    pub fn silent(write: Write) -> Self {
        Self { write, event: None }
    }

    /// Done and told.
    #[must_use]
    pub fn told(write: Write, reason: &'static str, message: String) -> Self {
        let event = Some(Event { reason, message });
        Self { write, event }
    }
}
