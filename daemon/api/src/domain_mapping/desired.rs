// SPDX-License-Identifier: Apache-2.0
//! The Ingress and the Certificate of a DomainMapping: control-plane spec 4.9.
//!
//! Problem: a domain of the user's own must reach a Service that knows only its own host.
//! Mechanism: one rule outside, which leads to the gateway again under the Service's host.
//! Invariants: the same input gives the same text, since the text is hashed.
//! Depends on: domain_mapping, certificate, ingress (their types), target, names, child_name.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use logic::settings::Network;

use super::DomainMapping;
use super::target::Target;
use crate::certificate::{Certificate, CertificateSpec, Http01Challenge};
use crate::child_name::child_name;
use crate::ingress::http_option::{WrongProtocol, certificate_class, http_option, ingress_class};
use crate::ingress::list::List;
use crate::ingress::{
    HttpIngressPath, HttpIngressRule, Ingress, IngressBackendSplit, IngressRule, IngressSpec, IngressTls, annotations,
    challenge, visibility,
};
use crate::names::{header, networking, serving};

/// The type of a certificate for a host outside.
const EXTERNAL_DOMAIN: &str = "external-domain";

/// The TLS of a DomainMapping with a certificate of the user's own; empty if there is none.
#[must_use]
pub fn own_tls(mapping: &DomainMapping) -> Vec<IngressTls> {
    let own = mapping.spec.tls.as_ref();
    own.map(|own| IngressTls {
        hosts: vec![mapping.name().to_owned()],
        secret_name: own.secret_name.clone(),
        secret_namespace: mapping.namespace().to_owned(),
    })
    .into_iter()
    .collect()
}

/// The Ingress of a DomainMapping.
///
/// # Errors
/// The annotation for plain HTTP is wrong.
pub fn ingress(
    mapping: &DomainMapping,
    target: Target<'_>,
    tls: Vec<IngressTls>,
    challenges: &[Http01Challenge],
    network: &Network,
) -> Result<Ingress, WrongProtocol> {
    let own = mapping.metadata.annotations.as_ref();
    let http_option = http_option(own, network.http_protocol)?;
    let [class, _] = networking::INGRESS_CLASS;
    let class = (class.to_owned(), ingress_class(own, &network.ingress_class).to_owned());
    let mut rules = vec![rule(mapping, target, challenges)];
    rules.extend(challenge::rules_beside(challenges, mapping.name()));
    Ok(Ingress {
        metadata: ObjectMeta {
            name: Some(child_name(mapping.name(), "")),
            namespace: mapping.metadata.namespace.clone(),
            labels: Some(labels(mapping)),
            annotations: Some(annotations::with_handed_on(BTreeMap::from([class]), own)),
            owner_references: Some(vec![mapping.controller_reference()]),
            ..ObjectMeta::default()
        },
        spec: IngressSpec {
            tls,
            rules,
            http_option: http_option.to_owned(),
        },
        ..Ingress::default()
    })
}

/// The Certificate that a DomainMapping without one of the user's own asks for.
#[must_use]
pub fn certificate(mapping: &DomainMapping, network: &Network) -> Certificate {
    let name = child_name(mapping.name(), "");
    let own = mapping.metadata.annotations.as_ref();
    let [class, _] = networking::CERTIFICATE_CLASS;
    let class = (
        class.to_owned(),
        certificate_class(own, &network.certificate_class).to_owned(),
    );
    // Knative puts the name where the label says UID.
    let labels = BTreeMap::from([
        (serving::DOMAIN_MAPPING_UID.to_owned(), mapping.name().to_owned()),
        (networking::CERTIFICATE_TYPE.to_owned(), EXTERNAL_DOMAIN.to_owned()),
    ]);
    Certificate {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: mapping.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations::with_handed_on(BTreeMap::from([class]), own)),
            owner_references: Some(vec![mapping.controller_reference()]),
            ..ObjectMeta::default()
        },
        spec: CertificateSpec {
            dns_names: vec![mapping.name().to_owned()],
            domain: mapping.name().to_owned(),
            secret_name: name,
        },
        ..Certificate::default()
    }
}

fn labels(mapping: &DomainMapping) -> BTreeMap<String, String> {
    let mut labels = mapping.metadata.labels.clone().unwrap_or_default();
    let uid = mapping.metadata.uid.clone().unwrap_or_default();
    labels.insert(serving::DOMAIN_MAPPING_UID.to_owned(), uid);
    labels.insert(
        serving::DOMAIN_MAPPING_NAMESPACE.to_owned(),
        mapping.namespace().to_owned(),
    );
    labels
}

fn rule(mapping: &DomainMapping, target: Target<'_>, challenges: &[Http01Challenge]) -> IngressRule {
    let domain = mapping.name();
    let mut paths = challenge::paths_for(challenges, domain);
    paths.push(HttpIngressPath {
        rewrite_host: target.host.to_owned(),
        splits: List::from(vec![IngressBackendSplit {
            service_namespace: mapping.namespace().to_owned(),
            service_name: target.service.to_owned(),
            service_port: IntOrString::Int(80),
            percent: 100,
            append_headers: BTreeMap::from([(header::ORIGINAL_HOST.to_owned(), domain.to_owned())]),
        }]),
        ..HttpIngressPath::default()
    });
    IngressRule {
        hosts: vec![domain.to_owned()],
        visibility: visibility::EXTERNAL_IP.to_owned(),
        http: Some(HttpIngressRule { paths: paths.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_the_domain_alone() {
        let mut mapping = DomainMapping::default();
        mapping.metadata.name = Some("x.org".to_owned());
        let certificate = certificate(&mapping, &Network::default());
        assert_eq!(certificate.spec.dns_names, ["x.org"]);
        assert_eq!(certificate.label(serving::DOMAIN_MAPPING_UID), Some("x.org"));
    }

    #[test]
    fn a_challenge_at_the_domain_stands_before_its_path() {
        let mut mapping = DomainMapping::default();
        mapping.metadata.name = Some("x.org".to_owned());
        let target = Target {
            service: "hello",
            host: "hello.default.svc.cluster.local",
        };
        let challenges = ["http://x.org/.well-known/a", "http://k.x.org/b"].map(|url| Http01Challenge {
            url: Some(url.to_owned()),
            ..Http01Challenge::default()
        });
        let ingress = ingress(&mapping, target, Vec::new(), &challenges, &Network::default()).unwrap();
        let paths = |rule: &IngressRule| -> Vec<String> {
            let http = rule.http.as_ref().unwrap();
            http.paths.iter().map(|path| path.path.clone()).collect()
        };
        let all: Vec<_> = ingress.spec.rules.iter().map(paths).collect();
        assert_eq!(all, [vec!["/.well-known/a", ""], vec!["/b"]]);
    }
}
