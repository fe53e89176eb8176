// SPDX-License-Identifier: Apache-2.0
//! Revisions and routes of a file, and of the one that replaces it.
//!
//! Invariants: a revision that stays keeps its queue and its counts; only its pods may change. One whose other settings
//! change is a new one; requests of the old one end there, and it hears of its pods until they have.
//! Depends on: certificates, config, status, steer, admin, handover, proxy.

use super::certificates::{Fault, Files};
use super::config::{Config, HttpOption, Listen, Log, Protocol, Revision as Wanted, Route, full_name};
use super::steer::Steer;
use super::{admin, status};
use crate::failure::{Exit, Failure, doing};
use crate::handover::Sockets;
use crate::page;
use life::Tasks;
use logic::limiter::Home;
use logic::traffic::{BackendPort, Condition, Destination, PathRule, Rule, Split};
use proxy::{
    Door, Entry, Front, Health, Identity, Limits, LogCounts, LogLines, NextHop, Peer, Peers, PodProtocol, Probes,
    RequestLog, Revision, Revisions, Room, SpanBuffer, Spread, Tables, Timeouts, Tracing,
};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::timeout;

/// What runs.
pub(super) struct Wiring {
    addresses: Vec<(SocketAddr, Listen)>,
    room: Room,
    limits: Limits,
    cores: Spread,
    revisions: Arc<Revisions>,
    tables: Tables,
    certificates: Files,
    known: Vec<(String, Settings, Arc<Revision>)>,
    /// Those that are not known any more, while requests are in them.
    replaced: Vec<(String, Arc<Revision>)>,
    steer: Option<Steer>,
    /// If this node has a name.
    peers: Option<Arc<Peers>>,
    logged: Option<Arc<LogCounts>>,
    /// Writes the log; it ends after the requests, whose last lines come with their end.
    writer: Tasks,
    tracing: Option<Arc<Tracing>>,
    /// Where figures are told.
    admin: Option<SocketAddr>,
}

/// What makes a revision another one.
#[derive(Clone, Copy, PartialEq)]
struct Settings {
    concurrency: u32,
    timeouts: Timeouts,
    protocol: PodProtocol,
}

impl Wiring {
    /// What is there before the listeners.
    pub(super) fn new(config: &Config, limits: Limits, folder: &Path, cores: Spread) -> io::Result<(Self, Vec<Fault>)> {
        let mut wiring = Self {
            limits,
            addresses: Vec::new(),
            room: Room::default(),
            cores,
            steer: None,
            peers: None,
            logged: None,
            writer: Tasks::new(),
            tracing: None,
            admin: None,
            revisions: Arc::default(),
            tables: Tables::default(),
            certificates: Files::new(folder)?,
            known: Vec::new(),
            replaced: Vec::new(),
        };
        let faults = wiring.apply(config);
        Ok((wiring, faults))
    }

    /// Opens the listeners.
    pub(super) async fn open(
        &mut self,
        config: &Config,
        admin: Option<SocketAddr>,
        sockets: &mut Sockets,
        tasks: &Tasks,
    ) -> Result<(), Failure> {
        let at = |address, field| doing(format!("listening on {address}"), format!("choose another {field}"));
        let mut listeners = Vec::new();
        for listen in &config.listen {
            let listening = || at(listen.address, "`listen`");
            let listener = sockets.listen("listen", listen.address).await.map_err(listening())?;
            let address = listener.local_addr().map_err(listening())?;
            self.addresses.push((address, listen.clone()));
            listeners.push((listener, listen));
        }
        self.peers = match &config.node {
            Some(node) => Some(Peers::new(node, self.limits.clone(), tasks).ok_or_else(|| {
                let message = format!("node: {node:?} is no name");
                Failure::new(Exit::Usage, message, "letters, digits, `-` and `.` make a name")
            })?),
            None => None,
        };
        if let Some(peers) = &self.peers {
            self.known.iter().for_each(|(.., revision)| peers.join(revision));
        }
        // Now that there is a gateway, clients may be sent to it.
        let inside = self.addresses.iter().filter(|(_, listen)| listen.is_inside());
        let gateways: Vec<SocketAddr> = inside.map(|(address, _)| *address).collect();
        let steer = Steer::open(config, &gateways, tasks)?;
        let lines = config
            .log
            .as_ref()
            .map(|_| LogLines::open(tokio::io::stdout(), &self.writer));
        self.logged = lines.as_ref().map(LogLines::counts);
        if let Some(address) = config.status {
            let listening = sockets.listen("status", address).await;
            let listener = listening.map_err(at(address, "`status`"))?;
            status::serve(listener, steer.shared(), self.logged.clone(), tasks);
        }
        let spans = config.tracing.map(|wanted| {
            let spans = Arc::new(SpanBuffer::new(wanted.keep));
            self.tracing = Some(Arc::new(Tracing::new(wanted.sampling_rate, Arc::clone(&spans) as _)));
            spans
        });
        if let Some(address) = admin {
            let listening = || at(address, "--admin");
            let listener = sockets.listen("admin", address).await.map_err(listening())?;
            let address = listener.local_addr().map_err(listening())?;
            let told = admin::Told {
                shared: steer.shared(),
                room: self.room.clone(),
                logged: self.logged.clone(),
                spans,
            };
            page::serve_several(listener, admin::pages(told), tasks);
            self.admin = Some(address);
        }
        self.steer = Some(steer);
        self.tell_pods(config);
        for (listener, listen) in listeners {
            let door = self.door(listen, config, lines.as_ref(), tasks);
            tasks.spawn("listener", proxy::listen(listener, Arc::new(door)));
        }
        Ok(())
    }

