// SPDX-License-Identifier: Apache-2.0
//! One admission request through the defaulting webhook and then the validating one: control-plane spec 2 and 3.
//!
//! Problem: what Knative accepts, changes and refuses, and with which words, is what its users know.
//! Mechanism: the object is decoded by the table of its kind (`shape`), filled in, written again as Knative writes it, and
//! judged; a `match` over the kinds chooses the functions.
//! Invariants: pure; no JSON panics, also where Knative itself does; what is accepted is accepted again unchanged.
//! Depends on: every kind with a webhook, shape, json.

mod patch;
pub mod webhook;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::admitted::{SetDefaults, Validate};
use crate::certificate::Certificate;
use crate::configuration::Configuration;
use crate::context::{Context, Occasion, Settings};
use crate::domain_mapping::DomainMapping;
use crate::field_error::FieldErrors;
use crate::ingress::Ingress;
use crate::json;
use crate::kind::Kind;
use crate::metric::Metric;
use crate::object::{Object, Spec};
use crate::pod_autoscaler::PodAutoscaler;
use crate::revision::Revision;
use crate::route::Route;
use crate::serverless_service::ServerlessService;
use crate::service::Service;
use crate::shape::decode::{DecodeError, decode};
use crate::shape::objects;

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It is stored already.
    Update,
    /// It goes: always allowed.
    Delete,
}

/// An admission request, as the API server puts it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The kind of the object.
    pub kind: Kind,
    /// What is done to it.
    pub operation: Operation,
    /// `status`, or empty for the object itself.
    pub sub_resource: &'a str,
    /// Who does it.
    pub user: &'a str,
    /// The object as it shall be; `null` when it goes.
    pub object: &'a Value,
    /// The object as it is stored; `null` when it is new.
    pub old_object: &'a Value,
}

/// What the webhooks answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The object with its defaults; nothing if it could not be read, or goes.
    pub defaulted: Option<Value>,
    /// The same as a JSON patch (RFC 6902) of the object that was sent.
    pub patch: Vec<Value>,
    /// Why it is refused, if it is.
    pub refusal: Option<Refusal>,
    /// What the validating webhook found, by field.
    pub errors: FieldErrors,
    /// What the user is told in either case.
    pub warnings: Vec<String>,
}

/// Why an object is refused: Knative's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// By the defaulting webhook, which cannot read the object.
    #[error("mutation failed: cannot decode incoming {which} object: {source}")]
    Defaulting {
        /// `new` or `old`.
        which: &'static str,
        /// What it cannot read.
        source: DecodeError,
    },
    /// By the validating webhook.
    #[error("validation failed: {0}")]
    Validation(String),
}

impl Outcome {
    /// Whether the object is accepted.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.refusal.is_none()
    }
}

/// Which of the webhooks answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Fills in what is absent.
    Defaulting,
    /// Judges what the first one filled in.
    Validation,
}

/// Answers a request as both webhooks do, one after the other.
#[must_use]
pub fn review(request: &Request, settings: &Settings) -> Outcome {
    patched(request, judge(request, settings))
}

/// The same without the patch, for who takes the object as it is.
#[must_use]
pub fn judge(request: &Request, settings: &Settings) -> Outcome {
    answer(request, settings, &[Hook::Defaulting, Hook::Validation])
}

/// Answers a request as one of the webhooks does.
#[must_use]
pub fn review_by(hook: Hook, request: &Request, settings: &Settings) -> Outcome {
    patched(request, answer(request, settings, &[hook]))
}

fn patched(request: &Request, mut outcome: Outcome) -> Outcome {
    if let Some(defaulted) = &outcome.defaulted {
        outcome.patch = patch::between(request.object, defaulted);
    }
    outcome
}

