// SPDX-License-Identifier: Apache-2.0
//! A call on objects: from method and query to verb and back.
//!
//! Depends on: site, path, input, log, watch, verbs, patch.

use std::cell::RefCell;
use std::sync::Arc;

use api::context::Settings;
use http::{Method, Response};
use serde_json::{Value, json};

use super::body::{self, Body};
use super::form::{self, Form};
use super::input::Input;
use super::path::Objects;
use super::site::{self, Site};
use super::{log, watch};
use crate::key::Key;
use crate::meta;
use crate::moment::Moment;
use crate::part::Part;
use crate::patch::{self, Patch};
use crate::refusal::Refusal;
use crate::selector::Selector;
use crate::state::Kept;
use crate::store::{Place, Store, Transaction};
use crate::verbs::{self, DeleteOptions, Deleted, Propagation, Written};

const APPLY: &str = "application/apply-patch+yaml";

/// A call on objects.
pub(super) struct Call<'a> {
    pub(super) site: &'a Site,
    pub(super) target: &'a Objects,
    pub(super) input: &'a Input,
    pub(super) settings: Arc<Settings>,
    /// Tells when what this call has changed is in the file.
    pub(super) kept: RefCell<Option<Kept>>,
}

type Answer = Result<Response<Body>, Refusal>;

