// SPDX-License-Identifier: Apache-2.0
//! One request in, one answer out.
//!
//! Depends on: call, discovery, openapi, path, input, site.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;

use api::context::Settings;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use life::Work;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::body::{self, Body};
use super::settings::Followed;
use super::site::{self, Limits, Site};
use super::{call, discovery, input, openapi, path};
use crate::key::Key;
use crate::logs::Logs;
use crate::meta;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::resource;
use crate::state::State;
use crate::verbs;

/// The API.
#[derive(Debug)]
pub struct Api {
    site: Site,
}

/// Namespaces that are always there.
const NAMESPACES: [&str; 3] = ["default", "kube-system", api::names::product::SYSTEM_NAMESPACE];

impl Api {
    /// An API over a state; its first namespaces are made. Settings of the ConfigMaps `config-autoscaler`,
    /// `config-defaults` and `config-features` hold as soon as they are written; `settings` are those without them.
    ///
    /// # Errors
    /// If they cannot be stored.
    pub fn new(state: Arc<State>, settings: Settings, limits: Limits) -> Result<Self, Refusal> {
        let api = Self {
            site: Site {
                state,
                settings: Followed::new(settings),
                logs: None,
                limits,
                watches: Arc::new(Semaphore::new(limits.watches)),
            },
        };
        api.make_namespaces()?;
        Ok(api)
    }

    /// Serves the logs of pods.
    #[must_use]
    pub fn with_logs(mut self, logs: Arc<dyn Logs>) -> Self {
        self.site.logs = Some(logs);
        self
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &Arc<State> {
        &self.site.state
    }

    pub(super) fn limits(&self) -> Limits {
        self.site.limits
    }

    /// Answers a request.
    #[must_use]
    pub fn respond<B>(self: &Arc<Self>, request: Request<B>) -> Work<Response<Body>>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // Of any body from here on: what follows is large, and made once.
        answered(
            Arc::clone(self),
            request.map(|body| body.map_err(io::Error::other).boxed_unsync()),
        )
    }

    async fn answer(&self, request: Request<AnyBody>) -> Result<Response<Body>, Refusal> {
        let path = request.uri().path().to_owned();
        if let Some(document) = discovery::document(&path).or_else(|| openapi::document(&path)) {
            return only_get(request.method()).map(|()| body::json(200, &document));
        }
        let accept = request.headers().get(http::header::ACCEPT);
        if let Some(document) = openapi::second(&path, accept.and_then(|accept| accept.to_str().ok())) {
            return only_get(request.method()).map(|()| match document {
                openapi::Second::Json(document) => body::json(200, &document),
                openapi::Second::Protobuf(bytes) => body::bytes(openapi::SECOND_ANSWERED, bytes),
            });
        }
        if matches!(path.as_str(), "/healthz" | "/livez" | "/readyz") {
            return Ok(body::text(200, "ok"));
        }
        let target = path::read(&path)?;
        let (parts, body) = request.into_parts();
        let input = input::Input::read(&parts, body, self.site.limits.body).await?;
        let (answer, kept) = {
            let call = call::Call {
                site: &self.site,
                target: &target,
                input: &input,
                settings: self.site.settings.now(&self.site.state),
                kept: RefCell::default(),
            };
            (call.answer(), call.kept.take())
        };
        if let Some(kept) = kept {
            kept.wait().await?;
        }
        answer
    }

    fn make_namespaces(&self) -> Result<(), Refusal> {
        let Some(resource) = resource::find("", "v1", "namespaces") else {
            return Ok(());
        };
        let settings = self.site.settings.now(&self.site.state);
        for name in NAMESPACES {
            self.site.state.write(&mut Moment::current(), false, |transaction| {
                if transaction.get(&Key::new(resource, "", name)).is_none() {
                    let mut namespace = Value::Null;
                    meta::set(&mut namespace, "name", name.into());
                    verbs::create(
                        transaction,
                        resource,
                        "",
                        namespace,
                        &site::caller(&settings, "sluice", verbs::Unknown::Told),
                    )?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// A request's body, whatever it is.
type AnyBody = UnsyncBoxBody<Bytes, io::Error>;

fn answered(api: Arc<Api>, request: Request<AnyBody>) -> Work<Response<Body>> {
    Box::pin(async move {
        let answer = api.answer(request).await;
        answer.unwrap_or_else(|refusal| body::json(refusal.code(), &refusal.status()))
    })
}

fn only_get(method: &Method) -> Result<(), Refusal> {
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    Err(Refusal::not_allowed(&format!("{method} of a discovery document")))
}
