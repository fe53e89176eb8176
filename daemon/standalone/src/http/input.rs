// SPDX-License-Identifier: Apache-2.0
//! A request, read whole.
//!
//! Depends on: query, form, protobuf, site.

use api::context::Settings;
use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::form::Form;
use super::protobuf;
use super::query::Query;
use super::site;
use crate::refusal::Refusal;
use crate::verbs::{Caller, Unknown};

/// A request, read whole.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) method: Method,
    pub(super) query: Query,
    pub(super) form: Form,
    pub(super) content_type: String,
    pub(super) body: Bytes,
    agent: String,
    is_unbooked: bool,
}

/// A mark on requests of controllers in this process: no book of managers is kept for what they write, because it would weigh
/// more than the objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unbooked;

impl Input {
    pub(super) async fn read<B>(parts: &Parts, body: B, limit: usize) -> Result<Self, Refusal>
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let collected = Limited::new(body, limit).collect().await;
        let body = collected.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                Refusal::too_large(limit)
            } else {
                Refusal::bad_request(format!("the request's body ends early: {error}"))
            }
        })?;
        let header = |name| {
            let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default()
        };
        let media = header(CONTENT_TYPE).split(';').next().unwrap_or_default();
        Ok(Self {
            method: parts.method.clone(),
            query: Query::read(parts.uri.query().unwrap_or_default()),
            form: Form::read(header(ACCEPT))?,
            content_type: media.trim().to_owned(),
            body: body.to_bytes(),
            agent: header(USER_AGENT).to_owned(),
            is_unbooked: parts.extensions.get::<Unbooked>().is_some(),
        })
    }

    /// Who writes: `fieldManager`, or the name of the program.
    pub(super) fn manager(&self) -> &str {
        let named = self.query.get("fieldManager");
        if !named.is_empty() {
            return named;
        }
        let program = self.agent.split('/').next().unwrap_or_default();
        if program.is_empty() { "unknown" } else { program }
    }

    /// Who calls, by the settings of the moment.
    pub(super) fn caller<'a>(&'a self, settings: &'a Settings) -> Result<Caller<'a>, Refusal> {
        let caller = site::caller(settings, self.manager(), self.unknown()?);
        Ok(Caller {
            has_booked: self.is_unbooked,
            ..caller
        })
    }

    /// Whether nothing shall be stored.
    pub(super) fn is_rehearsal(&self) -> Result<bool, Refusal> {
        match self.query.get("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(Refusal::bad_request(format!("invalid dryRun value: {other:?}"))),
        }
    }

    /// What becomes of unknown fields.
    pub(super) fn unknown(&self) -> Result<Unknown, Refusal> {
        match self.query.get("fieldValidation") {
            "" | "Warn" => Ok(Unknown::Told),
            "Ignore" => Ok(Unknown::Dropped),
            "Strict" => Ok(Unknown::Refused),
            other => Err(Refusal::bad_request(format!(
                "invalid fieldValidation value: {other:?}"
            ))),
        }
    }

    /// The body as an object.
    pub(super) fn object(&self) -> Result<Value, Refusal> {
        match self.content_type.as_str() {
            "" | "application/json" => self.json(),
            protobuf::MEDIA => protobuf::decode(&self.body)
                .map_err(|error| Refusal::bad_request(format!("the request's body is no object in protobuf: {error}"))),
            "application/yaml" => self.yaml(),
            other => Err(Refusal::unsupported(other)),
        }
    }

    /// The body as YAML, which JSON is too.
    pub(super) fn yaml(&self) -> Result<Value, Refusal> {
        if let Ok(object) = serde_json::from_slice(&self.body) {
            return Ok(object);
        }
        serde_saphyr::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(format!("error decoding YAML: {error}")))
    }

    /// The body as JSON, whatever it is called.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(format!("the request's body is no JSON: {error}")))
    }
}
