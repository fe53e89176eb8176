// SPDX-License-Identifier: Apache-2.0
//! What users are told of their objects by `kubectl describe`.
//!
//! Problem: an object in trouble has much to tell, and the API server must not drown in it.
//! Mechanism: events go through a bounded channel to one task; the same words about the same object are counted up
//! instead of told again; an object has 25 events at once and then one in five minutes, as in Kubernetes' own client.
//! Invariants: telling never waits; what does not fit is dropped.
//! Depends on: kept, clock, kube.

use std::collections::{HashMap, VecDeque};

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::kept::{Kept, Stored, api_version};

/// So many events wait at most.
const MOST_WAITING: usize = 4096;
/// So many events and objects are remembered.
const MOST_REMEMBERED: usize = 4096;
/// So many events an object may have at once.
const BURST: f64 = 25.0;
/// How many more each second.
const REFILL: f64 = 1.0 / 300.0;

/// Where events are told; clones lead to the same place.
#[derive(Clone)]
pub struct Events {
    sender: mpsc::Sender<Told>,
    component: &'static str,
    clock: Clock,
}

/// One thing that was told.
#[derive(Clone, Debug)]
struct Told {
    about: ObjectReference,
    component: &'static str,
    kind: &'static str,
    reason: String,
    message: String,
    at: Time,
}

/// What has been told of an object in the same words.
type Words = (String, &'static str, &'static str, String, String);

impl Events {
    /// The place, and the task that writes what is told there.
    #[must_use]
    pub fn new(client: Client, clock: Clock) -> (Self, Writer) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let events = Self {
            sender,
            component: "sluice",
            clock,
        };
        let writer = Writer {
            client,
            receiver,
            told: HashMap::new(),
            order: VecDeque::new(),
            room: HashMap::new(),
        };
        (events, writer)
    }

    /// The same place for who speaks as this component.
    #[must_use]
    pub fn speaking_as(&self, component: &'static str) -> Self {
        Self {
            component,
            ..self.clone()
        }
    }

    /// Tells something good or usual.
    pub fn tell<K: Kept>(&self, object: &K, reason: &str, message: &str) {
        self.send(object, "Normal", reason, message);
    }

    /// Tells of trouble.
    pub fn warn<K: Kept>(&self, object: &K, reason: &str, message: &str) {
        self.send(object, "Warning", reason, message);
    }

    fn send<K: Kept>(&self, object: &K, kind: &'static str, reason: &str, message: &str) {
        let meta = object.meta();
        let told = Told {
            about: ObjectReference {
                api_version: Some(api_version::<K>()),
                kind: Some(K::kind().to_owned()),
                namespace: meta.namespace.clone(),
                name: meta.name.clone(),
                uid: meta.uid.clone(),
                resource_version: meta.resource_version.clone(),
                ..ObjectReference::default()
            },
            component: self.component,
            kind,
            reason: reason.to_owned(),
            message: message.to_owned(),
            at: self.clock.now(),
        };
        if self.sender.try_send(told).is_err() {
            log::warn!("an event is dropped: {reason} {message}");
        }
    }
}

/// Writes events.
pub struct Writer {
    client: Client,
    receiver: mpsc::Receiver<Told>,
    /// The name of the event with these words, and how often they were told.
    told: HashMap<Words, (String, i32)>,
    order: VecDeque<Words>,
    /// How many events each object may have now, and when that was so.
    room: HashMap<(String, &'static str), (f64, Time)>,
}

impl Writer {
    /// Writes what is told, for as long as it is polled.
    pub async fn write(mut self) {
        while let Some(told) = self.receiver.recv().await {
            if !self.has_room(&told) {
                continue;
            }
            if let Err(error) = self.write_one(&told).await {
                log::warn!("the event {} {:?} is lost: {error}", told.reason, told.message);
            }
        }
    }

    fn has_room(&mut self, told: &Told) -> bool {
        if self.room.len() > MOST_REMEMBERED {
            self.room.clear();
        }
        let whom = (told.about.uid.clone().unwrap_or_default(), told.component);
        let (room, since) = self.room.entry(whom).or_insert((BURST, told.at.clone()));
        let passed = told.at.0.duration_since(since.0).as_secs_f64().max(0.0);
        *room = passed.mul_add(REFILL, *room).min(BURST);
        *since = told.at.clone();
        let has_room = *room >= 1.0;
        if has_room {
            *room -= 1.0;
        }
        has_room
    }

    async fn write_one(&mut self, told: &Told) -> Result<(), kube::Error> {
        let namespace = told.about.namespace.as_deref().unwrap_or("default");
        let api: Api<Stored<Event>> = Api::namespaced_with(self.client.clone(), namespace, &());
        let words = (
            told.about.uid.clone().unwrap_or_default(),
            told.component,
            told.kind,
            told.reason.clone(),
            told.message.clone(),
        );
        if let Some((name, count)) = self.told.get_mut(&words) {
            *count = count.saturating_add(1);
            let again = json!({"count": *count, "lastTimestamp": told.at});
            let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(&again)).await;
            match patched {
                Ok(_) => return Ok(()),
                // It is too old, so the server has dropped it.
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let event = event(told);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &Stored(event)).await?;
        if self.told.insert(words.clone(), (name, 1)).is_none() {
            self.order.push_back(words);
        }
        while self.order.len() > MOST_REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.told.remove(&oldest);
            }
        }
        Ok(())
    }
}

/// Named after object and moment, as Kubernetes' own client does.
fn event(told: &Told) -> Event {
    let object = told.about.name.as_deref().unwrap_or_default();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{object}.{:x}", told.at.0.as_nanosecond())),
            namespace: Some(told.about.namespace.clone().unwrap_or_else(|| "default".to_owned())),
            ..ObjectMeta::default()
        },
        involved_object: told.about.clone(),
        type_: Some(told.kind.to_owned()),
        reason: Some(told.reason.clone()),
        message: Some(told.message.clone()),
        first_timestamp: Some(told.at.clone()),
        last_timestamp: Some(told.at.clone()),
        count: Some(1),
        source: Some(EventSource {
            component: Some(told.component.to_owned()),
            host: None,
        }),
        reporting_component: Some(told.component.to_owned()),
        ..Event::default()
    }
}
