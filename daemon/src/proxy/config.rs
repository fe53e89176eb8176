// SPDX-License-Identifier: Apache-2.0
//! The file of `sluice proxy`.
//!
//! Invariants: an unknown field is refused, and so is a value that could not work; the fault names its line or its place.
//! Depends on: kernel, listen, limits, log, route, tracing, serde.

mod kernel;
mod limits;
mod listen;
mod log;
mod route;
mod tracing;

pub(super) use kernel::{Kernel, Mode, Pod, Target};
pub(super) use limits::BadLimit;
pub(super) use listen::{Listen, Visibility};
pub(super) use log::Log;
pub(super) use route::{HttpOption, Route};
pub(super) use tracing::Tracing;

use limits::Limits;
use route::Wrong;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where clients come in; not changed while running.
    pub(super) listen: Vec<Listen>,
    /// Of listeners with TLS.
    #[serde(default)]
    pub(super) certificates: Vec<Certificate>,
    /// By `namespace/name`, or a bare name in the namespace `default`.
    pub(super) revisions: BTreeMap<String, Revision>,
    pub(super) routes: Vec<Route>,
    /// A line a request; not changed while running.
    #[serde(default)]
    pub(super) log: Option<Log>,
    /// Which requests are traced; not changed while running.
    #[serde(default)]
    pub(super) tracing: Option<Tracing>,
    /// Bounds of each listener; not changed while running.
    #[serde(default)]
    pub(super) limits: Limits,
    /// Counts pods and steers clients in the kernel; not changed while running.
    #[serde(default)]
    pub(super) kernel: Option<Kernel>,
    /// Addresses that clients are steered from; they need `kernel`.
    #[serde(default)]
    pub(super) targets: Vec<Target>,
    /// The name of this node; not changed while running.
    #[serde(default)]
    pub(super) node: Option<String>,
    /// The daemons of other nodes; they need `node`.
    #[serde(default)]
    pub(super) peers: Vec<Peer>,
    /// Where `GET /` tells how all stands, as JSON; not changed while running.
    #[serde(default)]
    pub(super) status: Option<SocketAddr>,
}

/// The bounds in a file that has nothing but this section.
pub(super) fn limits_alone(text: &str) -> Result<proxy::Limits, Fault> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        limits: Limits,
    }
    let section: Section = serde_saphyr::from_str(text).map_err(|fault| Fault::Yaml(fault.to_string()))?;
    Ok(section.limits.checked()?)
}

/// The daemon of another node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    pub(super) name: String,
    /// Where its gateway listens for plain HTTP.
    pub(super) address: SocketAddr,
}

/// A certificate and the hosts it is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Certificate {
    /// `*.example.com` and `*` are hosts, too.
    pub(super) hosts: Vec<String>,
    /// PEM, the host's own first; relative to the folder of this file.
    pub(super) cert: PathBuf,
    /// PEM.
    pub(super) key: PathBuf,
}

/// A revision and its pods.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revision {
    /// `address:port`, or `{address, netns, node}`; none: its requests wait.
    #[serde(default)]
    pub(super) pods: Vec<Pod>,
    /// An event is counted when so many requests are in flight on its pods.
    #[serde(default)]
    pub(super) burst: u64,
    /// Requests a pod may run at once; 0: any number.
    #[serde(default)]
    pub(super) container_concurrency: u32,
    /// What its pods are spoken to in.
    #[serde(default)]
    pub(super) protocol: Protocol,
    #[serde(default = "five_minutes")]
    pub(super) timeout_seconds: u64,
    #[serde(default)]
    pub(super) response_start_timeout_seconds: u64,
    #[serde(default)]
    pub(super) idle_timeout_seconds: u64,
}

/// What pods are spoken to in, whatever their clients speak.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Protocol {
    #[default]
    Http1,
    H2c,
    /// Each client's own.
    AsClient,
}

