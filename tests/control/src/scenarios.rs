// SPDX-License-Identifier: Apache-2.0
//! The scenarios, by what they are about.
//!
//! Depends on: place.

mod objects;
mod operations;
mod scaling;
mod traffic;
mod trouble;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::place::{Place, until};

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What it claims needs a server that deletes what has lost its owner.
    pub(crate) needs_collector: bool,
    pub(crate) check: fn(Place) -> BoxFuture<'static, anyhow::Result<()>>,
}

/// Scenarios from the functions of their names.
macro_rules! scenarios {
    ($($name:ident $(: $collector:ident)?),* $(,)?) => {
        pub(super) const SCENARIOS: &[super::Scenario] = &[$(super::Scenario {
            name: stringify!($name),
            needs_collector: scenarios!(@ $($collector)?),
            check: |place| Box::pin($name(place)),
        }),*];
    };
    (@ needs_collector) => { true };
    (@) => { false };
}
use scenarios;

/// Every scenario.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        objects::SCENARIOS,
        traffic::SCENARIOS,
        trouble::SCENARIOS,
        operations::SCENARIOS,
        scaling::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// A Service with one container.
fn hello(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "serving.knative.dev/v1", "kind": "Service",
        "metadata": {"name": name},
        "spec": {"template": {"spec": {"containers": [{"image": image, "env": [{"name": "TARGET", "value": "x"}]}]}}},
    })
}

/// A change of the image, which makes a new Revision.
fn image(image: &str) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"image": image, "name": "user-container"}]}}}})
}

/// Waits until an event with these words is there.
async fn told(place: &Place, reason: &str, message: &str) -> anyhow::Result<()> {
    let look = || async {
        let events = place.list("event").await?;
        let is_it = |event: &Value| event["reason"] == reason && event["message"] == message;
        let said = |event: &Value| format!("{}: {}", event["reason"], event["message"]);
        Ok(match events.iter().any(is_it) {
            true => Ok(()),
            false => Err(events.iter().map(said).collect::<Vec<_>>()),
        })
    };
    until(&format!("the event {reason} {message}"), look).await
}
