// SPDX-License-Identifier: Apache-2.0
//! What a DomainMapping may lead to: control-plane spec 4.9, step 5.
//!
//! Invariants: only a Service of the same namespace, as a whole; texts are Knative's.
//! Depends on: `logic::settings` for the way Go quotes.

use logic::go::print::quoted;
use thiserror::Error;

/// What the domain leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The Kubernetes Service, in the namespace of the DomainMapping.
    pub service: &'a str,
    /// The host under which it knows itself.
    pub host: &'a str,
}

/// Why an address cannot be led to; the text is the message of `ReferenceResolved`, with the reason `ResolveFailed`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TargetError {
    /// Only whole hosts are mapped.
    #[error("resolved URI {} contains a path", quoted(.0))]
    Path(String),
    /// It is not the host of a Service in this cluster.
    #[error("resolved URI {} must be of the form {{name}}.{{namespace}}.svc.{cluster_domain}", quoted(.uri))]
    NoService {
        /// The address.
        uri: String,
        /// The domain of the cluster.
        cluster_domain: String,
    },
    /// It is in another namespace.
    #[error("resolved URI {} must be in same namespace as DomainMapping", quoted(.0))]
    OtherNamespace(String),
}

/// The Service behind an address that a reference was resolved to.
///
/// # Errors
/// A DomainMapping of `namespace` may not lead there.
pub fn of_address<'a>(uri: &'a str, namespace: &str, cluster_domain: &str) -> Result<Target<'a>, TargetError> {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return Err(TargetError::Path(uri.to_owned()));
    }
    let no_service = || TargetError::NoService {
        uri: uri.to_owned(),
        cluster_domain: cluster_domain.to_owned(),
    };
    let of_services = host
        .strip_suffix(cluster_domain)
        .and_then(|host| host.strip_suffix(".svc."));
    let (service, of_service) = of_services
        .and_then(|host| host.split_once('.'))
        .ok_or_else(no_service)?;
    if service.is_empty() || of_service.is_empty() || of_service.contains('.') {
        return Err(no_service());
    }
    if of_service != namespace {
        return Err(TargetError::OtherNamespace(uri.to_owned()));
    }
    Ok(Target { service, host })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(uri: &str) -> Result<Target<'_>, String> {
        of_address(uri, "default", "cluster.local").map_err(|error| error.to_string())
    }

    #[test]
    fn a_service_of_the_same_namespace_is_led_to() {
        let target = led("http://hello.default.svc.cluster.local").unwrap();
        assert_eq!(
            (target.service, target.host),
            ("hello", "hello.default.svc.cluster.local")
        );
        assert_eq!(led("http://hello.default.svc.cluster.local/"), Ok(target));
    }

    #[test]
    fn nothing_else_is() {
        let refusal = |uri: &str| led(uri).unwrap_err();
        assert!(refusal("http://hello.default.svc.cluster.local/a").ends_with("contains a path"));
        assert!(
            refusal("http://hello.other.svc.cluster.local").ends_with("must be in same namespace as DomainMapping")
        );
        for uri in [
            "http://hello.example.com",
            "http://svc.cluster.local",
            "http://a.b.default.svc.cluster.local",
            "",
        ] {
            assert!(refusal(uri).ends_with("{name}.{namespace}.svc.cluster.local"), "{uri}");
        }
    }
}
