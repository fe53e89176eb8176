// SPDX-License-Identifier: Apache-2.0
//! A route in the file: hosts, what a request must have, and where it goes.
//!
//! Invariants: what could match no request, or could not be done to one, is refused with its place.
//! Depends on: listen, logic::traffic, hyper (names of headers), serde.

use super::listen::Visibility;
use hyper::header::{HeaderName, HeaderValue};
use logic::traffic::{host, may_be_set};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What clients of plain HTTP get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(in crate::proxy) enum HttpOption {
    /// What they ask for.
    #[default]
    Enabled,
    /// 301 to HTTPS.
    Redirected,
}

/// Hosts and what is done with their requests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::proxy) struct Route {
    pub(in crate::proxy) hosts: Vec<String>,
    #[serde(default)]
    pub(in crate::proxy) path: String,
    /// Headers that a request must have, with these values.
    #[serde(default)]
    pub(in crate::proxy) headers: BTreeMap<String, String>,
    /// Revisions and their weights.
    pub(in crate::proxy) to: BTreeMap<String, u32>,
    /// Headers that are set on the request.
    #[serde(default)]
    pub(in crate::proxy) set_headers: BTreeMap<String, String>,
    /// The host that the pod is to see.
    #[serde(default)]
    pub(in crate::proxy) rewrite_host: String,
    #[serde(default)]
    pub(in crate::proxy) http_option: HttpOption,
    /// Which listeners serve it; a cluster-local one serves all.
    #[serde(default)]
    pub(in crate::proxy) visibility: Visibility,
}

/// What is wrong with a route.
#[derive(Debug, thiserror::Error)]
pub(in crate::proxy) enum Wrong {
    #[error("hosts: at least one is needed")]
    NoHosts,
    #[error("{0}: {1:?} is no host")]
    NoHost(&'static str, String),
    #[error("hosts: {0:?}: a route names each host in full, only `certificates` know `*`")]
    Wildcard(String),
    #[error("path: {0:?} does not begin with `/`, so no request could match")]
    NoPath(String),
    #[error("{0}: {1:?} is no name of a header")]
    NoHeader(&'static str, String),
    #[error("set_headers: {0:?} has a value that no header can have")]
    NoValue(String),
    #[error("set_headers: Host is not for it; `rewrite_host` says what host the pod is to see")]
    Host,
    #[error("set_headers: {0:?} is for one connection only or frames the message: it is said anew to each pod")]
    NotSet(String),
    #[error("to: no weight is above 0, so its requests could go nowhere")]
    NoWeight,
    #[error("to: there is no revision {0:?}")]
    NoRevision(String),
    #[error("http_option: Redirected leads to HTTPS, and no external listener has `tls: true`")]
    NoHttps,
}

impl Route {
    /// Looks at all but what it needs of the rest of the file.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.hosts.is_empty() {
            return Err(Wrong::NoHosts);
        }
        self.hosts.iter().try_for_each(|name| check_host(name))?;
        if !self.path.is_empty() && !self.path.starts_with('/') {
            return Err(Wrong::NoPath(self.path.clone()));
        }
        for name in self.headers.keys() {
            header_name("headers", name)?;
        }
        self.set_headers
            .iter()
            .try_for_each(|(name, value)| check_set(name, value))?;
        if !host::is_host(self.rewrite_host.as_bytes()) {
            return Err(Wrong::NoHost("rewrite_host", self.rewrite_host.clone()));
        }
        match self.to.values().any(|weight| *weight > 0) {
            true => Ok(()),
            false => Err(Wrong::NoWeight),
        }
    }
}

fn check_host(name: &str) -> Result<(), Wrong> {
    match host::routable(name) {
        _ if name.contains('*') => Err(Wrong::Wildcard(name.to_owned())),
        Some(_) => Ok(()),
        None => Err(Wrong::NoHost("hosts", name.to_owned())),
    }
}

fn check_set(name: &str, value: &str) -> Result<(), Wrong> {
    header_name("set_headers", name)?;
    if name.eq_ignore_ascii_case("host") {
        return Err(Wrong::Host);
    }
    if !may_be_set(name) {
        return Err(Wrong::NotSet(name.to_owned()));
    }
    match HeaderValue::try_from(value) {
        Ok(_) => Ok(()),
        Err(_) => Err(Wrong::NoValue(name.to_owned())),
    }
}

fn header_name(field: &'static str, name: &str) -> Result<(), Wrong> {
    match HeaderName::try_from(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(Wrong::NoHeader(field, name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(more: &str) -> String {
        let text = format!("{{hosts: [a.example.com], to: {{blue: 1}}, {more}}}");
        let route: Route = serde_saphyr::from_str(&text).unwrap();
        route.check().unwrap_err().to_string()
    }

    #[test]
    fn what_could_match_no_request_is_refused() {
        let of_hosts = |hosts: &str| {
            let route: Route = serde_saphyr::from_str(&format!("{{hosts: [{hosts}], to: {{blue: 1}}}}")).unwrap();
            route.check().map_err(|wrong| wrong.to_string())
        };
        for good in ["a.example.com", "'a.example.com:8080'", "A.example.com", "'[::1]'"] {
            assert_eq!(of_hosts(good), Ok(()), "{good}");
        }
        assert_eq!(of_hosts(""), Err("hosts: at least one is needed".to_owned()));
        assert_eq!(of_hosts("a b"), Err("hosts: \"a b\" is no host".to_owned()));
        assert!(of_hosts("'*.example.com'").unwrap_err().contains("in full"));
        assert!(wrong("path: v2").contains("path: \"v2\" does not begin with `/`"));
        assert_eq!(wrong("headers: {'x y': z}"), "headers: \"x y\" is no name of a header");
    }

    #[test]
    fn what_could_not_be_done_to_a_request_is_refused() {
        for (more, said) in [
            ("set_headers: {'x y': z}", "set_headers: \"x y\" is no name"),
            ("set_headers: {X: \"a\\nY: b\"}", "set_headers: \"X\" has a value"),
            ("set_headers: {host: b}", "rewrite_host"),
            (
                "set_headers: {Content-Length: '1'}",
                "set_headers: \"Content-Length\" is for one connection",
            ),
            ("set_headers: {transfer-encoding: chunked}", "frames the message"),
            (
                "rewrite_host: \"a\\r\\nX: 1\"",
                "rewrite_host: \"a\\r\\nX: 1\" is no host",
            ),
        ] {
            let fault = wrong(more);
            assert!(fault.contains(said), "{more}: {fault}");
        }
        let nowhere: Route = serde_saphyr::from_str("{hosts: [a], to: {blue: 0}}").unwrap();
        assert!(matches!(nowhere.check(), Err(Wrong::NoWeight)));
    }
}
