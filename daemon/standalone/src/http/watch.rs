// SPDX-License-Identifier: Apache-2.0
//! Watches: objects as they change, one JSON document a line.
//!
//! Mechanism: a watch is a position in the store's log and reads on when its client has taken what it had; nothing is
//! queued for it. It ends at its time, or with an `ERROR` event (410) when the log no longer has its position; one that
//! begins at a version that has not been is refused so.
//! Invariants: an object that begins or ceases to match the selector is added or deleted for this watch; versions of a
//! watch's events only grow.
//! Depends on: site, body, form, selector, store.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::body::{self, Body, Lines, Next};
use super::form::{self, Form};
use super::input::Input;
use super::site::Site;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::selector::Selector;
use crate::state::State;
use crate::store::{Event, EventKind, Place, Store};

/// How long a watch lasts whose client does not say.
const LIFETIME: Duration = Duration::from_secs(1_800);
/// How often a quiet watch hears the newest version.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How many events are read from the log at once.
const BATCH: usize = 64;

struct Watch {
    state: Arc<State>,
    newest: watch::Receiver<u64>,
    resource: &'static Resource,
    namespace: Option<String>,
    selector: Selector,
    form: Form,
    has_bookmarks: bool,
    /// Everything up to here has been read.
    position: u64,
    ready: VecDeque<Ready>,
    end: Instant,
    bookmark: Instant,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

/// An event for the client; its text is made when its turn comes.
enum Ready {
    /// What happened, and to which version of an object.
    Object(&'static str, Place),
    /// It is as it stands.
    Made(Value),
}

/// Begins a watch.
pub(super) fn begin(
    site: &Site,
    resource: &'static Resource,
    namespace: Option<String>,
    selector: Selector,
    input: &Input,
) -> Result<Response<Body>, Refusal> {
    let place = Arc::clone(&site.watches).try_acquire_owned();
    let place = place.map_err(|_| Refusal::Plain {
        code: 429,
        reason: "TooManyRequests",
        message: format!("{} watches are open, and no more are allowed", site.limits.watches),
    })?;
    let seconds = input
        .query
        .get("timeoutSeconds")
        .parse()
        .ok()
        .filter(|seconds| *seconds > 0);
    let now = Instant::now();
    let mut watch = Watch {
        newest: site.state.newest(),
        state: Arc::clone(&site.state),
        resource,
        namespace,
        selector,
        form: input.form,
        has_bookmarks: input.query.is("allowWatchBookmarks"),
        position: 0,
        ready: VecDeque::new(),
        end: now + seconds.map_or(LIFETIME, Duration::from_secs).min(LIFETIME),
        bookmark: now + BOOKMARKS,
        is_over: false,
        _place: place,
    };
    watch.start(input)?;
    Ok(body::stream(watch))
}

impl Watch {
    fn start(&mut self, input: &Input) -> Result<(), Refusal> {
        let since = input.query.get("resourceVersion");
        let wants_all = input.query.is("sendInitialEvents");
        if !wants_all && !matches!(since, "" | "0") {
            self.position = since.parse().map_err(|_| {
                Refusal::bad_request(format!(
                    "Invalid value: \"{since}\": strconv.ParseUint: parsing \"{since}\": invalid syntax"
                ))
            })?;
            return self
                .state
                .read(|store| store.events_after(self.position).map(drop))
                .map_err(Refusal::from);
        }
        let state = Arc::clone(&self.state);
        state.read(|store| self.list(store));
        if wants_all && self.has_bookmarks {
            self.ready.push_back(Ready::Made(self.bookmark_event(true)));
        }
        Ok(())
    }

    fn list(&mut self, store: &Store) {
        self.position = store.version();
        for (_, place) in store.places(self.resource, self.namespace.as_deref()) {
            if self.takes(place) {
                self.ready.push_back(Ready::Object("ADDED", Arc::clone(place)));
            }
        }
    }