fn answer(request: &Request, settings: &Settings, hooks: &[Hook]) -> Outcome {
    if request.operation == Operation::Delete {
        return Outcome::default();
    }
    let review = match request.kind {
        Kind::Service => review_of::<Service>,
        Kind::Configuration => review_of::<Configuration>,
        Kind::Revision => review_of::<Revision>,
        Kind::Route => review_of::<Route>,
        Kind::DomainMapping => review_of::<DomainMapping>,
        Kind::PodAutoscaler => review_of::<PodAutoscaler>,
        Kind::Metric => review_of::<Metric>,
        Kind::Ingress => review_of::<Ingress>,
        Kind::ServerlessService => review_of::<ServerlessService>,
        Kind::Certificate => review_of::<Certificate>,
        // No webhook looks at these.
        Kind::ClusterDomainClaim | Kind::Image => as_it_is,
    };
    review(request, settings, hooks).unwrap_or_else(|refusal| Outcome {
        refusal: Some(refusal),
        ..Outcome::default()
    })
}

type Answer = Result<Outcome, Refusal>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "one of the functions that `review` chooses from"
)]
fn as_it_is(request: &Request, _: &Settings, _: &[Hook]) -> Answer {
    Ok(Outcome {
        defaulted: Some(request.object.clone()),
        ..Outcome::default()
    })
}

fn review_of<K>(request: &Request, settings: &Settings, hooks: &[Hook]) -> Answer
where
    K: Kinded + Clone + SetDefaults + Validate + Serialize + DeserializeOwned,
{
    let context = Context {
        settings,
        occasion: occasion(request),
    };
    let (sent, mut object): (_, K) = read(request.object, "new")?;
    let old: Option<K> = match request.operation {
        Operation::Update => Some(read(request.old_object, "old")?.1),
        Operation::Create | Operation::Delete => None,
    };
    if hooks.contains(&Hook::Defaulting) {
        let old = old.clone().map(|old| filled_in(old, settings));
        object.set_defaults(old.as_ref(), &context);
    }
    let unwritable = |error: serde_json::Error| refusal("new", DecodeError::Text(error.to_string()));
    let written = json::written_after(&object, &sent).map_err(unwritable)?;
    // Once more, so that values which defaulting made empty are absent, as they are for Knative's second webhook.
    let (defaulted, object): (_, K) = read(&written, "new")?;
    let errors = match hooks.contains(&Hook::Validation) {
        true => object.validate(old.as_ref(), &context),
        false => FieldErrors::none(),
    };
    Ok(Outcome {
        patch: Vec::new(),
        defaulted: Some(defaulted),
        refusal: errors.error().map(Refusal::Validation),
        warnings: errors.warnings(),
        errors,
    })
}

/// What is stored, with the defaults of today: they must not look like a change by the user.
fn filled_in<K: SetDefaults>(mut stored: K, settings: &Settings) -> K {
    let context = Context {
        settings,
        occasion: Occasion::Reconcile,
    };
    stored.set_defaults(None, &context);
    stored
}

/// An object that knows its kind.
trait Kinded {
    const KIND: Kind;
}

impl<S: Spec, T> Kinded for Object<S, T> {
    const KIND: Kind = S::KIND;
}

/// As Go's structs hold it, and as ours do.
fn read<K: Kinded + DeserializeOwned>(value: &Value, which: &'static str) -> Result<(Value, K), Refusal> {
    let canonical = decode(value, objects::of(K::KIND)).map_err(|source| refusal(which, source))?;
    let typed = K::deserialize(&canonical);
    typed
        .map(|typed| (canonical, typed))
        .map_err(|error| refusal(which, DecodeError::Text(error.to_string())))
}

fn refusal(which: &'static str, source: DecodeError) -> Refusal {
    Refusal::Defaulting { which, source }
}

fn occasion<'a>(request: &Request<'a>) -> Occasion<'a> {
    match request.operation {
        Operation::Update => Occasion::Update {
            user: request.user,
            of_status: request.sub_resource == "status",
        },
        Operation::Create | Operation::Delete => Occasion::Create { user: request.user },
    }
}

#[cfg(test)]
mod tests;
