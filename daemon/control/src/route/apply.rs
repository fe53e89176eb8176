// SPDX-License-Identifier: Apache-2.0
//! Does what was decided for a Route.
//!
//! Depends on: context, gateway, api (route's actions).

use std::net::SocketAddr;

use api::names::serving;
use api::route::Route;
use api::route::action::{Action, Change, Write};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::gateway;
use crate::caches::Cached;
use crate::context::Context;
use crate::failure::Failure;
use crate::kept::controls;
use crate::key::Key;

/// Does one thing, and tells of it.
pub(super) async fn action(context: &Context, route: &Route, action: &Action) -> Result<(), Failure> {
    let done = match &action.write {
        Write::Service(change) => apply(context, route, change, "placeholder service").await,
        Write::Endpoints(change) => apply(context, route, change, "Endpoints").await,
        Write::Certificate(change) => apply(context, route, change, "Certificate").await,
        Write::Ingress(change) => apply(context, route, change, "Ingress").await,
    };
    if let (Ok(()), Some(event)) = (&done, &action.event) {
        context.events.tell(route, event.reason, &event.message);
    }
    if let (Err(failure), Write::Certificate(Change::Delete(name))) = (&done, &action.write) {
        let message = format!(
            "Failed to delete orphaned Knative Certificate {}/{name}: {failure}",
            route.namespace()
        );
        context.events.warn(route, "DeleteFailed", &message);
    }
    done
}

async fn apply<K: Cached>(context: &Context, route: &Route, change: &Change<K>, what: &str) -> Result<(), Failure> {
    match change {
        Change::Create(object) => create(context, route, object.as_ref(), what).await,
        Change::Update(object) => context.update(K::clone(object.as_ref())).await.map(drop),
        Change::Replace(object) => {
            delete::<K>(context, &Key::of(object.meta())).await?;
            create(context, route, object.as_ref(), what).await
        }
        Change::Delete(name) => delete::<K>(context, &Key::new(route.namespace(), name)).await,
    }
}

async fn create<K: Cached>(context: &Context, route: &Route, object: &K, what: &str) -> Result<(), Failure> {
    let name = object.meta().name.clone().unwrap_or_default();
    let Err(failure) = context.create(K::clone(object)).await else {
        return Ok(());
    };
    let message = format!("Failed to create {what} {name:?}: {failure}");
    context.events.warn(route, "CreationFailed", &message);
    Err(failure.while_trying_to(format!("create {what} {name:?}")))
}

async fn delete<K: Cached>(context: &Context, key: &Key) -> Result<(), Failure> {
    match context.get::<K>(key) {
        Some(object) => context.delete(object.as_ref()).await,
        None => Ok(()),
    }
}

/// Leads the Route's Services with addresses of their own to the gateways.
pub(super) async fn lead_to_gateways(context: &Context, route: &Route, gateways: &[SocketAddr]) -> Result<(), Failure> {
    let services = context
        .caches
        .kubernetes_services
        .labelled(route.namespace(), route.name());
    for service in services {
        if controls(&route.metadata, &service.metadata) && has_address(&service) {
            lead(context, &service, gateways).await?;
        }
    }
    Ok(())
}

fn has_address(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.is_some_and(|spec| {
        spec.type_.as_deref().unwrap_or("ClusterIP") == "ClusterIP" && spec.cluster_ip.as_deref() != Some("None")
    })
}

async fn lead(context: &Context, service: &Service, gateways: &[SocketAddr]) -> Result<(), Failure> {
    let wanted = gateway::slices(service, gateways);
    let name = service.metadata.name.as_deref().unwrap_or_default();
    let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
    let present = context.caches.endpoint_slices.labelled(namespace, name);
    let keys: Vec<Key> = wanted.iter().map(|slice| Key::of(&slice.metadata)).collect();
    for slice in present.iter().filter(|slice| is_ours(slice)) {
        if !keys.contains(&Key::of(&slice.metadata)) {
            context.delete(slice.as_ref()).await?;
        }
    }
    for (key, slice) in keys.iter().zip(wanted) {
        match context.get::<EndpointSlice>(key) {
            None => drop(context.create(slice).await?),
            Some(existing) => {
                if let Some(updated) = gateway::update(&existing, slice) {
                    context.update(updated).await?;
                }
            }
        }
    }
    Ok(())
}

/// Whether it is one of those made here.
fn is_ours(slice: &EndpointSlice) -> bool {
    let labels = slice.metadata.labels.as_ref();
    labels.is_some_and(|labels| labels.contains_key(serving::ROUTE))
}
