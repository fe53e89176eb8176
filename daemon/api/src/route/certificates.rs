// SPDX-License-Identifier: Apache-2.0
//! The certificates that a Route asks for: control-plane spec 4.7, TLS.
//!
//! Invariants: one Certificate a host outside, one a tag inside; names are stable and at most 63 bytes.
//! Depends on: route (its types), certificate, names.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Route;
use crate::certificate::{Certificate, CertificateSpec};
use crate::ingress::IngressTls;
use crate::ingress::annotations::with_handed_on;
use crate::names::{networking, serving};

/// The type of a certificate for a host outside.
pub const EXTERNAL_DOMAIN: &str = "external-domain";
/// The type of a certificate for hosts inside the cluster.
pub const CLUSTER_LOCAL_DOMAIN: &str = "cluster-local-domain";

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The tag; empty: the Route itself.
    pub tag: &'a str,
    /// The names it shall cover, sorted.
    pub hosts: &'a [String],
    /// The domain that they belong to.
    pub domain: &'a str,
    /// Who makes it.
    pub class: &'a str,
}

/// The Certificate for a host outside.
#[must_use]
pub fn external(route: &Route, wanted: Wanted<'_>) -> Certificate {
    certificate(route, wanted, EXTERNAL_DOMAIN, "")
}

/// The Certificate for the hosts of one tag inside the cluster.
#[must_use]
pub fn cluster_local(route: &Route, wanted: Wanted<'_>) -> Certificate {
    certificate(route, wanted, CLUSTER_LOCAL_DOMAIN, "-local")
}

fn certificate(route: &Route, wanted: Wanted<'_>, kind: &str, suffix: &str) -> Certificate {
    let name = format!("{}{suffix}", name_of(route, wanted.tag));
    let labels = BTreeMap::from([
        (serving::ROUTE.to_owned(), route.name().to_owned()),
        (networking::CERTIFICATE_TYPE.to_owned(), kind.to_owned()),
    ]);
    let [class, _] = networking::CERTIFICATE_CLASS;
    let own = BTreeMap::from([(class.to_owned(), wanted.class.to_owned())]);
    Certificate {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: route.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(with_handed_on(own, route.metadata.annotations.as_ref())),
            owner_references: Some(vec![route.controller_reference()]),
            ..ObjectMeta::default()
        },
        spec: CertificateSpec {
            dns_names: wanted.hosts.to_vec(),
            domain: wanted.domain.to_owned(),
            secret_name: name,
        },
        ..Certificate::default()
    }
}

/// A UID leaves room for the checksum of a tag in a name of 63 bytes.
fn name_of(route: &Route, tag: &str) -> String {
    let uid = route.metadata.uid.as_deref().unwrap_or_default();
    match tag {
        "" => format!("route-{uid}"),
        tag => format!("route-{uid}-{}", adler32(tag.as_bytes())),
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    const LARGEST_PRIME: u32 = 65_521;
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % LARGEST_PRIME;
        (low, (high + low) % LARGEST_PRIME)
    });
    (high << 16) | low
}

/// What the Ingress says of a certificate that is there.
#[must_use]
pub fn tls(certificate: &Certificate, hosts: &[String]) -> IngressTls {
    IngressTls {
        hosts: hosts.to_vec(),
        secret_name: certificate.spec.secret_name.clone(),
        secret_namespace: certificate.namespace().to_owned(),
    }
}

/// The certificate for every name under `domain` that covers all of `hosts`, the first by name.
#[must_use]
pub fn wildcard<'a>(
    certificates: &'a BTreeMap<String, Certificate>,
    domain: &str,
    hosts: &[String],
) -> Option<&'a Certificate> {
    certificates
        .values()
        .filter(|certificate| certificate.label(networking::WILDCARD_DOMAIN) == Some(domain))
        .find(|certificate| {
            let parents: Vec<_> = certificate
                .spec
                .dns_names
                .iter()
                .filter_map(|name| parent(name))
                .collect();
            hosts
                .iter()
                .all(|host| parent(host).is_some_and(|parent| parents.contains(&parent)))
        })
}

fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_told_by_its_checksum() {
        assert_eq!(adler32(b"x"), 7_929_977);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }

    #[test]
    fn a_wildcard_covers_one_level() {
        let mut star = Certificate::default();
        star.metadata.labels = Some(BTreeMap::from([(
            networking::WILDCARD_DOMAIN.to_owned(),
            "example.com".to_owned(),
        )]));
        star.spec.dns_names = vec!["*.default.example.com".to_owned()];
        let all = BTreeMap::from([("star".to_owned(), star)]);
        let covers = |host: &str| wildcard(&all, "example.com", &[host.to_owned()]).is_some();
        assert!(covers("hello.default.example.com"));
        assert!(!covers("a.hello.default.example.com"));
        assert!(wildcard(&all, "example.org", &["hello.default.example.com".to_owned()]).is_none());
    }
}
