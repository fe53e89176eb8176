// SPDX-License-Identifier: Apache-2.0
//! config-network: classes, host names, TLS and rollout (data-plane spec 6).
//!
//! Invariants: traffic between components is not encrypted yet, so asking for it is refused (design 5).
//! Depends on: go, selector, table, template.

use super::problem::Problems;
use super::selector::LabelSelector;
use super::table::{self, Check, Data, Key, Reader, Reading, check, key, old};
use super::template::{Record, Template, TemplateError, Value};
use crate::go::print::quoted;
use crate::go::url;
use std::collections::BTreeMap;

/// The settings of config-network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The class of Ingresses without an annotation.
    pub ingress_class: String,
    /// The class of Certificates without an annotation.
    pub certificate_class: String,
    /// Makes the host of a Route.
    pub domain_template: Template,
    /// Makes the name of a tag's host.
    pub tag_template: Template,
    /// How long traffic takes to move to a new revision, in seconds.
    pub rollout_duration_secs: i64,
    /// Whether a DomainMapping claims its domain itself.
    pub autocreate_cluster_domain_claims: bool,
    /// Whether external hosts get certificates.
    pub external_domain_tls: bool,
    /// Whether hosts inside the cluster get certificates.
    pub cluster_local_domain_tls: bool,
    /// What plain HTTP does once there is a certificate.
    pub http_protocol: HttpProtocol,
    /// The scheme of external URLs without a certificate.
    pub default_external_scheme: String,
    /// Whether pods are reachable by address in a mesh.
    pub enable_mesh_pod_addressability: bool,
    /// Whether pods are reached by address or through their Service.
    pub mesh_compatibility_mode: MeshCompatibility,
    /// Namespaces that get a wildcard certificate; nothing: none does.
    pub namespace_wildcard_cert_selector: Option<LabelSelector>,
    /// Whether eligible revisions get direct connections; Sluice's own key (design 4.2).
    pub direct: bool,
}

/// What plain HTTP does on a host with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpProtocol {
    /// It is served.
    Enabled,
    /// It is refused.
    Disabled,
    /// It is sent to HTTPS.
    Redirected,
}

/// How pods are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeshCompatibility {
    /// Through their Service.
    Enabled,
    /// By address.
    Disabled,
    /// By address where that works.
    Auto,
}

const DOMAIN_TEMPLATE: &str = "{{.Name}}.{{.Namespace}}.{{.Domain}}";
const TAG_TEMPLATE: &str = "{{.Tag}}-{{.Name}}";

impl Default for Network {
    fn default() -> Self {
        Raw::default().settings
    }
}

/// What the host of a Route is made of.
#[derive(Clone, Copy, Debug)]
pub struct RouteHost<'a> {
    /// The name of the Route, or of its tag's host.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its domain, from config-domain.
    pub domain: &'a str,
    /// Its annotations.
    pub annotations: Option<&'a BTreeMap<String, String>>,
    /// Its labels.
    pub labels: Option<&'a BTreeMap<String, String>>,
}

impl Network {
    /// Reads the map.
    ///
    /// # Errors
    /// Every problem of it.
    pub fn parse(data: &Data) -> Result<Self, Problems> {
        let mut raw = Raw::default();
        let mut reading = Reading::of(data);
        reading.read(KEYS, &mut raw);
        reading.check(CHECKS, &raw);
        reading.read(LATE_KEYS, &mut raw);
        reading.finish(raw.settings)
    }

    /// The keys with a fixed name, in their current spelling.
    #[must_use]
    pub fn keys() -> Vec<&'static str> {
        table::names(KEYS).chain(table::names(LATE_KEYS)).collect()
    }

    /// Whether the map has such a key.
    #[must_use]
    pub fn knows(key: &str) -> bool {
        table::knows(KEYS, key) || table::knows(LATE_KEYS, key)
    }

    /// The host of a Route.
    ///
    /// # Errors
    /// The template asks this route for what it does not have.
    pub fn host(&self, route: &RouteHost<'_>) -> Result<String, TemplateError> {
        let map = |map: Option<&BTreeMap<String, String>>| Value::Map(map.cloned().unwrap_or_default());
        self.domain_template.render(&Value::Record(Record {
            type_name: "config.DomainTemplateValues",
            fields: vec![
                ("Name", route.name.into()),
                ("Namespace", route.namespace.into()),
                ("Domain", route.domain.into()),
                ("Annotations", map(route.annotations)),
                ("Labels", map(route.labels)),
            ],
        }))
    }

    /// The name under which a tag of the Route `name` stands.
    ///
    /// # Errors
    /// The template asks for what does not exist.
    pub fn tag_host(&self, name: &str, tag: &str) -> Result<String, TemplateError> {
        self.tag_template.render(&Value::Record(Record {
            type_name: "config.TagTemplateValues",
            fields: vec![("Name", name.into()), ("Tag", tag.into())],
        }))
    }
}

