// SPDX-License-Identifier: Apache-2.0
//! The placeholder Services of a Route in one pass.
//!
//! Depends on: its parent's pass, placeholder.

use std::collections::BTreeSet;

use super::{Pass, RouteError, controls};
use crate::names::serving;
use crate::route::action::{Action, Change, Write};
use crate::route::placeholder::{self, Placeholder, Transition};
use crate::route::targets::Traffic;

/// A Service that is there or will be.
pub(super) struct Placed {
    name: String,
    /// The action that makes it, where it is not there yet.
    created_by: Option<usize>,
}

impl Pass<'_> {
    /// Makes what is missing, and deletes what is no longer wanted.
    pub(super) fn place_services(&mut self, traffic: &Traffic) -> Result<Vec<Placed>, RouteError> {
        let mut placed = Vec::new();
        for tag in traffic.groups.keys() {
            placed.push(self.place_service(tag)?);
        }
        self.delete_orphans(&placed);
        Ok(placed)
    }

    fn place_service(&mut self, tag: &str) -> Result<Placed, RouteError> {
        let naming = self.settings.naming;
        let name = naming.label(self.route, tag).map_err(RouteError::Placeholder)?;
        let host = naming
            .host_of(&self.route.metadata, &name)
            .map_err(RouteError::Placeholder)?;
        let created_by = match self.seen.services.get(&name) {
            None => Some(self.create_service(&name, &host)),
            Some(service) if controls(self.route, &service.metadata) => None,
            Some(_) => {
                self.status.mark_service_not_owned(&name, self.now);
                return Err(self.not_owned("Service", name));
            }
        };
        let endpoints = self.seen.endpoints.get(&name);
        if endpoints.is_some_and(|endpoints| !controls(self.route, &endpoints.metadata)) {
            self.status.mark_endpoint_not_owned(&name, self.now);
            return Err(self.not_owned("Endpoints", name));
        }
        Ok(Placed { name, created_by })
    }

    /// The index of the action.
    fn create_service(&mut self, name: &str, host: &str) -> usize {
        let placeholder = match self.has_own_addresses() {
            true => placeholder::with_own_address(self.route, name),
            false => placeholder::leading_outside(self.route, name, host),
        };
        let message = format!("Created placeholder service \"{name}\"");
        let write = Write::Service(Change::Create(Box::new(placeholder.service)));
        self.actions.push(Action::told(write, "Created", message));
        self.actions.len().saturating_sub(1)
    }

    fn not_owned(&self, kind: &'static str, name: String) -> RouteError {
        RouteError::NotOwned {
            route: self.route.name().to_owned(),
            kind,
            name,
        }
    }

    fn delete_orphans(&mut self, placed: &[Placed]) {
        let wanted: BTreeSet<_> = placed.iter().map(|placed| placed.name.as_str()).collect();
        for (name, service) in self.seen.services {
            let labels = service.metadata.labels.as_ref();
            let of_route = labels.and_then(|labels| labels.get(serving::ROUTE));
            if of_route.map(String::as_str) != Some(self.route.name()) || wanted.contains(name.as_str()) {
                continue;
            }
            let service = Write::Service(Change::Delete(name.clone()));
            self.actions.push(Action::silent(service));
            if self.seen.endpoints.contains_key(name) {
                let endpoints = Write::Endpoints(Change::Delete(name.clone()));
                self.actions.push(Action::silent(endpoints));
            }
        }
    }

    /// Leads the Services to where the Ingress says that the gateway is; while it does not say, they stay.
    pub(super) fn lead_services_to_gateway(&mut self, placed: &[Placed]) {
        for placed in placed {
            if let Some(wanted) = self.wanted_placeholder(&placed.name) {
                let endpoints = wanted.endpoints.clone();
                self.change_service(placed, wanted);
                self.change_endpoints(&placed.name, endpoints);
            }
        }
    }

    fn wanted_placeholder(&self, name: &str) -> Option<Placeholder> {
        if self.has_own_addresses() {
            return Some(placeholder::with_own_address(self.route, name));
        }
        let service = self.seen.services.get(name);
        let is_private = service.is_some_and(placeholder::is_private);
        placeholder::leading_to_gateway(self.route, name, &self.seen.ingress?.status, is_private)
    }

    fn change_service(&mut self, placed: &Placed, wanted: Placeholder) {
        if let Some(action) = placed.created_by.and_then(|index| self.actions.get_mut(index)) {
            action.write = Write::Service(Change::Create(Box::new(wanted.service)));
            return;
        }
        let Some(existing) = self.seen.services.get(&placed.name) else {
            return;
        };
        let change = match placeholder::transition(existing, wanted.service) {
            Transition::Keep => return,
            Transition::Update(service) => Change::Update(service),
            Transition::Replace(service) => Change::Replace(service),
        };
        self.actions.push(Action::silent(Write::Service(change)));
    }

    fn change_endpoints(&mut self, name: &str, wanted: Option<k8s_openapi::api::core::v1::Endpoints>) {
        let change = match (self.seen.endpoints.get(name), wanted) {
            (None, None) => return,
            (None, Some(wanted)) => Change::Create(Box::new(wanted)),
            (Some(_), None) => Change::Delete(name.to_owned()),
            (Some(existing), Some(wanted)) if existing.subsets == wanted.subsets => return,
            (Some(existing), Some(wanted)) => {
                let mut updated = existing.clone();
                updated.subsets = wanted.subsets;
                Change::Update(Box::new(updated))
            }
        };
        self.actions.push(Action::silent(Write::Endpoints(change)));
    }

    fn has_own_addresses(&self) -> bool {
        self.settings.own_class == Some(self.ingress_class())
    }
}
