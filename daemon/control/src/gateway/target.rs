// SPDX-License-Identifier: Apache-2.0
//! Addresses of Services that a kernel may redirect: to a pod, or to the node's gateway (design 4.2).
//!
//! Invariants: only addresses of our own Services; what is not known to be harmless is buffered, with the reasons.
//! Depends on: api (names), backend, routes, logic::data_path.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use api::names::{networking, port, serving};
use k8s_openapi::api::core::v1::Service;
use logic::data_path::{Cluster, DataPath, RevisionFacts, RouteFacts};
use logic::kpa::Mode;

use crate::gateway::backend::Backend;
use crate::key::Key;
use crate::settings::Settings;

/// The addresses of one Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its own addresses, sorted.
    pub addresses: Vec<SocketAddr>,
    /// The host by whose rules a gateway goes; none: all requests are for the revision.
    pub host: Option<Arc<str>>,
    /// The one revision that all its requests are for.
    pub revision: Option<Key>,
    /// Whether connections may go straight to its pods.
    pub path: DataPath,
}

/// What a Service of ours stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A Revision: all its requests are for that one.
    Revision(Key),
    /// A Route or one of its tags: a host inside the cluster.
    Route(String),
}

/// What a Service stands for, if it is one of ours.
#[must_use]
pub fn role(service: &Service, cluster_domain: &str) -> Option<Role> {
    let label = |key: &str| service.metadata.labels.as_ref()?.get(key).map(String::as_str);
    let name = service.metadata.name.as_deref()?;
    let namespace = service.metadata.namespace.as_deref()?;
    if label(networking::SERVICE_TYPE) == Some("Public") && label(networking::SERVERLESS_SERVICE) == Some(name) {
        return Some(Role::Revision(Key::new(namespace, name)));
    }
    // Services of Revisions have the labels of their Route too, but a selector or a type.
    let is_route = label(serving::ROUTE).is_some() && label(networking::SERVICE_TYPE).is_none();
    is_route.then(|| Role::Route(format!("{name}.{namespace}.svc.{cluster_domain}")))
}

