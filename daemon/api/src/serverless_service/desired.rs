// SPDX-License-Identifier: Apache-2.0
//! What a ServerlessService makes: a Service in front of the pods and one in front of pods or activators;
//! control-plane spec 4.12, data-plane spec 2.
//!
//! Mechanism: the same ports as Knative's, but requests go to the user's port, by its name in the pod (`user-port`), since
//! there is no queue-proxy. The ports that tools know (443, 9090, 9091) lead to the numbers that the pod's node answers.
//! Invariants: only the private Service has a selector.
//! Depends on: child_name, names, object.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::ServerlessService;
use crate::child_name::child_name;
use crate::names::{networking, port, protocol};

/// The name of the private Service.
#[must_use]
pub fn private_service_name(sks: &ServerlessService) -> String {
    child_name(sks.name(), "-private")
}

/// The Service in front of the pods; `selector`: the labels of the Deployment's pods.
#[must_use]
pub fn private_service(sks: &ServerlessService, selector: BTreeMap<String, String>) -> Service {
    let is_h2c = is_h2c(sks);
    let outer = if is_h2c { port::QUEUE_HTTP2 } else { port::QUEUE_HTTP };
    let istio = if is_h2c { "http2-istio" } else { "http-istio" };
    Service {
        metadata: metadata(sks, private_service_name(sks), "Private"),
        spec: Some(ServiceSpec {
            ports: Some(vec![
                requests(sks, port::SERVICE_HTTP),
                https(),
                numbered("http-autometric", port::AUTOSCALING_METRICS),
                numbered("http-usermetric", port::USER_METRICS),
                to_user(istio, outer),
            ]),
            selector: Some(selector),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// The Service that routes name; who stands behind it is written by hand.
#[must_use]
pub fn public_service(sks: &ServerlessService) -> Service {
    let number = if is_h2c(sks) {
        port::SERVICE_HTTP2
    } else {
        port::SERVICE_HTTP
    };
    Service {
        metadata: metadata(sks, sks.name().to_owned(), "Public"),
        spec: Some(ServiceSpec {
            ports: Some(vec![requests(sks, number), https()]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn metadata(sks: &ServerlessService, name: String, side: &str) -> ObjectMeta {
    let mut labels = sks.metadata.labels.clone().unwrap_or_default();
    labels.insert(networking::SERVERLESS_SERVICE.to_owned(), sks.name().to_owned());
    labels.insert(networking::SERVICE_TYPE.to_owned(), side.to_owned());
    ObjectMeta {
        name: Some(name),
        namespace: sks.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: sks.metadata.annotations.clone(),
        owner_references: Some(vec![sks.controller_reference()]),
        ..ObjectMeta::default()
    }
}

fn is_h2c(sks: &ServerlessService) -> bool {
    sks.spec.protocol_type == protocol::H2C
}

/// The port that requests come to.
fn requests(sks: &ServerlessService, number: i32) -> ServicePort {
    match is_h2c(sks) {
        true => ServicePort {
            app_protocol: Some("kubernetes.io/h2c".to_owned()),
            ..to_user("http2", number)
        },
        false => to_user("http", number),
    }
}

fn https() -> ServicePort {
    ServicePort {
        target_port: Some(IntOrString::Int(port::QUEUE_HTTPS)),
        ..numbered("https", port::SERVICE_HTTPS)
    }
}

/// A port that leads to the user's.
fn to_user(name: &str, number: i32) -> ServicePort {
    ServicePort {
        target_port: Some(IntOrString::String(port::USER_NAME.to_owned())),
        ..numbered(name, number)
    }
}

/// A port that leads to the same number.
fn numbered(name: &str, number: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(number)),
        ..ServicePort::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sks(protocol_type: &str) -> ServerlessService {
        let mut sks = ServerlessService::default();
        sks.metadata.name = Some("hello-00001".to_owned());
        protocol_type.clone_into(&mut sks.spec.protocol_type);
        sks
    }

    fn ports(service: Service) -> Vec<(String, i32, IntOrString)> {
        let ports = service.spec.unwrap().ports.unwrap();
        ports
            .into_iter()
            .map(|port| (port.name.unwrap(), port.port, port.target_port.unwrap()))
            .collect()
    }

    #[test]
    fn requests_go_to_the_users_port() {
        let user = IntOrString::String("user-port".to_owned());
        assert_eq!(ports(public_service(&sks("http1")))[0], ("http".to_owned(), 80, user));
    }

    #[test]
    fn http2_has_a_port_of_its_own_on_the_public_side_only() {
        let number = |service| ports(service)[0].1;
        assert_eq!(number(public_service(&sks("h2c"))), 81);
        assert_eq!(number(private_service(&sks("h2c"), BTreeMap::new())), 80);
    }

    #[test]
    fn who_stands_behind_the_public_service_is_written_by_hand() {
        assert_eq!(public_service(&sks("http1")).spec.unwrap().selector, None);
    }
}