fn five_minutes() -> u64 {
    300
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Yaml(String),
    #[error("routes[{index}].{wrong}")]
    Route { index: usize, wrong: Wrong },
    #[error("revisions: {0:?} is no name: `name`, or `namespace/name`")]
    Name(String),
    #[error("revisions: {0:?} and {1:?} are the same one: a name without a namespace is in `default`")]
    Twice(String, String),
    #[error("listen: at least one address is needed")]
    NoAddress,
    #[error("log: {0}")]
    Log(String),
    #[error("tracing.sampling_rate: {0} is not from 0 to 1")]
    Rate(f64),
    #[error("listen[{index}].tls: `certificates` is empty, so nobody could be served")]
    NoCertificate { index: usize },
    #[error(transparent)]
    Limit(#[from] BadLimit),
    #[error(
        "kernel: clients are steered to a listener with `visibility: cluster-local` and without TLS: there is none"
    )]
    NoGateway,
    #[error("peers, and pods with a node: they need `node`, the name of this one")]
    NoNode,
    #[error("targets: they need `kernel`")]
    NoKernel,
    #[error("targets[{index}]: one of `to` and `host` is needed")]
    NoAim { index: usize },
    #[error("targets[{index}].to: there is no revision {name:?}")]
    NoTarget { index: usize, name: String },
    #[error("targets[{index}].address: {address} is in the list before; a target leads to one place")]
    TargetTwice { index: usize, address: SocketAddr },
    #[error("peers[{index}].name: {name:?} is in the list before; a node has one daemon")]
    PeerTwice { index: usize, name: String },
    #[error("revisions.{revision}.pods[{index}]: {address} is in the list before; a pod is named once")]
    PodTwice {
        revision: String,
        index: usize,
        address: SocketAddr,
    },
}

/// What of a file holds until the process ends.
#[derive(Debug, PartialEq)]
pub(super) struct Fixed {
    listen: Vec<Listen>,
    log: Option<Log>,
    tracing: Option<Tracing>,
    limits: Limits,
    kernel: Option<Kernel>,
    node: Option<String>,
    status: Option<SocketAddr>,
}

impl Fixed {
    /// The fields that the other one has otherwise.
    pub(super) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("listen", self.listen != other.listen),
            ("log", self.log != other.log),
            ("tracing", self.tracing != other.tracing),
            ("limits", self.limits != other.limits),
            ("kernel", self.kernel != other.kernel),
            ("node", self.node != other.node),
            ("status", self.status != other.status),
        ];
        let differing = differs.iter().filter(|(_, differs)| *differs);
        differing.map(|(name, _)| *name).collect()
    }
}

impl Config {
    /// What holds until the process ends.
    pub(super) fn fixed(&self) -> Fixed {
        Fixed {
            listen: self.listen.clone(),
            log: self.log.clone(),
            tracing: self.tracing,
            limits: self.limits.clone(),
            kernel: self.kernel.clone(),
            node: self.node.clone(),
            status: self.status,
        }
    }

    /// Reads it.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let config: Self = serde_saphyr::from_str(text).map_err(|fault| Fault::Yaml(fault.to_string()))?;
        if config.listen.is_empty() {
            return Err(Fault::NoAddress);
        }
        if let Some(log) = &config.log {
            log.format().map_err(Fault::Log)?;
        }
        let rate = config.tracing.map_or(0.0, |tracing| tracing.sampling_rate);
        if !(0.0..=1.0).contains(&rate) {
            return Err(Fault::Rate(rate));
        }
        config.limits.checked()?;
        if let Some(index) = config.listen.iter().position(|listen| listen.tls)
            && config.certificates.is_empty()
        {
            return Err(Fault::NoCertificate { index });
        }
        config.check_names()?;
        config.check_pods()?;
        for (index, route) in config.routes.iter().enumerate() {
            config
                .check_route(route)
                .map_err(|wrong| Fault::Route { index, wrong })?;
        }
        let mut pods = config.revisions.values().flat_map(|revision| &revision.pods);
        if config.node.is_none() && (!config.peers.is_empty() || pods.any(|pod| pod.node().is_some())) {
            return Err(Fault::NoNode);
        }
        if let Some((index, name)) = repeated(config.peers.iter().map(|peer| &peer.name)) {
            let name = name.clone();
            return Err(Fault::PeerTwice { index, name });
        }
        config.check_targets()?;
        Ok(config)
    }

    fn check_names(&self) -> Result<(), Fault> {
        let mut known = BTreeMap::new();
        for name in self.revisions.keys() {
            let (namespace, own) = full_name(name);
            if namespace.is_empty() || own.is_empty() || own.contains('/') {
                return Err(Fault::Name(name.clone()));
            }
            if let Some(other) = known.insert((namespace, own), name) {
                return Err(Fault::Twice(other.clone(), name.clone()));
            }
        }
        Ok(())
    }

    /// Revisions may share a pod; within one it is there once.
    fn check_pods(&self) -> Result<(), Fault> {
        for (revision, wanted) in &self.revisions {
            if let Some((index, address)) = repeated(wanted.pods.iter().map(Pod::address)) {
                let revision = revision.clone();
                return Err(Fault::PodTwice {
                    revision,
                    index,
                    address,
                });
            }
        }
        Ok(())
    }

    fn check_route(&self, route: &Route) -> Result<(), Wrong> {
        route.check()?;
        let has_https = |listen: &Listen| listen.tls && listen.visibility == Visibility::External;
        if route.http_option == HttpOption::Redirected && !self.listen.iter().any(has_https) {
            return Err(Wrong::NoHttps);
        }
        match route.to.keys().find(|name| !self.revisions.contains_key(*name)) {
            Some(name) => Err(Wrong::NoRevision(name.clone())),
            None => Ok(()),
        }
    }

    fn check_targets(&self) -> Result<(), Fault> {
        if self.kernel.is_none() && !self.targets.is_empty() {
            return Err(Fault::NoKernel);
        }
        if self.kernel.is_some() && !self.listen.iter().any(Listen::is_inside) {
            return Err(Fault::NoGateway);
        }
        for (index, target) in self.targets.iter().enumerate() {
            if target.to.is_some() == target.host.is_some() {
                return Err(Fault::NoAim { index });
            }
            if let Some(name) = target.to.as_ref().filter(|name| !self.revisions.contains_key(*name)) {
                let name = name.clone();
                return Err(Fault::NoTarget { index, name });
            }
        }
        if let Some((index, address)) = repeated(self.targets.iter().map(|target| target.address)) {
            return Err(Fault::TargetTwice { index, address });
        }
        Ok(())
    }
}