    fn door(&self, listen: &Listen, config: &Config, lines: Option<&LogLines>, tasks: &Tasks) -> Door {
        let visibility = listen.visibility.into();
        Door {
            entry: Entry::ByRoute(Arc::clone(&self.revisions), self.tables.of(visibility)),
            front: Front {
                tls: listen.tls.then(|| Arc::clone(&self.certificates.served)),
                visibility,
                https_port: listen.https_port,
                room: self.room.clone(),
                cores: Some(self.cores.clone()),
                trusts_proto: listen.trust_forwarded_proto,
                tracing: self.tracing.clone(),
            },
            probes: Probes::Gateway,
            next: NextHop::App { restore_host: false },
            limits: self.limits.clone(),
            timeout_text: "request timeout",
            cluster_domain: "cluster.local".to_owned(),
            log: config
                .log
                .as_ref()
                .zip(lines)
                .and_then(|(wanted, lines)| log(wanted, lines))
                .into(),
            inside: self
                .steer
                .as_ref()
                .filter(|_| listen.is_inside())
                .and_then(Steer::inside),
            peers: self.peers.clone(),
            health: Health::default(),
            tasks: tasks.clone(),
        }
    }

    /// Before the end: nobody else is sent here.
    pub(super) fn leave(&self) {
        if let Some(steer) = &self.steer {
            steer.leave();
        }
    }

    /// When there are no requests any more: until the log's last line is written, or for so long.
    pub(super) async fn finish_log(&self, patience: Duration) {
        drop(timeout(patience, self.writer.gone()).await);
        self.writer.stop().await;
    }

    /// Lines of the log that were lost until now.
    pub(super) fn lost(&self) -> u64 {
        self.logged.as_ref().map_or(0, |counts| counts.dropped.load(Relaxed))
    }

    /// Where clients come in.
    pub(super) fn addresses(&self) -> &[(SocketAddr, Listen)] {
        &self.addresses
    }

    /// Where figures are told, if they are.
    pub(super) fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Reads certificates again whose files have changed; `None`: none has.
    pub(super) fn renew(&mut self) -> Option<Vec<Fault>> {
        self.certificates.look()
    }

