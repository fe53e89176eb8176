// SPDX-License-Identifier: Apache-2.0
//! Where requests can go: a Revision and its pods, or a Service that is none of ours and its endpoints.
//!
//! Invariants: pods are sorted by address and each stands once; a pod that ends takes no new request.
//! Depends on: api (revision, names), k8s-openapi, logic::kpa (its mode).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use api::annotation::Annotations;
use api::names::{port, product, protocol, serving};
use api::revision::Revision;
use api::revision::desired::{protocol_of, user_port};
use k8s_openapi::api::core::v1::{Container, Pod, Probe, Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use logic::data_path::{Protocol, Wish};
use logic::kpa::Mode;

/// Where requests can go.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// The Service it belongs to, or empty.
    pub service: Box<str>,
    /// The Configuration it belongs to, or empty.
    pub configuration: Box<str>,
    /// Requests at once in one pod; 0: any number.
    pub container_concurrency: u32,
    /// What a request may take.
    pub timeouts: BackendTimeouts,
    /// What its port speaks.
    pub protocol: Protocol,
    /// How a pod is asked whether it is ready; none: it is when it takes connections.
    pub readiness: Option<Probe>,
    /// Its annotation about direct connections.
    pub wish: Option<Wish>,
    /// Its pods.
    pub pods: Vec<BackendPod>,
    /// Whether the autoscaler has gateways in the path; none while it has not spoken.
    pub mode: Option<Mode>,
}

/// What a request may take; zero: any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BackendTimeouts {
    /// The whole request.
    pub request: Duration,
    /// Until the answer begins.
    pub response_start: Duration,
    /// Between two parts of the answer.
    pub idle: Duration,
}

/// A pod that has an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackendPod {
    /// Where it takes requests.
    pub address: SocketAddr,
    /// Its UID; empty where only an endpoint is known.
    pub uid: Box<str>,
    /// Its name; empty where only an endpoint is known.
    pub name: Box<str>,
    /// The node it runs on, or empty.
    pub node: Box<str>,
    /// Whether Kubernetes says that it is ready.
    pub is_ready: bool,
    /// Whether it ends: what it has it finishes.
    pub is_ending: bool,
}

impl Backend {
    /// A Revision with these pods of its.
    #[must_use]
    pub fn of_revision<'a>(revision: &Revision, mode: Option<Mode>, pods: impl IntoIterator<Item = &'a Pod>) -> Self {
        let spec = &revision.spec;
        let text = |key| revision.label(key).unwrap_or_default().into();
        let mut pods: Vec<_> = pods.into_iter().filter_map(pod).collect();
        pods.sort();
        pods.dedup_by_key(|pod| pod.address);
        Self {
            service: text(serving::SERVICE),
            configuration: text(serving::CONFIGURATION),
            container_concurrency: at_least_zero(spec.container_concurrency),
            timeouts: BackendTimeouts {
                request: seconds(spec.timeout_seconds),
                response_start: seconds(spec.response_start_timeout_seconds),
                idle: seconds(spec.idle_timeout_seconds),
            },
            protocol: match protocol_of(revision) {
                protocol::H2C => Protocol::Http2,
                _ => Protocol::Http1,
            },
            readiness: serving_container(&spec.pod.containers).and_then(|container| container.readiness_probe.clone()),
            wish: wish(revision.metadata.annotations.as_ref()),
            pods,
            mode,
        }
    }

    /// A port of a Service that is none of ours.
    #[must_use]
    pub fn of_service<'a>(port: &ServicePort, slices: impl IntoIterator<Item = &'a EndpointSlice>) -> Self {
        let mut pods: Vec<_> = slices
            .into_iter()
            .flat_map(|slice| endpoints(slice, port.name.as_deref()))
            .collect();
        pods.sort();
        pods.dedup_by_key(|pod| pod.address);
        Self {
            service: Box::default(),
            configuration: Box::default(),
            container_concurrency: 0,
            timeouts: BackendTimeouts::default(),
            protocol: match speaks_h2c(port) {
                true => Protocol::Http2,
                false => Protocol::Http1,
            },
            readiness: None,
            wish: None,
            pods,
            mode: None,
        }
    }

    /// How many of its pods Kubernetes would send requests to.
    #[must_use]
    pub fn ready(&self) -> u32 {
        let ready = self.pods.iter().filter(|pod| pod.is_ready && !pod.is_ending);
        u32::try_from(ready.count()).unwrap_or(u32::MAX)
    }
}

