// SPDX-License-Identifier: Apache-2.0
//! One look at an object with conditions: control-plane spec 4.1, steps 3, 5 and 6.
//!
//! Mechanism: the controller works on a copy with today's defaults and marks its status; at the end the status is written,
//! however the work ended.
//! Depends on: context, controller, api (conditions).

use std::sync::Arc;

use api::admitted::SetDefaults;
use api::conditions::{Conditioned, pass};
use api::object::{Object, Spec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::caches::Cached;
use crate::context::Context;
use crate::controller::Again;
use crate::failure::Failure;
use crate::settings::Settings;

/// One look.
pub struct Pass<S, T> {
    before: Arc<Object<S, T>>,
    /// The object with today's defaults and the status as it becomes.
    pub object: Object<S, T>,
    /// When the look began.
    pub now: Time,
    /// The settings it is under.
    pub settings: Arc<Settings>,
}

impl<S, T> Pass<S, T>
where
    S: Spec + Clone,
    T: Conditioned + Clone + PartialEq,
    Object<S, T>: Cached + SetDefaults,
{
    /// Begins a look.
    #[must_use]
    pub fn begin(context: &Context, before: Arc<Object<S, T>>) -> Self {
        let (settings, now) = (context.settings(), context.now());
        let mut object = Object::clone(&before);
        set_defaults(&mut object, &settings);
        let generation = object.generation();
        pass::begin(&mut object.status, generation, &now);
        Self {
            before,
            object,
            now,
            settings,
        }
    }

    /// The object as it was found.
    #[must_use]
    pub fn before(&self) -> &Object<S, T> {
        &self.before
    }

    /// Ends the look: `result` is how the work went.
    ///
    /// # Errors
    /// The work's, or the status cannot be written.
    pub async fn end(mut self, context: &Context, result: Result<Again, Failure>) -> Result<Again, Failure> {
        let conditions = &self.before.status.observed().conditions;
        let generation = self.object.generation();
        pass::end(&mut self.object.status, conditions, generation, &self.now);
        write_status(context, &self.before, self.object.status).await?;
        result
    }
}

/// Writes a status, and tells where that fails; an object that is gone needs none.
///
/// # Errors
/// The status cannot be written.
pub async fn write_status<S, T>(context: &Context, object: &Object<S, T>, status: T) -> Result<(), Failure>
where
    S: Spec,
    T: Clone + PartialEq,
    Object<S, T>: Cached,
{
    match context.write_status(object, status).await {
        Err(failure) if failure.is_missing() => Ok(()),
        Err(failure) => {
            let message = format!("Failed to update status for {:?}: {failure}", object.name());
            context.events.warn(object, "UpdateFailed", &message);
            Err(failure)
        }
        Ok(()) => Ok(()),
    }
}

/// Fills in what is absent, in memory.
pub fn set_defaults<K: SetDefaults>(object: &mut K, settings: &Settings) {
    let context = api::context::Context {
        settings: &settings.admission,
        occasion: api::context::Occasion::Reconcile,
    };
    object.set_defaults(None, &context);
}