/// The addresses of a Service for plain HTTP.
#[must_use]
pub fn addresses(service: &Service) -> Vec<SocketAddr> {
    let Some(spec) = &service.spec else {
        return Vec::new();
    };
    let all = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let ips: Vec<IpAddr> = all.filter_map(|ip| ip.parse().ok()).collect();
    let plain = [port::SERVICE_HTTP, port::SERVICE_HTTP2];
    let ports = spec.ports.iter().flatten().map(|port| port.port);
    let ports: Vec<u16> = ports
        .filter(|port| plain.contains(port))
        .filter_map(|port| u16::try_from(port).ok())
        .collect();
    let mut addresses: Vec<_> = ips
        .iter()
        .flat_map(|ip| ports.iter().map(|port| SocketAddr::new(*ip, *port)))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// What the settings say about direct connections; a node that cannot redirect says so itself.
#[must_use]
pub fn cluster(settings: &Settings) -> Cluster {
    let observability = &settings.observability;
    let tracing = &observability.tracing;
    Cluster {
        direct: settings.network.direct,
        request_log: observability.enable_request_log && !observability.request_log_template.is_empty(),
        tracing: tracing.protocol != "none" && tracing.sampling_rate > 0.0,
        redirects: true,
    }
}

/// What decides about direct connections to a revision.
#[must_use]
pub fn facts(backend: &Backend) -> RevisionFacts {
    RevisionFacts {
        container_concurrency: backend.container_concurrency,
        protocol: backend.protocol,
        wish: backend.wish,
        // Pods stand behind the public Service only while there is room for a burst.
        excess_burst_capacity: backend.mode.map(|mode| match mode {
            Mode::Serve => 0,
            Mode::Proxy => -1,
        }),
        ready_pods: backend.ready(),
    }
}

impl Target {
    /// The addresses of a Revision's public Service; none while it has none.
    #[must_use]
    pub fn of_revision(service: &Service, revision: Key, backend: Option<&Backend>, cluster: &Cluster) -> Option<Self> {
        let addresses = addresses(service);
        let path = DataPath::of_revision(&backend.map(facts).unwrap_or_default(), cluster);
        (!addresses.is_empty()).then_some(Self {
            addresses,
            host: None,
            revision: Some(revision),
            path,
        })
    }

    /// The addresses of a Route's Service; none while it has none. `backend`: of the only revision, by its name.
    #[must_use]
    pub fn of_route<'a>(
        service: &Service,
        host: &str,
        route: &RouteFacts,
        backend: impl FnOnce(&Key) -> Option<&'a Arc<Backend>>,
        cluster: &Cluster,
    ) -> Option<Self> {
        let addresses = addresses(service);
        if addresses.is_empty() {
            return None;
        }
        let namespace = service.metadata.namespace.clone().unwrap_or_default();
        let revision = route.only_revision().map(|name| Key::new(namespace, name));
        let facts = revision.as_ref().and_then(backend).map(|backend| facts(backend));
        Some(Self {
            addresses,
            host: Some(host.into()),
            revision,
            path: DataPath::of_route(route, facts.as_ref(), cluster),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logic::data_path::Share;
    use serde_json::{Value, json};

    fn service(name: &str, labels: &Value, spec: &Value) -> Service {
        let metadata = json!({"name": name, "namespace": "default", "labels": labels});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn backend(ready: bool, mode: Option<Mode>) -> Arc<Backend> {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": []}, "status": {"phase": "Running",
            "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}});
        let pod = serde_json::from_value(pod).unwrap();
        Arc::new(Backend::of_revision(&api::revision::Revision::default(), mode, [&pod]))
    }

    #[test]
    fn only_our_own_services_are_targets() {
        let public = json!({"networking.internal.knative.dev/serverlessservice": "hello-00001",
            "networking.internal.knative.dev/serviceType": "Public", "serving.knative.dev/route": "hello"});
        let private = json!({"networking.internal.knative.dev/serverlessservice": "hello-00001",
            "networking.internal.knative.dev/serviceType": "Private", "serving.knative.dev/route": "hello"});
        let role = |name, labels| role(&service(name, &labels, &json!({})), "cluster.local");
        assert_eq!(
            role("hello-00001", public),
            Some(Role::Revision(Key::new("default", "hello-00001")))
        );
        assert_eq!(role("hello-00001-private", private), None);
        assert_eq!(role("somebody", json!({})), None);
        assert_eq!(
            role("hello", json!({"serving.knative.dev/route": "hello"})),
            Some(Role::Route("hello.default.svc.cluster.local".to_owned()))
        );
    }

    #[test]
    fn plain_http_on_every_own_address_is_redirected() {
        let spec = json!({"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00::1"],
            "ports": [{"port": 80}, {"port": 443}]});
        let listed: Vec<_> = addresses(&service("s", &json!({}), &spec))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(listed, ["10.96.0.1:80", "[fd00::1]:80"]);
        let headless = json!({"clusterIP": "None", "ports": [{"port": 80}]});
        assert!(addresses(&service("s", &json!({}), &headless)).is_empty());
    }

    #[test]
    fn a_route_is_direct_when_its_one_revision_is() {
        let service = service(
            "hello",
            &json!({}),
            &json!({"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}),
        );
        let share = |percent| RouteFacts {
            shares: vec![Share {
                revision: "hello-00001".into(),
                percent,
            }],
            ..RouteFacts::default()
        };
        let path = |backend: Option<&Arc<Backend>>, percent| {
            let target = Target::of_route(&service, "h", &share(percent), |_| backend, &Cluster::default()).unwrap();
            target.path
        };
        assert_eq!(path(Some(&backend(true, Some(Mode::Serve))), 100), DataPath::Direct);
        assert_eq!(
            path(Some(&backend(true, Some(Mode::Proxy))), 100).reason(),
            "BurstCapacity"
        );
        assert_eq!(path(Some(&backend(false, Some(Mode::Serve))), 100).reason(), "NoPods");
        assert!(!path(None, 100).is_direct());
        assert!(!path(Some(&backend(true, Some(Mode::Serve))), 0).is_direct());
    }
}