/// The annotation about direct connections.
#[must_use]
pub fn wish(annotations: Option<&Annotations>) -> Option<Wish> {
    Wish::parse(annotations?.get(product::DIRECT)?)
}

/// The port of a Service that a split names.
#[must_use]
pub fn find_port<'a>(service: &'a Service, wanted: &IntOrString) -> Option<&'a ServicePort> {
    let ports = service.spec.as_ref()?.ports.as_ref()?;
    ports.iter().find(|port| match wanted {
        IntOrString::Int(number) => port.port == *number,
        IntOrString::String(name) => port.name.as_ref() == Some(name),
    })
}

/// A pod with an address and what is known of it.
#[must_use]
pub fn pod(pod: &Pod) -> Option<BackendPod> {
    let status = pod.status.as_ref()?;
    let ip: IpAddr = status.pod_ip.as_deref()?.parse().ok()?;
    let is_over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
    let spec = pod.spec.as_ref()?;
    (!is_over).then(|| BackendPod {
        address: SocketAddr::new(ip, serving_port(&spec.containers)),
        uid: text(&pod.metadata.uid),
        name: text(&pod.metadata.name),
        node: text(&spec.node_name),
        is_ready: crate::pod_autoscaler::pods::is_ready(pod),
        is_ending: pod.metadata.deletion_timestamp.is_some(),
    })
}

fn serving_port(containers: &[Container]) -> u16 {
    let number = user_port(containers).unwrap_or(port::USER);
    u16::try_from(number).unwrap_or_default()
}

fn endpoints<'a>(slice: &'a EndpointSlice, port: Option<&'a str>) -> impl Iterator<Item = BackendPod> + use<'a> {
    let is_wanted = |name: Option<&str>| name.unwrap_or_default() == port.unwrap_or_default();
    let ports = slice.ports.as_deref().unwrap_or_default();
    let number = ports
        .iter()
        .find(|port| is_wanted(port.name.as_deref()))
        .and_then(|port| port.port);
    let number = number.and_then(|number| u16::try_from(number).ok());
    let of = move |ip: &str, is_ready: bool, is_ending: bool| {
        Some(BackendPod {
            address: SocketAddr::new(ip.parse().ok()?, number?),
            uid: Box::default(),
            name: Box::default(),
            node: Box::default(),
            is_ready,
            is_ending,
        })
    };
    slice.endpoints.iter().flat_map(move |endpoint| {
        let conditions = endpoint.conditions.as_ref();
        // Nothing said means ready.
        let is_ready = conditions.and_then(|all| all.ready).unwrap_or(true);
        let is_ending = conditions.and_then(|all| all.terminating).unwrap_or(false);
        endpoint
            .addresses
            .iter()
            .filter_map(move |ip| of(ip, is_ready, is_ending))
    })
}

fn speaks_h2c(port: &ServicePort) -> bool {
    matches!(port.name.as_deref(), Some("http2" | "h2c")) || port.app_protocol.as_deref() == Some("kubernetes.io/h2c")
}

/// The one that takes requests: the only one, or the one that has a port.
fn serving_container(containers: &[Container]) -> Option<&Container> {
    let has_port = |container: &&Container| container.ports.as_ref().is_some_and(|ports| !ports.is_empty());
    match containers {
        [only] => Some(only),
        several => several.iter().find(has_port),
    }
}

