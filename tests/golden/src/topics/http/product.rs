// SPDX-License-Identifier: Apache-2.0
//! Our request path in the place of the case's component.
//!
//! Depends on: proxy.

use super::bytes::text;
use anyhow::{Context as _, Result, bail};
use life::Tasks;
use logic::limiter;
use logic::settings::template::Template;
use proxy::{
    Door, Endpoints, Entry, Front, Handler, Health, Identity, Judging, Limits, LogFormat, NextHop, Probe, Probes,
    Readiness, RequestLog, Revision, Revisions, Timeouts,
};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A request path on a port of its own.
pub(super) struct Product {
    address: SocketAddr,
    door: Arc<Door>,
    lines: Arc<Mutex<Vec<String>>>,
    revisions: Arc<Revisions>,
    /// By `namespace/name`.
    pods: HashMap<String, watch::Sender<Endpoints>>,
    port: u16,
}

impl Product {
    pub(super) async fn start(case: &Value, port: u16, tasks: &Tasks) -> Result<Self> {
        let config = &case["config"];
        let lines = Arc::new(Mutex::new(Vec::new()));
        let revisions = Arc::new(Revisions::default());
        let mut pods = HashMap::new();
        let (entry, probes, next, timeout_text) = match case["component"].as_str() {
            Some("queue-proxy") => {
                let revision = beside_app(config, port)?;
                let probes = Probes::App(Readiness::new(readiness(&config["readiness_probe"], port)?));
                let next = NextHop::App { restore_host: true };
                (Entry::Only(revision), probes, next, "request timeout")
            }
            _ => {
                for spec in config["revisions"].as_array().context("no revisions")? {
                    let (name, sender) = behind_activator(spec, config, &revisions, tasks);
                    pods.insert(name, sender);
                }
                let next = NextHop::Proxy {
                    private_host: config["pod_addressability"] == true,
                };
                let entry = Entry::ByName(Arc::clone(&revisions));
                (entry, Probes::Activator, next, "activator request timeout")
            }
        };
        let health = Health::default();
        match config["health"].as_str() {
            Some("no-autoscaler") => health.fail(Some("connection has not yet been established")),
            Some("sigterm") => health.drain(),
            _ => {}
        }
        let door = Arc::new(Door {
            entry,
            front: Front::default(),
            probes,
            next,
            limits: Limits {
                // Knative sends none.
                retry_after: None,
                ..Limits::default()
            },
            timeout_text,
            cluster_domain: "cluster.local".to_owned(),
            log: request_log(case, &lines),
            inside: None,
            peers: None,
            health,
            tasks: tasks.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tasks.spawn("listener", proxy::listen(listener, Arc::clone(&door)));
        Ok(Self {
            address,
            door,
            lines,
            revisions,
            pods,
            port,
        })
    }

    /// Where a client of this port goes.
    pub(super) fn address(&self, port: &str) -> Result<SocketAddr> {
        match port {
            "main" | "h2c" => Ok(self.address),
            other => bail!("there is no port {other}"),
        }
    }

    /// Something happens around it.
    pub(super) fn happen(&self, event: &Value) -> Result<()> {
        let name = event["revision"].as_str().unwrap_or_default();
        match event["op"].as_str() {
            Some("endpoints") => {
                let listed = Endpoints {
                    ready: self.addresses(&event["ready"])?,
                    not_ready: self.addresses(&event["not_ready"])?,
                };
                self.pods.get(name).context("no such revision")?.send_replace(listed);
            }
            Some("delete_revision") => {
                let (namespace, name) = name.split_once('/').context("no namespace")?;
                self.revisions.remove(namespace, name);
            }
            Some("sigterm") => self.door.health.drain(),
            other => bail!("unknown event {other:?}"),
        }
        Ok(())
    }

    fn addresses(&self, ips: &Value) -> Result<BTreeSet<SocketAddr>> {
        let ips = ips.as_array().into_iter().flatten();
        ips.map(|ip| {
            let ip: IpAddr = ip.as_str().context("no address")?.parse()?;
            Ok(SocketAddr::new(ip, self.port))
        })
        .collect()
    }

    pub(super) fn log_lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn timeouts(config: &Value) -> Timeouts {
    Timeouts {
        request: Duration::from_secs(number(&config["timeout_seconds"])),
        response_start: Duration::from_secs(number(&config["response_start_timeout_seconds"])),
        idle: Duration::from_secs(number(&config["idle_timeout_seconds"])),
    }
}

fn identity(namespace: &str, name: &str) -> Identity {
    Identity {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        service: "svc".to_owned(),
        configuration: "cfg".to_owned(),
    }
}

/// One pod, with the queue of a queue-proxy (data-plane spec 4.5).
fn beside_app(config: &Value, port: u16) -> Result<Arc<Revision>> {
    let concurrency = u32::try_from(number(&config["container_concurrency"]))?;
    let mut settings = limiter::Settings::new(concurrency);
    settings.queue = limiter::QueueBound::Present(match concurrency {
        0 => u64::MAX,
        some => u64::from(some) * 11,
    });
    let revision = Revision::new(identity("ns", "rev"), timeouts(config), settings);
    revision.set_pods(&[(SocketAddr::from(([127, 0, 0, 1], port)), true)]);
    Ok(revision)
}

fn behind_activator(
    spec: &Value,
    config: &Value,
    revisions: &Revisions,
    tasks: &Tasks,
) -> (String, watch::Sender<Endpoints>) {
    let (namespace, name) = (
        spec["namespace"].as_str().unwrap_or_default(),
        spec["name"].as_str().unwrap_or_default(),
    );
    let concurrency = u32::try_from(number(&spec["container_concurrency"])).unwrap_or(0);
    let settings = limiter::Settings::like_knative(concurrency);
    let revision = Revision::new(identity(namespace, name), timeouts(spec), settings);
    revisions.insert(Arc::clone(&revision));
    let (sender, pods) = watch::channel(Endpoints::default());
    let judging = Judging {
        asks_ready: config["mesh_mode"] != "disabled",
        trusts_early: true,
        private_host: config["pod_addressability"] == true,
    };
    tasks.spawn("prober", proxy::keep(revision, pods, judging));
    (format!("{namespace}/{name}"), sender)
}

fn readiness(probe: &Value, port: u16) -> Result<Option<Probe>> {
    if !probe.is_object() {
        return Ok(None);
    }
    let address = |handler: &Value| {
        let host = handler["host"].as_str().unwrap_or("127.0.0.1");
        match handler["port"].as_u64() {
            Some(number) => format!("{host}:{number}"),
            None => format!("{host}:{port}"),
        }
    };
    let (tcp, get) = (&probe["tcpSocket"], &probe["httpGet"]);
    let handler = if tcp.is_object() {
        Handler::Tcp(address(tcp))
    } else if get.is_object() {
        let headers = get["httpHeaders"].as_array().into_iter().flatten();
        let line = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Handler::Http {
            is_tls: false,
            address: address(get),
            path: line(&get["path"]),
            headers: headers
                .map(|header| (line(&header["name"]), line(&header["value"])))
                .collect(),
        }
    } else {
        bail!("unknown probe {probe}");
    };
    Ok(Some(Probe {
        handler,
        period: Duration::from_secs(number(&probe["periodSeconds"])),
        timeout: Duration::from_secs(number(&probe["timeoutSeconds"])),
        success_threshold: u32::try_from(number(&probe["successThreshold"]))?,
    }))
}

/// A template that cannot be read leaves the log as it was: off.
fn request_log(case: &Value, lines: &Arc<Mutex<Vec<String>>>) -> Option<RequestLog> {
    let config = &case["config"];
    let template = Template::parse("requestLog", config["request_log_template"].as_str()?).ok()?;
    let is_activator = case["component"] == "activator";
    let lines = Arc::clone(lines);
    let pod = match is_activator {
        true => (String::new(), String::new()),
        false => ("pod-1".to_owned(), "10.0.0.7".to_owned()),
    };
    Some(RequestLog {
        format: LogFormat::Template(template),
        probes: config["enable_probe_request_log"] == true,
        pod,
        traces: !is_activator,
        sink: Arc::new(move |line| {
            let line = text(line.as_bytes());
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }),
    })
}