/// The settings, and what only decides about them.
struct Raw {
    settings: Network,
    domain_template: String,
    tag_template: String,
    /// The old switch for TLS between components.
    internal_encryption: bool,
}

impl Default for Raw {
    fn default() -> Self {
        let template = |name, text| Template::parse(name, text).unwrap_or_else(|_| Template::literal(name, text));
        Self {
            settings: Network {
                ingress_class: "istio.ingress.networking.knative.dev".to_owned(),
                certificate_class: "cert-manager.certificate.networking.knative.dev".to_owned(),
                domain_template: template("domain-template", DOMAIN_TEMPLATE),
                tag_template: template("tag-template", TAG_TEMPLATE),
                rollout_duration_secs: 0,
                autocreate_cluster_domain_claims: false,
                external_domain_tls: false,
                cluster_local_domain_tls: false,
                http_protocol: HttpProtocol::Enabled,
                default_external_scheme: "http".to_owned(),
                enable_mesh_pod_addressability: false,
                mesh_compatibility_mode: MeshCompatibility::Auto,
                namespace_wildcard_cert_selector: None,
                direct: true,
            },
            domain_template: DOMAIN_TEMPLATE.to_owned(),
            tag_template: TAG_TEMPLATE.to_owned(),
            internal_encryption: false,
        }
    }
}

const KEYS: &[Key<Raw>] = &[
    old(
        "ingress.class",
        "ingress-class",
        Reader::Text(|r| &mut r.settings.ingress_class),
    ),
    old(
        "certificate.class",
        "certificate-class",
        Reader::Text(|r| &mut r.settings.certificate_class),
    ),
    old(
        "domainTemplate",
        "domain-template",
        Reader::Text(|r| &mut r.domain_template),
    ),
    old("tagTemplate", "tag-template", Reader::Text(|r| &mut r.tag_template)),
    old(
        "rolloutDuration",
        "rollout-duration",
        Reader::Int64(|r| &mut r.settings.rollout_duration_secs),
    ),
    old(
        "autocreateClusterDomainClaims",
        "autocreate-cluster-domain-claims",
        Reader::Bool(|r| &mut r.settings.autocreate_cluster_domain_claims),
    ),
    old(
        "defaultExternalScheme",
        "default-external-scheme",
        Reader::Text(|r| &mut r.settings.default_external_scheme),
    ),
    key("ingress-class", Reader::Text(|r| &mut r.settings.ingress_class)),
    key("certificate-class", Reader::Text(|r| &mut r.settings.certificate_class)),
    key("domain-template", Reader::Text(|r| &mut r.domain_template)),
    key("tag-template", Reader::Text(|r| &mut r.tag_template)),
    key(
        "rollout-duration",
        Reader::Int64(|r| &mut r.settings.rollout_duration_secs),
    ),
    key(
        "autocreate-cluster-domain-claims",
        Reader::Bool(|r| &mut r.settings.autocreate_cluster_domain_claims),
    ),
    key(
        "enable-mesh-pod-addressability",
        Reader::Bool(|r| &mut r.settings.enable_mesh_pod_addressability),
    ),
    key(
        "default-external-scheme",
        Reader::Text(|r| &mut r.settings.default_external_scheme),
    ),
    key("internal-encryption", Reader::Bool(|r| &mut r.internal_encryption)),
    key("mesh-compatibility-mode", Reader::Own(mesh_compatibility)),
    key("namespace-wildcard-cert-selector", Reader::Own(wildcard_selector)),
];

const CHECKS: &[Check<Raw>] = &[check(&["rollout-duration"], |r| {
    let value = r.settings.rollout_duration_secs;
    (value < 0).then(|| format!("rollout-duration must be a positive integer, but was {value}"))
})];

/// What Knative looks at after the plain values, in its order.
const LATE_KEYS: &[Key<Raw>] = &[
    key("domain-template", Reader::Whole(domain_template)),
    key("tag-template", Reader::Whole(tag_template)),
    old("autoTLS", "external-domain-tls", Reader::Elsewhere),
    old("auto-tls", "external-domain-tls", Reader::Elsewhere),
    key("external-domain-tls", Reader::Whole(external_domain_tls)),
    old("httpProtocol", "http-protocol", Reader::Elsewhere),
    key("http-protocol", Reader::Whole(http_protocol)),
    key("system-internal-tls", Reader::Whole(system_internal_tls)),
    key("cluster-local-domain-tls", Reader::Own(cluster_local_domain_tls)),
    key("direct", Reader::Own(direct)),
];

/// Other values are not read.
fn mesh_compatibility(raw: &mut Raw, text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "enabled" => raw.settings.mesh_compatibility_mode = MeshCompatibility::Enabled,
        "disabled" => raw.settings.mesh_compatibility_mode = MeshCompatibility::Disabled,
        "auto" => raw.settings.mesh_compatibility_mode = MeshCompatibility::Auto,
        _ => {}
    }
    Ok(())
}