fn at_least_zero(number: Option<i64>) -> u32 {
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
}

fn seconds(number: Option<i64>) -> Duration {
    let number = number.and_then(|number| u64::try_from(number).ok());
    Duration::from_secs(number.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(name: &str, status: &Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": name},
            "spec": {"containers": [
                {"name": "beside", "ports": [{"name": "admin", "containerPort": 9000}]},
                {"name": "user-container", "ports": [{"name": "user-port", "containerPort": 8081}]},
            ]},
            "status": status,
        }))
        .unwrap()
    }

    fn revision() -> Revision {
        serde_json::from_value(json!({
            "metadata": {"name": "hello-00001", "labels": {"serving.knative.dev/service": "hello"},
                "annotations": {"sluice.dev/direct": "disabled"}},
            "spec": {"containerConcurrency": 3, "timeoutSeconds": 20,
                "containers": [{"name": "user-container", "ports": [{"name": "h2c", "containerPort": 8081}],
                    "readinessProbe": {"tcpSocket": {"port": 0}}}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_revision_is_known_with_its_limits_and_pods_that_have_an_address() {
        let ready =
            json!({"phase": "Running", "podIP": "10.0.0.2", "conditions": [{"type": "Ready", "status": "True"}]});
        let pods = [
            pod("b", &ready),
            pod("a", &json!({"phase": "Running", "podIP": "10.0.0.1"})),
            pod("waits", &json!({"phase": "Pending"})),
            pod("over", &json!({"phase": "Failed", "podIP": "10.0.0.9"})),
        ];
        let backend = Backend::of_revision(&revision(), Some(Mode::Serve), &pods);
        let listed: Vec<_> = backend
            .pods
            .iter()
            .map(|pod| (pod.address.to_string(), pod.is_ready))
            .collect();
        assert_eq!(
            listed,
            [("10.0.0.1:8081".to_owned(), false), ("10.0.0.2:8081".to_owned(), true)]
        );
        assert_eq!(backend.ready(), 1);
        assert_eq!((backend.container_concurrency, backend.protocol), (3, Protocol::Http2));
        assert_eq!(backend.timeouts.request, Duration::from_secs(20));
        assert_eq!((&*backend.service, backend.wish), ("hello", Some(Wish::Disabled)));
        assert!(backend.readiness.is_some());
    }

    #[test]
    fn a_pod_that_ends_counts_as_ready_no_more() {
        let ready =
            json!({"phase": "Running", "podIP": "10.0.0.2", "conditions": [{"type": "Ready", "status": "True"}]});
        let mut ending = pod("a", &ready);
        ending.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        let backend = Backend::of_revision(&revision(), None, [&ending]);
        assert_eq!((backend.pods.len(), backend.ready()), (1, 0));
    }

    #[test]
    fn a_service_of_somebody_else_is_known_by_the_endpoints_of_its_port() {
        let service: Service = serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": {"ports": [
            {"name": "http", "port": 80}, {"name": "h2c", "port": 81}]}}))
        .unwrap();
        let slice: EndpointSlice = serde_json::from_value(json!({"addressType": "IPv4", "metadata": {"name": "s-1"},
            "ports": [{"name": "http", "port": 8080}, {"name": "h2c", "port": 8082}],
            "endpoints": [{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"], "conditions": {"ready": false}}]}))
        .unwrap();
        let port = find_port(&service, &IntOrString::String("h2c".to_owned())).unwrap();
        assert_eq!(find_port(&service, &IntOrString::Int(81)), Some(port));
        let backend = Backend::of_service(port, [&slice]);
        let addresses: Vec<_> = backend.pods.iter().map(|pod| pod.address.to_string()).collect();
        assert_eq!(addresses, ["10.0.0.1:8082", "10.0.0.2:8082"]);
        assert_eq!((backend.ready(), backend.protocol), (1, Protocol::Http2));
    }
}