    /// Puts a file in the place of the one before. Returns which certificates it could not take.
    pub(super) fn apply(&mut self, config: &Config) -> Vec<Fault> {
        let old = std::mem::take(&mut self.known);
        for (name, wanted) in &config.revisions {
            let settings = settings(wanted);
            let same = old
                .iter()
                .find(|(other, before, _)| other == name && *before == settings);
            let revision = match same {
                Some((_, _, revision)) => Arc::clone(revision),
                None => {
                    let revision = revision(name, settings, &self.limits);
                    self.peers.iter().for_each(|peers| peers.join(&revision));
                    revision
                }
            };
            self.revisions.insert(Arc::clone(&revision));
            self.known.push((name.clone(), settings, revision));
        }
        // Certificates before the routes that send clients to them; routes before the revisions they no longer lead to.
        let faults = self.certificates.apply(&config.certificates);
        let rules = config.routes.iter().map(|route| (route.visibility.into(), rule(route)));
        for refusal in self.tables.replace(rules.collect()) {
            eprintln!("{refusal}");
        }
        // A request has its revision in hand, whatever is known by that name now.
        let is_kept = |revision| self.known.iter().any(|(.., known)| Arc::ptr_eq(known, revision));
        let replaced = old.iter().filter(|(.., revision)| !is_kept(revision));
        let replaced = replaced.map(|(name, _, revision)| (name.clone(), Arc::clone(revision)));
        self.replaced.extend(replaced);
        self.tell_pods(config);
        for (name, ..) in old.iter().filter(|(name, ..)| !config.revisions.contains_key(name)) {
            let (namespace, name) = full_name(name);
            self.revisions.remove(namespace, name);
        }
        faults
    }

    /// The kernel first: a connection that stands before its pod is tracked is never counted, and requests that wait go as
    /// soon as there are pods.
    fn tell_pods(&mut self, config: &Config) {
        if let Some(steer) = &mut self.steer {
            let known = self.known.iter();
            steer.apply(config, known.map(|(name, _, revision)| (name.as_str(), revision)));
        }
        if let Some(peers) = &self.peers {
            let listed = config.peers.iter().map(|peer| Peer {
                name: peer.name.clone(),
                address: peer.address,
            });
            peers.set(&listed.collect::<Vec<_>>());
        }
        self.replaced.retain(|(_, revision)| Arc::strong_count(revision) > 1);
        let known = self.known.iter().map(|(name, _, revision)| (name, revision));
        let replaced = self.replaced.iter().map(|(name, revision)| (name, revision));
        for (name, revision) in known.chain(replaced) {
            // One that is not in the file any more keeps those it had.
            let Some(wanted) = config.revisions.get(name) else {
                continue;
            };
            let home = |node: Option<&str>| match (&self.peers, node) {
                (Some(peers), Some(node)) => peers.home(node),
                _ => Home::Here,
            };
            let pods = wanted.pods.iter();
            let pods: Vec<_> = pods.map(|pod| (pod.address(), true, home(pod.node()))).collect();
            revision.set_placed_pods(&pods);
        }
    }
}

fn settings(wanted: &Wanted) -> Settings {
    Settings {
        concurrency: wanted.container_concurrency,
        timeouts: Timeouts {
            request: Duration::from_secs(wanted.timeout_seconds),
            response_start: Duration::from_secs(wanted.response_start_timeout_seconds),
            idle: Duration::from_secs(wanted.idle_timeout_seconds),
        },
        protocol: match wanted.protocol {
            Protocol::Http1 => PodProtocol::Http1,
            Protocol::H2c => PodProtocol::H2c,
            Protocol::AsClient => PodProtocol::AsClient,
        },
    }
}

fn revision(name: &str, settings: Settings, limits: &Limits) -> Arc<Revision> {
    let (namespace, name) = full_name(name);
    let identity = Identity {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Identity::default()
    };
    Revision::with_protocol(
        identity,
        settings.timeouts,
        limits.of_revision(settings.concurrency),
        settings.protocol,
    )
}

/// One file has one owner: routes of the same host are tried in their order.
fn rule(route: &Route) -> Rule<Destination> {
    let conditions = route
        .headers
        .iter()
        .map(|(name, value)| Condition::header(name, value))
        .collect();
    let parts = route.to.iter().map(|(name, weight)| {
        let (namespace, name) = full_name(name);
        let headers = route
            .set_headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let destination = Destination::new(namespace, name, BackendPort::Number(80))
            .with_host(&route.rewrite_host)
            .https_only(route.http_option == HttpOption::Redirected)
            .with_headers(headers);
        (*weight, destination)
    });
    Rule {
        owner: "file".to_owned(),
        hosts: route.hosts.clone(),
        paths: vec![PathRule {
            prefix: route.path.clone(),
            conditions,
            split: Split::weighted(parts),
        }],
    }
}

/// Called only with a template that was read before.
fn log(log: &Log, lines: &LogLines) -> Option<RequestLog> {
    Some(RequestLog {
        format: log.format().ok()?,
        probes: false,
        pod: (String::new(), String::new()),
        traces: true,
        sink: lines.sink(),
    })
}