/// The first that was there before, and its place.
fn repeated<T: Ord + Copy>(all: impl Iterator<Item = T>) -> Option<(usize, T)> {
    let mut seen = BTreeSet::new();
    all.enumerate().find(|(_, one)| !seen.insert(*one))
}

/// Namespace and name.
pub(super) fn full_name(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("default", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "
listen: [127.0.0.1:8080]
revisions:
  blue: {pods: [127.0.0.1:9000], container_concurrency: 2}
  shop/green: {}
routes:
  - hosts: [shop.example.com]
    path: /v2
    headers: {X-Beta: 'yes'}
    to: {blue: 90, shop/green: 10}
";

    #[test]
    fn a_pod_may_say_where_it_is_counted() {
        let text = WHOLE.replace(
            "[127.0.0.1:9000]",
            "['127.0.0.1:9000', {address: '10.0.0.1:80', netns: /run/netns/a}]",
        );
        let config = Config::parse(&text).unwrap();
        let [plain, counted] = &config.revisions["blue"].pods[..] else {
            panic!("two pods");
        };
        assert_eq!((plain.netns(), counted.address().port()), (None, 80));
        assert_eq!(counted.netns(), Some(&PathBuf::from("/run/netns/a")));
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = Config::parse(WHOLE).unwrap();
        assert_eq!(config.revisions["blue"].timeout_seconds, 300);
        assert_eq!(full_name("shop/green"), ("shop", "green"));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let unknown = WHOLE.replace("container_concurrency", "concurency");
        let fault = Config::parse(&unknown).unwrap_err().to_string();
        assert!(fault.contains("concurency") && fault.contains("line 4"), "{fault}");
        let missing = WHOLE.replace("{blue: 90", "{red: 90");
        let fault = Config::parse(&missing).unwrap_err().to_string();
        assert_eq!(fault, "routes[0].to: there is no revision \"red\"");
        let twice = WHOLE
            .replace("shop/green: {}", "default/blue: {}")
            .replace("shop/green", "default/blue");
        let fault = Config::parse(&twice).unwrap_err().to_string();
        assert!(
            fault.starts_with("revisions: \"blue\" and \"default/blue\" are the same"),
            "{fault}"
        );
        let fault = Config::parse(&WHOLE.replace("shop/green", "shop/green/1"))
            .unwrap_err()
            .to_string();
        assert!(fault.starts_with("revisions: \"shop/green/1\" is no name"), "{fault}");
        let fault = Config::parse(&WHOLE.replace("/v2", "v2")).unwrap_err().to_string();
        assert!(fault.starts_with("routes[0].path: "), "{fault}");
        let fault = Config::parse(&WHOLE.replace("127.0.0.1:9000", "localhost:9000"))
            .unwrap_err()
            .to_string();
        assert!(
            fault.contains("\"localhost:9000\" is no `address:port`") && fault.contains("line 4"),
            "{fault}"
        );
        let redirected = WHOLE.replace("path: /v2", "http_option: Redirected");
        let fault = Config::parse(&redirected).unwrap_err().to_string();
        assert!(fault.starts_with("routes[0].http_option"), "{fault}");
    }

    #[test]
    fn what_holds_until_the_end_is_named_when_it_differs() {
        let before = Config::parse(WHOLE).unwrap().fixed();
        let other = WHOLE
            .replace(":8080", ":8081")
            .replace("container_concurrency: 2", "timeout_seconds: 2");
        let after = Config::parse(&format!("{other}limits: {{streams: 1}}\n"))
            .unwrap()
            .fixed();
        assert_eq!(before.differing(&after), ["listen", "limits"]);
        assert!(before.differing(&Config::parse(WHOLE).unwrap().fixed()).is_empty());
    }

    #[test]
    fn a_listener_is_an_address_or_more() {
        let with = |listen: &str| Config::parse(&WHOLE.replace("[127.0.0.1:8080]", listen));
        let two =
            with("[127.0.0.1:8080, {address: '[::1]:8443', visibility: cluster-local, https_port: 8443}]").unwrap();
        let [first, second] = two.listen.as_slice() else {
            panic!("{:?}", two.listen);
        };
        assert_eq!((first.tls, first.visibility), (false, Visibility::External));
        assert_eq!((second.https_port, second.visibility), (8443, Visibility::ClusterLocal));
        for (listen, said) in [
            (
                "[{address: 127.0.0.1:1, tls: true}]",
                "listen[0].tls: `certificates` is empty",
            ),
            ("[localhost:80]", "\"localhost:80\" is no `address:port`"),
            ("[{address: 127.0.0.1:1, TLS: true}]", "TLS"),
            ("[{address: 127.0.0.1:1, visibility: internal}]", "internal"),
        ] {
            let fault = with(listen).unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
    }

    #[test]
    fn a_rate_is_a_share() {
        let with = |tracing: &str| Config::parse(&format!("{WHOLE}tracing: {tracing}\n"));
        assert_eq!(with("{sampling_rate: 0.1}").unwrap().tracing.unwrap().keep, 10_000);
        let fault = with("{sampling_rate: 10}").unwrap_err().to_string();
        assert_eq!(fault, "tracing.sampling_rate: 10 is not from 0 to 1");
    }

    #[test]
    fn a_target_needs_somewhere_to_go() {
        let inside = WHOLE.replace(
            "[127.0.0.1:8080]",
            "[{address: '127.0.0.1:8080', visibility: cluster-local}]",
        );
        let nowhere = format!("{inside}kernel: {{cgroup: pods}}\ntargets: [{{address: 10.96.0.1:80}}]\n");
        let fault = Config::parse(&nowhere).unwrap_err().to_string();
        assert_eq!(fault, "targets[0]: one of `to` and `host` is needed");
        let outside = format!("{WHOLE}kernel: {{cgroup: pods}}\n");
        let fault = Config::parse(&outside).unwrap_err().to_string();
        assert!(fault.starts_with("kernel: "), "{fault}");
    }

    #[test]
    fn what_is_listed_twice_is_named_with_its_place() {
        let inside = WHOLE.replace(
            "[127.0.0.1:8080]",
            "[{address: '127.0.0.1:8080', visibility: cluster-local}]",
        );
        let said = |text: &str| Config::parse(text).unwrap_err().to_string();
        assert_eq!(
            said(&format!(
                "{inside}kernel: {{cgroup: pods}}
targets: [{{address: 10.96.0.1:80, to: blue}}, {{address: 10.96.0.2:80, to: blue}}, {{address: 10.96.0.1:80, host: a.b}}]
"
            )),
            "targets[2].address: 10.96.0.1:80 is in the list before; a target leads to one place"
        );
        let peers = "[{name: b, address: 10.0.0.2:80}, {name: b, address: 10.0.0.3:80}]";
        assert_eq!(
            said(&format!("{WHOLE}node: a\npeers: {peers}\n")),
            "peers[1].name: \"b\" is in the list before; a node has one daemon"
        );
        let pods = "['127.0.0.1:9000', {address: '127.0.0.1:9000', netns: /run/netns/a}]";
        assert_eq!(
            said(&WHOLE.replace("[127.0.0.1:9000]", pods)),
            "revisions.blue.pods[1]: 127.0.0.1:9000 is in the list before; a pod is named once"
        );
        // Another revision may have it too.
        let shared = WHOLE.replace("shop/green: {}", "shop/green: {pods: [127.0.0.1:9000]}");
        assert!(Config::parse(&shared).is_ok());
    }
}
