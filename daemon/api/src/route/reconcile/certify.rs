// SPDX-License-Identifier: Apache-2.0
//! The certificates of a Route in one pass.
//!
//! Invariants: each mark follows Knative's order, so the last certificate decides what the status says.
//! Depends on: its parent's pass, certificates, naming.

use std::collections::{BTreeMap, BTreeSet};

use logic::settings::network::HttpProtocol;

use super::{Assigned, Certified, Pass, RouteError, controls};
use crate::certificate::Certificate;
use crate::condition::ConditionStatus;
use crate::conditions::{self, Conditioned};
use crate::ingress::http_option;
use crate::names::{first, networking, serving};
use crate::route::action::{Action, Change, Write};
use crate::route::certificates::{self, CLUSTER_LOCAL_DOMAIN, EXTERNAL_DOMAIN, Wanted};
use crate::route::naming::Visibility;
use crate::route::status::{TLS_NOT_ENABLED, TLS_NOT_ENABLED_FOR_CLUSTER_LOCAL};

impl Pass<'_> {
    /// Asks for the certificates that are wanted, and tells URLs and status what is there.
    pub(super) fn certify(&mut self, assigned: &Assigned) -> Result<Certified, RouteError> {
        let hosts = self.hosts_outside(assigned)?;
        let mut certified = Certified::default();
        if self.is_external_tls() {
            self.certify_hosts(&hosts, &mut certified)?;
        } else {
            self.status.mark_tls_not_enabled(TLS_NOT_ENABLED, self.now);
        }
        if self.network().cluster_local_domain_tls {
            self.certify_inside(assigned, &mut certified)?;
        } else if self.is_external_tls() && hosts.is_empty() {
            self.status
                .mark_tls_not_enabled(TLS_NOT_ENABLED_FOR_CLUSTER_LOCAL, self.now);
        }
        Ok(certified)
    }

    /// The hosts outside the cluster, and the tag of each.
    fn hosts_outside(&self, assigned: &Assigned) -> Result<BTreeMap<String, String>, RouteError> {
        let mut hosts = BTreeMap::new();
        if !self.is_external_tls() {
            return Ok(hosts);
        }
        let naming = self.settings.naming;
        for tag in assigned.traffic.groups.keys() {
            let visibility = assigned.visibilities.get(tag).copied();
            let host = naming.host(self.route, tag, visibility.unwrap_or(Visibility::ExternalIp))?;
            if !host.ends_with(naming.cluster_domain) {
                hosts.insert(host, tag.clone());
            }
        }
        Ok(hosts)
    }

    fn is_external_tls(&self) -> bool {
        let annotations = self.route.metadata.annotations.as_ref();
        let disabled = annotations.and_then(|within| first(&networking::DISABLE_EXTERNAL_DOMAIN_TLS, within));
        let is_disabled = disabled.is_some_and(|(_, text)| ["1", "t", "T", "TRUE", "true", "True"].contains(&text));
        self.network().external_domain_tls && !is_disabled
    }

    fn certify_hosts(&mut self, hosts: &BTreeMap<String, String>, certified: &mut Certified) -> Result<(), RouteError> {
        let labels = self.route.metadata.labels.clone().unwrap_or_default();
        let domain = self.settings.naming.domain.of(&labels);
        for (host, tag) in hosts {
            self.certify_host(host, tag, domain, certified)?;
        }
        certified.challenges.sort_by(|left, right| left.url.cmp(&right.url));
        let used: BTreeSet<_> = hosts.keys().map(String::as_str).collect();
        self.delete_unused(EXTERNAL_DOMAIN, &used);
        Ok(())
    }

    fn certify_host(
        &mut self,
        host: &str,
        tag: &str,
        domain: &str,
        certified: &mut Certified,
    ) -> Result<(), RouteError> {
        let mut hosts = vec![host.to_owned()];
        let certificate = match certificates::wildcard(self.seen.certificates, domain, &hosts) {
            Some(wildcard) => wildcard.clone(),
            None => {
                let class = self.certificate_class();
                let wanted = Wanted {
                    tag,
                    hosts: &hosts,
                    domain,
                    class: &class,
                };
                let certificate = self.ensure(certificates::external(self.route, wanted))?;
                hosts = sorted(&certificate.spec.dns_names);
                certificate
            }
        };
        self.set_scheme("https", &hosts);
        if certificate.is_ready() {
            if conditions::is(certificate.status.condition("Renewing"), ConditionStatus::True) {
                certified
                    .challenges
                    .extend(certificate.status.http01_challenges.clone());
            }
            self.status.mark_certificate_ready(self.now);
            certified.tls.push(certificates::tls(&certificate, &hosts));
            return Ok(());
        }
        certified
            .challenges
            .extend(certificate.status.http01_challenges.clone());
        self.mark_unready(&certificate);
        if self.network().http_protocol == HttpProtocol::Enabled {
            self.set_scheme("http", &hosts);
            self.status.mark_http_downgrade(certificate.name(), self.now);
        }
        Ok(())
    }

    fn certify_inside(&mut self, assigned: &Assigned, certified: &mut Certified) -> Result<(), RouteError> {
        let naming = self.settings.naming;
        let mut used = BTreeSet::new();
        for tag in assigned.traffic.groups.keys() {
            let hosts = naming.hosts(self.route, tag, Visibility::ClusterLocal)?;
            let wanted = Wanted {
                tag,
                hosts: &hosts,
                domain: &naming.domain.cluster_local,
                class: &self.certificate_class(),
            };
            let certificate = self.ensure(certificates::cluster_local(self.route, wanted))?;
            if certificate.is_ready() {
                self.secure_inside(&hosts);
                self.status.mark_certificate_ready(self.now);
                certified.tls.push(certificates::tls(&certificate, &hosts));
            } else {
                self.mark_unready(&certificate);
            }
            used.extend(hosts);
        }
        let used = used.iter().map(String::as_str).collect();
        self.delete_unused(CLUSTER_LOCAL_DOMAIN, &used);
        Ok(())
    }

    fn secure_inside(&mut self, hosts: &[String]) {
        let address = self.status.address.as_mut().and_then(|address| address.url.as_mut());
        for url in address.into_iter() {
            *url = with_scheme("https", url);
        }
        for url in self.status.url.iter_mut().filter(|url| is_of(url, hosts)) {
            *url = with_scheme("https", url);
        }
    }

    fn mark_unready(&mut self, certificate: &Certificate) {
        if certificate.has_failed() {
            self.status.mark_certificate_provision_failed(certificate, self.now);
        } else {
            self.status.mark_certificate_not_ready(certificate, self.now);
        }
    }

    fn set_scheme(&mut self, scheme: &str, hosts: &[String]) {
        let of_tags = self.status.traffic.iter_mut().filter_map(|target| target.url.as_mut());
        for url in self
            .status
            .url
            .iter_mut()
            .chain(of_tags)
            .filter(|url| is_of(url, hosts))
        {
            *url = with_scheme(scheme, url);
        }
    }

    /// Makes or mends a Certificate, as far as it is the Route's; as it will be then.
    fn ensure(&mut self, wanted: Certificate) -> Result<Certificate, RouteError> {
        let name = wanted.name().to_owned();
        let place = format!("{}/{name}", wanted.namespace());
        let Some(existing) = self.seen.certificates.get(&name) else {
            let write = Write::Certificate(Change::Create(Box::new(wanted.clone())));
            let message = format!("Created Certificate {place}");
            self.actions.push(Action::told(write, "Created", message));
            return Ok(wanted);
        };
        if !controls(self.route, &existing.metadata) {
            self.status.mark_certificate_not_owned(&name, self.now);
            let route = self.route.name().to_owned();
            return Err(RouteError::CertificateNotOwned { route, name });
        }
        let is_new_generation = existing.spec != wanted.spec;
        if !is_new_generation && existing.metadata.annotations == wanted.metadata.annotations {
            return Ok(existing.clone());
        }
        let mut updated = existing.clone();
        updated.spec = wanted.spec;
        updated.metadata.annotations = wanted.metadata.annotations;
        let write = Write::Certificate(Change::Update(Box::new(updated.clone())));
        let message = format!("Updated Spec for Certificate {place}");
        self.actions.push(Action::told(write, "Updated", message));
        let generation = updated.generation().saturating_add(i64::from(is_new_generation));
        updated.metadata.generation = Some(generation);
        Ok(updated)
    }

    /// Deletes the Route's Certificates of this type that cover no host any more.
    fn delete_unused(&mut self, kind: &str, used: &BTreeSet<&str>) {
        for (name, certificate) in self.seen.certificates {
            let is_of_route = certificate.label(serving::ROUTE) == Some(self.route.name())
                && certificate.label(networking::CERTIFICATE_TYPE) == Some(kind);
            let mut names = certificate.spec.dns_names.iter();
            if !is_of_route || names.any(|name| used.contains(name.as_str())) {
                continue;
            }
            let write = Write::Certificate(Change::Delete(name.clone()));
            let message = format!(
                "Deleted orphaned Knative Certificate {}/{name}",
                certificate.namespace()
            );
            self.actions.push(Action::told(write, "Deleted", message));
        }
    }

    fn certificate_class(&self) -> String {
        let annotations = self.route.metadata.annotations.as_ref();
        http_option::certificate_class(annotations, &self.network().certificate_class).to_owned()
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let names: BTreeSet<_> = names.iter().cloned().collect();
    names.into_iter().collect()
}

fn is_of(url: &str, hosts: &[String]) -> bool {
    url.split_once("://")
        .is_some_and(|(_, host)| hosts.iter().any(|known| known == host))
}

fn with_scheme(scheme: &str, url: &str) -> String {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    format!("{scheme}://{host}")
}
