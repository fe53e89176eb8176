// SPDX-License-Identifier: Apache-2.0
//! Keeps a cache like the API server.
//!
//! Mechanism: list, then watch, again and again; kube's watcher does both and begins anew when it lost its place.
//! Invariants: an error is said once a change of mood and tried again, later each time.
//! Depends on: cache, kept, kube (runtime).

use futures::{StreamExt, pin_mut};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};

use crate::cache::{Cache, Heard};
use crate::kept::{Kept, Stored};

/// Fills the cache for as long as it is polled; `namespace`: only what is in it.
pub(crate) async fn keep<K: Kept>(client: Client, cache: Cache<K>, namespace: Option<String>) {
    let api: Api<Stored<K>> = match &namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &()),
        None => Api::all_with(client, &()),
    };
    let events = watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(events);
    let mut is_well = true;
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                is_well = true;
                cache.hear(heard(event));
            }
            Err(error) => {
                if is_well {
                    log::warn!("watching {}.{}: {error}", K::plural(), K::group());
                }
                is_well = false;
            }
        }
    }
}

fn heard<K>(event: watcher::Event<Stored<K>>) -> Heard<K> {
    match event {
        watcher::Event::Init => Heard::Listing,
        watcher::Event::InitApply(Stored(object)) => Heard::Listed(object),
        watcher::Event::InitDone => Heard::Complete,
        watcher::Event::Apply(Stored(object)) => Heard::Changed(object),
        watcher::Event::Delete(Stored(object)) => Heard::Gone(object),
    }
}
