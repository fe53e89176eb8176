// SPDX-License-Identifier: Apache-2.0
//! A Route and its surroundings, for tests: what is decided is done at once.
//!
//! Depends on: reconcile.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use logic::settings::{Domain, Features, Network};

use super::action::{Action, Change, Write};
use super::naming::Naming;
use super::reconcile::{Decision, Seen, Settings, reconcile};
use super::targets::Targets;
use super::{Route, TrafficTarget};
use crate::certificate::Certificate;
use crate::condition::{Condition, ConditionStatus, Observed};
use crate::conditions::READY;
use crate::configuration::Configuration;
use crate::ingress::{Ingress, LoadBalancerIngress};
use crate::names::serving;
use crate::revision::Revision;

/// The class that our own gateway has in these tests.
pub(super) const OWN_CLASS: &str = "own";

pub(super) fn texts<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

pub(super) fn metadata(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some("default".to_owned()),
        uid: Some(format!("{name}-uid")),
        generation: Some(1),
        ..ObjectMeta::default()
    }
}

/// A status whose generation was seen and whose top condition is this.
pub(super) fn observed(status: ConditionStatus) -> Observed {
    Observed {
        observed_generation: 1,
        conditions: vec![Condition {
            kind: READY.to_owned(),
            status,
            ..Condition::default()
        }],
        ..Observed::default()
    }
}

pub(super) fn revision(name: &str) -> Revision {
    let mut revision = Revision {
        metadata: metadata(name),
        ..Revision::default()
    };
    revision.status.observed = observed(ConditionStatus::True);
    revision
}

pub(super) fn configuration(name: &str, latest_ready: &str) -> Configuration {
    let mut configuration = Configuration {
        metadata: metadata(name),
        ..Configuration::default()
    };
    configuration.status.observed = observed(ConditionStatus::True);
    configuration.status.latest_ready_revision_name = latest_ready.to_owned();
    configuration
}

pub(super) fn latest(tag: &str, percent: i64) -> TrafficTarget {
    TrafficTarget {
        tag: tag.to_owned(),
        configuration_name: "hello".to_owned(),
        latest_revision: Some(true),
        percent: Some(percent),
        ..TrafficTarget::default()
    }
}

pub(super) fn pinned(revision: &str, tag: &str, percent: i64) -> TrafficTarget {
    TrafficTarget {
        tag: tag.to_owned(),
        revision_name: revision.to_owned(),
        latest_revision: Some(false),
        percent: Some(percent),
        ..TrafficTarget::default()
    }
}

/// One Route, and all that it sees.
pub(super) struct World {
    pub(super) route: Route,
    pub(super) configurations: BTreeMap<String, Configuration>,
    pub(super) revisions: BTreeMap<String, Revision>,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) endpoints: BTreeMap<String, Endpoints>,
    pub(super) certificates: BTreeMap<String, Certificate>,
    pub(super) ingress: Option<Ingress>,
    pub(super) network: Network,
    pub(super) domain: Domain,
    pub(super) features: Features,
    pub(super) seconds: i64,
}

impl World {
    /// The Route `hello` with this traffic, over the Configuration `hello` at `hello-2` of `hello-1` to `hello-3`.
    pub(super) fn with(traffic: Vec<TrafficTarget>) -> Self {
        let mut route = Route {
            metadata: metadata("hello"),
            ..Route::default()
        };
        route.spec.traffic = traffic;
        let revisions = ["hello-1", "hello-2", "hello-3"].map(|name| (name.to_owned(), revision(name)));
        Self {
            route,
            configurations: BTreeMap::from([("hello".to_owned(), configuration("hello", "hello-2"))]),
            revisions: revisions.into(),
            services: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            certificates: BTreeMap::new(),
            ingress: None,
            network: Network::default(),
            domain: Domain::parse(&texts([("example.com", "")])).unwrap(),
            features: Features::default(),
            seconds: 1_700_000_000,
        }
    }

    pub(super) fn naming(&self) -> Naming<'_> {
        Naming {
            network: &self.network,
            domain: &self.domain,
            cluster_domain: "cluster.local",
        }
    }

    pub(super) fn targets(&self) -> Targets<'_> {
        Targets {
            configurations: &self.configurations,
            revisions: &self.revisions,
        }
    }

    pub(super) fn decide(&self) -> Decision {
        let seen = Seen {
            targets: self.targets(),
            services: &self.services,
            endpoints: &self.endpoints,
            certificates: &self.certificates,
            ingress: self.ingress.as_ref(),
        };
        let settings = Settings {
            naming: self.naming(),
            features: &self.features,
            is_system_internal_tls: false,
            own_class: Some(OWN_CLASS),
        };
        let now = Time(Timestamp::from_second(self.seconds).unwrap());
        reconcile(&self.route, seen, settings, &now)
    }

    /// Decides and does it, a second later than before.
    pub(super) fn reconcile(&mut self) -> Decision {
        self.seconds += 1;
        let decision = self.decide();
        self.route.status = decision.status.clone();
        for action in &decision.actions {
            self.apply(action.clone());
        }
        decision
    }

    fn apply(&mut self, action: Action) {
        match action.write {
            Write::Service(change) => store(&mut self.services, change, |service| &service.metadata),
            Write::Endpoints(change) => store(&mut self.endpoints, change, |endpoints| &endpoints.metadata),
            Write::Certificate(change) => store(&mut self.certificates, change, |one| &one.metadata),
            Write::Ingress(Change::Create(ingress) | Change::Update(ingress) | Change::Replace(ingress)) => {
                let before = self.ingress.as_ref();
                let is_new = before.is_none_or(|before| before.spec != ingress.spec);
                let generation = before.map_or(0, Ingress::generation) + i64::from(is_new);
                self.ingress = Some(*ingress).map(|mut ingress| {
                    ingress.metadata.generation = Some(generation);
                    ingress
                });
            }
            Write::Ingress(Change::Delete(_)) => self.ingress = None,
        }
    }

    /// The gateway is programmed and can be reached there.
    pub(super) fn gateway_is_ready(&mut self, private: LoadBalancerIngress) {
        let now = Time(Timestamp::from_second(self.seconds).unwrap());
        let ingress = self.ingress.as_mut().unwrap();
        ingress.status.mark_network_configured(&now);
        ingress.status.mark_load_balancer_ready(Vec::new(), vec![private], &now);
        ingress.status.observed.observed_generation = ingress.metadata.generation.unwrap();
    }

    /// The Route belongs to this Service.
    pub(super) fn of_service(mut self, service: &str) -> Self {
        self.route.metadata.labels = Some(texts([(serving::SERVICE, service)]));
        self
    }

    pub(super) fn ingress(&self) -> &Ingress {
        self.ingress.as_ref().unwrap()
    }
}

fn store<T>(objects: &mut BTreeMap<String, T>, change: Change<T>, metadata: impl Fn(&T) -> &ObjectMeta) {
    match change {
        Change::Delete(name) => drop(objects.remove(&name)),
        Change::Create(object) | Change::Update(object) | Change::Replace(object) => {
            let name = metadata(&object).name.clone().unwrap();
            objects.insert(name, *object);
        }
    }
}