    /// Reads on in the log.
    fn advance(&mut self) {
        let state = Arc::clone(&self.state);
        state.read(|store| {
            let newest = store.version();
            let events = match store.events_after(self.position) {
                Ok(events) => events,
                Err(expired) => {
                    let status = Refusal::from(expired).status();
                    let event = json!({"type": "ERROR", "object": status});
                    self.ready.push_back(Ready::Made(event));
                    self.is_over = true;
                    return;
                }
            };
            for event in events {
                self.position = event.version;
                if let Some(shown) = self.show(event) {
                    self.ready.push_back(shown);
                }
                if self.ready.len() >= BATCH {
                    return;
                }
            }
            self.position = self.position.max(newest);
        });
    }

    fn takes(&self, place: &Place) -> bool {
        self.selector.is_empty() || self.selector.matches(&place.get())
    }

    fn show(&self, event: &Event) -> Option<Ready> {
        let resource = event.key.resource;
        if resource.plural != self.resource.plural || resource.group != self.resource.group {
            return None;
        }
        if self
            .namespace
            .as_ref()
            .is_some_and(|namespace| *namespace != event.key.namespace)
        {
            return None;
        }
        let had = event.previous.as_ref().is_some_and(|previous| self.takes(previous));
        let has = event.kind != EventKind::Deleted && self.takes(&event.object);
        let object = || Arc::clone(&event.object);
        match (had, has) {
            (false, false) => None,
            (false, true) => Some(Ready::Object("ADDED", object())),
            (true, true) => Some(Ready::Object("MODIFIED", object())),
            (true, false) => Some(Ready::Made(self.gone(event))),
        }
    }

    /// The last state that matched, with the version at which it ceased to.
    fn gone(&self, event: &Event) -> Value {
        let mut last = Value::clone(&event.previous.as_ref().unwrap_or(&event.object).get());
        crate::meta::set(&mut last, "resourceVersion", event.version.to_string().into());
        self.event("DELETED", &last)
    }

    fn event(&self, kind: &str, object: &Value) -> Value {
        json!({"type": kind, "object": self.form.of_one(self.resource, object, Moment::current().now.as_second())})
    }

    /// The line of an event.
    fn line(&self, ready: &Ready) -> Vec<u8> {
        let mut line = match ready {
            Ready::Made(event) => event.to_string().into_bytes(),
            Ready::Object(kind, place) if self.form == Form::Whole => {
                let mut line = br#"{"object":"#.to_vec();
                form::write(&mut line, place);
                line.extend_from_slice(format!(r#","type":"{kind}"}}"#).as_bytes());
                line
            }
            Ready::Object(kind, place) => self.event(kind, &place.get()).to_string().into_bytes(),
        };
        line.push(b'\n');
        line
    }

    fn bookmark_event(&self, ends_list: bool) -> Value {
        let mut metadata = json!({"resourceVersion": self.position.to_string(), "creationTimestamp": null});
        if ends_list {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = json!({
            "kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata,
        });
        let object = if self.form == Form::Whole {
            object
        } else {
            self.form.of_one(self.resource, &object, 0).into_owned()
        };
        json!({"type": "BOOKMARK", "object": object})
    }

    /// The next event, or nothing at the end.
    async fn event_to_come(&mut self) -> Option<Ready> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            self.newest.mark_unchanged();
            self.advance();
            if !self.ready.is_empty() || self.is_over {
                continue;
            }
            let wake = if self.has_bookmarks {
                self.bookmark.min(self.end)
            } else {
                self.end
            };
            tokio::select! {
                changed = self.newest.changed() => self.is_over = changed.is_err(),
                () = tokio::time::sleep_until(wake) => self.rest(),
            }
        }
    }

    /// At the time of a bookmark or of the end.
    fn rest(&mut self) {
        if self.has_bookmarks {
            self.ready.push_back(Ready::Made(self.bookmark_event(false)));
        }
        self.bookmark = Instant::now() + BOOKMARKS;
        self.is_over = Instant::now() >= self.end;
    }
}

impl Lines for Watch {
    fn next(mut self) -> Next<Self> {
        Box::pin(async move {
            let event = self.event_to_come().await?;
            Some((Bytes::from(self.line(&event)), self))
        })
    }
}

#[cfg(test)]
mod tests;