fn wildcard_selector(raw: &mut Raw, text: &str) -> Result<(), String> {
    if !text.is_empty() {
        let selector = LabelSelector::parse(text).map_err(|error| error.to_string())?;
        raw.settings.namespace_wildcard_cert_selector = selector;
    }
    Ok(())
}

/// Tried on a sample, whose host must be one.
fn domain_template(raw: &mut Raw, _: &Data) -> Result<(), String> {
    let sample = RouteHost {
        name: "foo",
        namespace: "bar",
        domain: "baz.com",
        annotations: None,
        labels: None,
    };
    let template = Template::parse("domain-template", &raw.domain_template).map_err(|error| error.to_string())?;
    raw.settings.domain_template = template;
    let host = raw.settings.host(&sample).map_err(|error| error.to_string())?;
    url::not_a_host(&host).map_or(Ok(()), Err)
}

fn tag_template(raw: &mut Raw, _: &Data) -> Result<(), String> {
    let template = Template::parse("tag-template", &raw.tag_template).map_err(|error| error.to_string())?;
    raw.settings.tag_template = template;
    raw.settings.tag_host("foo", "v2").map_err(|error| error.to_string())?;
    Ok(())
}

/// On if the most current spelling that is there says so.
fn external_domain_tls(raw: &mut Raw, data: &Data) -> Result<(), String> {
    let spellings = ["external-domain-tls", "auto-tls", "autoTLS"];
    let value = spellings.iter().find_map(|key| data.get(*key));
    raw.settings.external_domain_tls = value.is_some_and(|value| value.eq_ignore_ascii_case("enabled"));
    Ok(())
}

/// The error names the value of the current spelling only, as Knative's does.
fn http_protocol(raw: &mut Raw, data: &Data) -> Result<(), String> {
    let current = data.get("http-protocol");
    let value = current.or_else(|| data.get("httpProtocol")).map_or("", String::as_str);
    raw.settings.http_protocol = match value.to_lowercase().as_str() {
        "" | "enabled" => HttpProtocol::Enabled,
        "disabled" => HttpProtocol::Disabled,
        "redirected" => HttpProtocol::Redirected,
        _ => {
            let shown = current.map_or("", String::as_str);
            return Err(format!(
                "httpProtocol {shown} in config-network ConfigMap is not supported"
            ));
        }
    };
    Ok(())
}

fn system_internal_tls(raw: &mut Raw, data: &Data) -> Result<(), String> {
    let value = data.get("system-internal-tls").map_or("", String::as_str);
    let wanted = match value.to_lowercase().as_str() {
        "" | "disabled" if raw.internal_encryption => "internal-encryption",
        "" | "disabled" => return Ok(()),
        "enabled" => "system-internal-tls",
        _ => return Err(unsupported("system-internal-tls", value)),
    };
    Err(format!(
        "{wanted} in config-network ConfigMap cannot be enabled: Sluice does not encrypt traffic between nodes yet"
    ))
}

fn cluster_local_domain_tls(raw: &mut Raw, text: &str) -> Result<(), String> {
    raw.settings.cluster_local_domain_tls = switch("cluster-local-domain-tls", text)?.unwrap_or(false);
    Ok(())
}

fn direct(raw: &mut Raw, text: &str) -> Result<(), String> {
    raw.settings.direct = switch("direct", text)?.unwrap_or(true);
    Ok(())
}

/// Nothing if the text is empty.
fn switch(key: &str, text: &str) -> Result<Option<bool>, String> {
    match text.to_lowercase().as_str() {
        "" => Ok(None),
        "enabled" => Ok(Some(true)),
        "disabled" => Ok(Some(false)),
        _ => Err(unsupported(key, text)),
    }
}

fn unsupported(key: &str, value: &str) -> String {
    format!(
        "{key} with value: {} in config-network ConfigMap is not supported",
        quoted(value)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(key: &str, value: &str) -> Data {
        Data::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn encryption_between_components_is_refused() {
        for (key, value) in [("system-internal-tls", "Enabled"), ("internal-encryption", "true")] {
            let problems = Network::parse(&data(key, value)).unwrap_err();
            assert!(problems.as_knative().starts_with(key), "{problems}");
        }
    }

    #[test]
    fn direct_is_on_unless_switched_off() {
        assert!(Network::default().direct);
        assert!(!Network::parse(&data("direct", "Disabled")).unwrap().direct);
        assert!(Network::parse(&data("direct", "maybe")).is_err());
    }

    #[test]
    fn an_annotation_that_a_route_may_lack_is_no_host() {
        let wrong = Network::parse(&data("domain-template", "{{.Name}}.{{.Annotations.sub}}.x")).unwrap_err();
        assert_eq!(
            wrong.as_knative(),
            "parse \"https://foo.<no value>.x\": invalid character \" \" in host name"
        );
    }
}
