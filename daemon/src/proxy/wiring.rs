// SPDX-License-Identifier: Apache-2.0
//! Revisions and routes of a file, and of the one that replaces it.
//!
//! Invariants: a revision that stays keeps its queue and its counts; only its pods may change. One whose other settings
//! change is a new one; requests of the old one end there.
//! Depends on: config, proxy.

use super::config::{Config, Revision as Wanted, Route, full_name};
use life::Tasks;
use logic::limiter;
use logic::settings::template::Template;
use logic::traffic::{BackendPort, Condition, Destination, PathRule, Rule, Split, Table};
use proxy::{
    Door, Entry, Health, Identity, Limits, NextHop, Probes, Readiness, RequestLog, Revision, Revisions, Routes,
    Timeouts,
};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// What runs.
pub(super) struct Wiring {
    addresses: Vec<SocketAddr>,
    revisions: Arc<Revisions>,
    routes: Routes,
    known: Vec<(String, Settings, Arc<Revision>)>,
}

/// What makes a revision another one.
#[derive(Clone, Copy, PartialEq)]
struct Settings {
    concurrency: u32,
    timeouts: Timeouts,
}

impl Wiring {
    /// Opens the listeners.
    pub(super) async fn open(config: &Config, tasks: &Tasks) -> io::Result<Self> {
        let mut wiring = Self {
            addresses: Vec::new(),
            revisions: Arc::default(),
            routes: Routes::default(),
            known: Vec::new(),
        };
        wiring.apply(config);
        let door = Arc::new(Door {
            entry: Entry::ByRoute(Arc::clone(&wiring.revisions), wiring.routes.clone()),
            probes: Probes::App(Readiness::new(None)),
            next: NextHop::App { restore_host: false },
            limits: Limits::default(),
            timeout_text: "request timeout",
            cluster_domain: "cluster.local".to_owned(),
            log: log(config),
            inside: None,
            health: Health::default(),
            tasks: tasks.clone(),
        });
        for address in &config.listen {
            let listener = TcpListener::bind(address).await?;
            wiring.addresses.push(listener.local_addr()?);
            tasks.spawn("listener", proxy::listen(listener, Arc::clone(&door)));
        }
        Ok(wiring)
    }

    /// Where clients come in.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Puts a file in the place of the one before.
    pub(super) fn apply(&mut self, config: &Config) {
        let old = std::mem::take(&mut self.known);
        for (name, wanted) in &config.revisions {
            let settings = settings(wanted);
            let same = old
                .iter()
                .find(|(other, before, _)| other == name && *before == settings);
            let revision = match same {
                Some((_, _, revision)) => Arc::clone(revision),
                None => revision(name, settings),
            };
            let pods: Vec<_> = wanted.pods.iter().map(|pod| (*pod, true)).collect();
            revision.set_pods(&pods);
            self.revisions.insert(Arc::clone(&revision));
            self.known.push((name.clone(), settings, revision));
        }
        let (table, refused) = Table::build(config.routes.iter().map(rule));
        for refusal in refused {
            eprintln!("{refusal}");
        }
        // Routes before the revisions they no longer lead to.
        self.routes.replace(table);
        for (name, ..) in old.iter().filter(|(name, ..)| !config.revisions.contains_key(name)) {
            let (namespace, name) = full_name(name);
            self.revisions.remove(namespace, name);
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
    }
}

fn revision(name: &str, settings: Settings) -> Arc<Revision> {
    let (namespace, name) = full_name(name);
    let identity = Identity {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Identity::default()
    };
    Revision::new(
        identity,
        settings.timeouts,
        limiter::Settings::new(settings.concurrency),
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

fn log(config: &Config) -> Option<RequestLog> {
    let template = Template::parse("log", config.log.as_deref()?).ok()?;
    Some(RequestLog {
        template,
        probes: false,
        pod: (String::new(), String::new()),
        traces: true,
        sink: Arc::new(|line| println!("{line}")),
    })
}