impl Call<'_> {
    pub(super) fn answer(&self) -> Answer {
        let is_read = self.input.method == Method::GET || self.input.method == Method::HEAD;
        match (&self.target.name, self.target.sub_resource.as_str()) {
            (None, _) if is_read && self.input.query.is("watch") => self.watch(),
            (None, _) if is_read => self.list(),
            (None, _) if self.input.method == Method::POST => self.create(),
            (None, _) if self.input.method == Method::DELETE => self.delete_collection(),
            (Some(name), "") if is_read => self.get(name),
            (Some(name), "") if self.input.method == Method::DELETE => self.delete(name),
            (Some(name), "") => self.change(name, Part::Whole),
            (Some(name), "status") if self.target.resource.has_status => self.read_or_change(name, is_read),
            (Some(name), "log") if is_read && self.target.resource.kind == "Pod" => self.log(name),
            (Some(name), "scale") if self.target.resource.has_scale => self.scale(name, is_read),
            (None, _) => Err(Refusal::not_allowed(&format!(
                "{} of {}",
                self.input.method,
                self.target.resource.qualified()
            ))),
            (Some(_), part) => Err(self.without(part)),
        }
    }

    fn without(&self, part: &str) -> Refusal {
        let known = [
            "status",
            "scale",
            "log",
            "exec",
            "attach",
            "portforward",
            "eviction",
            "binding",
            "token",
            "proxy",
        ];
        if known.contains(&part) {
            Refusal::not_allowed(&format!("the subresource {}/{part}", self.target.resource.plural))
        } else {
            Refusal::NoPath(format!("the subresource {}/{part}", self.target.resource.plural))
        }
    }

    fn key(&self, name: &str) -> Key {
        Key::new(
            self.target.resource,
            self.target.namespace.as_deref().unwrap_or_default(),
            name,
        )
    }

    fn selector(&self) -> Result<Selector, Refusal> {
        let query = &self.input.query;
        Selector::read(
            self.target.resource,
            query.get("labelSelector"),
            query.get("fieldSelector"),
        )
    }

    fn get(&self, name: &str) -> Answer {
        let found = self.site.state.read(|store| store.get(&self.key(name)));
        let object = found.ok_or_else(|| self.missing(name))?;
        Ok(self.one(200, &object, &[]))
    }

    fn log(&self, name: &str) -> Answer {
        let logs = self.site.logs.as_ref().ok_or_else(|| self.without("log"))?;
        let namespace = self.target.namespace.as_deref().unwrap_or_default();
        log::answer(logs.as_ref(), namespace, name, &self.input.query, Moment::current().now)
    }

    fn missing(&self, name: &str) -> Refusal {
        Refusal::NotFound {
            resource: self.target.resource,
            name: name.to_owned(),
        }
    }

    fn one(&self, code: u16, object: &Value, warnings: &[String]) -> Response<Body> {
        let now = Moment::current().now.as_second();
        let shown = self.input.form.of_one(self.target.resource, object, now);
        let mut response = body::json(code, &shown);
        body::warn(&mut response, warnings);
        response
    }

    fn list(&self) -> Answer {
        if !self.input.query.get("continue").is_empty() {
            return Err(Refusal::Expired(
                "The provided continue parameter is too old: this server answers lists whole".to_owned(),
            ));
        }
        let selector = self.selector()?;
        let namespace = self.target.namespace.as_deref();
        let (version, places) = self.site.state.read(|store| {
            let listed = store.places(self.target.resource, namespace);
            let places: Vec<_> = listed.map(|(_, place)| Arc::clone(place)).collect();
            (store.version(), places)
        });
        if self.input.form == Form::Whole {
            let is_meant = |place: &&Place| selector.is_empty() || selector.matches(&place.get());
            let chosen = places.iter().filter(is_meant);
            return Ok(body::written(
                200,
                form::write_list(self.target.resource, chosen, version),
            ));
        }
        let objects = places.iter().map(|place| place.get());
        let objects: Vec<Arc<Value>> = objects.filter(|object| selector.matches(object)).collect();
        let chosen: Vec<&Value> = objects.iter().map(AsRef::as_ref).collect();
        let now = Moment::current().now.as_second();
        let list = self.input.form.of_list(self.target.resource, &chosen, version, now);
        Ok(body::json(200, &list))
    }

    fn watch(&self) -> Answer {
        watch::begin(
            self.site,
            self.target.resource,
            self.target.namespace.clone(),
            self.selector()?,
            self.input,
        )
    }

    fn write<T>(&self, decide: impl FnOnce(&mut Transaction) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let is_rehearsal = self.input.is_rehearsal()?;
        let state = &self.site.state;
        let (decided, kept) = state.write_kept(&mut Moment::current(), is_rehearsal, decide)?;
        self.kept.replace(Some(kept));
        Ok(decided)
    }

    fn create(&self) -> Answer {
        let object = self.input.object()?;
        self.check_kind(&object)?;
        let resource = self.target.resource;
        if resource.namespaced && self.target.namespace.is_none() {
            return Err(Refusal::not_allowed(&format!(
                "creating {} without a namespace",
                resource.qualified()
            )));
        }
        let namespace = self.target.namespace.as_deref().unwrap_or_default();
        let caller = self.input.caller(&self.settings)?;
        let written = self.write(|transaction| verbs::create(transaction, resource, namespace, object, &caller))?;
        Ok(self.written(&written))
    }

    fn written(&self, written: &Written) -> Response<Body> {
        self.one(
            if written.is_new { 201 } else { 200 },
            &written.object,
            &written.warnings,
        )
    }

    fn check_kind(&self, object: &Value) -> Result<(), Refusal> {
        let resource = self.target.resource;
        let text = |key: &str| object[key].as_str().unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        if !object.is_object() || kind.is_empty() {
            return Err(Refusal::bad_request("Object 'Kind' is missing in the request's body"));
        }
        if api_version != resource.api_version() {
            return Err(Refusal::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({})",
                resource.api_version()
            )));
        }
        if kind != resource.kind {
            return Err(Refusal::bad_request(format!(
                "{kind} in version {api_version:?} cannot be handled as a {}",
                resource.kind
            )));
        }
        Ok(())
    }

    fn read_or_change(&self, name: &str, is_read: bool) -> Answer {
        if is_read {
            self.get(name)
        } else {
            self.change(name, Part::Status)
        }
    }

    fn change(&self, name: &str, part: Part) -> Answer {
        let key = self.key(name);
        let caller = self.input.caller(&self.settings)?;
        if self.input.method == Method::PUT {
            let object = self.input.object()?;
            self.check_kind(&object)?;
            let written = self.write(|transaction| verbs::update(transaction, &key, part, object, &caller))?;
            return Ok(self.written(&written));
        }
        if self.input.method == Method::PATCH && self.input.content_type == APPLY {
            return self.apply(&key, part);
        }
        let patch = self.patch()?;
        let written = self.write(|transaction| {
            let old = transaction.get(&key).ok_or_else(|| self.missing(name))?;
            let next = patch::apply(key.resource, &patch, &old)?;
            verbs::update(transaction, &key, part, next, &caller)
        })?;
        Ok(self.written(&written))
    }

    fn apply(&self, key: &Key, part: Part) -> Answer {
        let manager = self.input.query.get("fieldManager");
        if manager.is_empty() {
            return Err(Refusal::Plain {
                code: 422,
                reason: "Invalid",
                message: "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
                    .to_owned(),
            });
        }
        let wanted: Value = self.input.yaml()?;
        self.check_kind(&wanted)?;
        let (caller, is_forced) = (
            site::caller(&self.settings, manager, self.input.unknown()?),
            self.input.query.is("force"),
        );
        let written = self.write(|transaction| verbs::apply(transaction, key, part, &wanted, &caller, is_forced))?;
        Ok(self.written(&written))
    }

    fn patch(&self) -> Result<Patch, Refusal> {
        if self.input.method != Method::PATCH {
            return Err(Refusal::not_allowed(&format!(
                "{} of one of {}",
                self.input.method,
                self.target.resource.qualified()
            )));
        }
        let resource = self.target.resource;
        let read = patch::read(resource, &self.input.content_type, &self.input.body)?;
        read.ok_or_else(|| {
            let applies = (self.target.sub_resource != "scale").then_some(APPLY);
            let accepted: Vec<_> = patch::media(resource).chain(applies).collect();
            Refusal::Plain {
                code: 415,
                reason: "UnsupportedMediaType",
                message: format!(
                    "the body of the request was in an unknown format - accepted media types include: {}; this one is {:?}",
                    accepted.join(", "),
                    self.input.content_type
                ),
            }
        })
    }

    fn scale(&self, name: &str, is_read: bool) -> Answer {
        let key = self.key(name);
        if is_read {
            let found = self.site.state.read(|store| store.get(&key));
            let object = found.ok_or_else(|| self.missing(name))?;
            return Ok(body::json(200, &verbs::scale_of(&object)));
        }
        let caller = self.input.caller(&self.settings)?;
        let sent = if self.input.method == Method::PUT {
            Ok(self.input.object()?)
        } else {
            Err(self.patch()?)
        };
        let written = self.write(|transaction| {
            let old = transaction.get(&key).ok_or_else(|| self.missing(name))?;
            let scale = match &sent {
                Ok(scale) => scale.clone(),
                Err(patch) => patch::apply(key.resource, patch, &verbs::scale_of(&old))?,
            };
            let next = verbs::scaled(&key, &old, &scale)?;
            verbs::update(transaction, &key, Part::Whole, next, &caller)
        })?;
        Ok(body::json(200, &verbs::scale_of(&written.object)))
    }

    fn delete(&self, name: &str) -> Answer {
        let options = self.delete_options()?;
        let key = self.key(name);
        let deleted = self.write(|transaction| verbs::delete(transaction, &key, &options))?;
        Ok(match deleted {
            Deleted::Waits(object) => self.one(200, &object, &[]),
            Deleted::Gone(object) if self.target.resource.returns_deleted => self.one(200, &object, &[]),
            Deleted::Gone(object) => {
                let mut details = json!({
                    "name": name, "kind": self.target.resource.plural, "uid": meta::uid(&object),
                });
                if !self.target.resource.group.is_empty() {
                    meta::fields(&mut details).insert("group".to_owned(), self.target.resource.group.into());
                }
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
                });
                body::json(200, &status)
            }
        })
    }

    fn delete_collection(&self) -> Answer {
        let resource = self.target.resource;
        if resource.namespaced && self.target.namespace.is_none() {
            return Err(Refusal::not_allowed("deletecollection in all namespaces"));
        }
        let (options, selector) = (self.delete_options()?, self.selector()?);
        let namespace = self.target.namespace.as_deref();
        let deleted =
            self.write(|transaction| verbs::delete_collection(transaction, resource, namespace, &selector, &options))?;
        let version = self.site.state.read(Store::version);
        let objects: Vec<&Value> = deleted.iter().map(AsRef::as_ref).collect();
        let now = Moment::current().now.as_second();
        Ok(body::json(
            200,
            &self.input.form.of_list(resource, &objects, version, now),
        ))
    }

    fn delete_options(&self) -> Result<DeleteOptions, Refusal> {
        let body = if self.input.body.is_empty() {
            Value::Null
        } else {
            self.input.object()?
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let in_query = self.input.query.get("propagationPolicy");
        let policy = body["propagationPolicy"].as_str().unwrap_or(in_query);
        let propagation = match policy {
            "" if body["orphanDependents"] == true => Propagation::Orphan,
            "" | "Background" => Propagation::Background,
            "Foreground" => Propagation::Foreground,
            "Orphan" => Propagation::Orphan,
            other => {
                let detail = format!(
                    "Invalid value: \"{other}\": DeletionPropagation need to be one of \"Foreground\", \"Background\", \"Orphan\" or nil"
                );
                return Err(Refusal::Plain {
                    code: 422,
                    reason: "Invalid",
                    message: format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: {detail}"),
                });
            }
        };
        let in_query = self.input.query.get("gracePeriodSeconds").parse().ok();
        Ok(DeleteOptions {
            propagation,
            grace: body["gracePeriodSeconds"].as_i64().or(in_query),
            uid: text(&body["preconditions"]["uid"]),
            version: text(&body["preconditions"]["resourceVersion"]),
        })
    }
}
