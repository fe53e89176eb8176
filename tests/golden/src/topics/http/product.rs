// SPDX-License-Identifier: Apache-2.0
//! Our request path in the place of the case's component.
//!
//! Depends on: proxy.

use super::bytes::text;
use anyhow::{Context as _, Result, bail};
use life::Tasks;
use logic::kpa::{Moment, Reading};
use logic::limiter;
use logic::settings::template::Template;
use proxy::{
    Beside, Door, Drainer, Endpoints, Entry, Front, Handler, Health, Identity, Judging, Limits, LogFormat, Logging,
    NextHop, Periods, Probe, Probes, Readiness, RequestLog, Rest, Revision, Revisions, Timeouts,
};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// A pod without requests for so long rests, and between two looks at it. Knative waits 30 s; design 3.4 says 1 s.
const REST: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// A request path on a port of its own.
pub(super) struct Product {
    address: SocketAddr,
    /// The ports beside it, by the name of the data.
    beside: Vec<(&'static str, SocketAddr)>,
    health: Health,
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
        let health = Health::default();
        let mut beside = Vec::new();
        let (entry, probes, next, timeout_text) = match case["component"].as_str() {
            Some("queue-proxy") => {
                let revision = beside_app(config, port)?;
                beside = ports(config, &revision, &health, tasks);
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
        match config["health"].as_str() {
            Some("no-autoscaler") => health.fail(Some("connection has not yet been established")),
            Some("sigterm") => health.drain(),
            _ => {}
        }
        let door = Door {
            next,
            timeout_text,
            log: request_log(case, &lines).into(),
            ..door(entry, probes, &health, tasks)
        };
        let address = open(door).await?;
        let mut open_beside = Vec::new();
        for (name, door) in beside {
            open_beside.push((name, open(door).await?));
        }
        Ok(Self {
            address,
            beside: open_beside,
            health,
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
            other => {
                let found = self.beside.iter().find(|(name, _)| *name == other);
                let (_, address) = found.with_context(|| format!("there is no port {other}"))?;
                Ok(*address)
            }
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
            Some("sigterm") => self.health.drain(),
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

/// A door as all have it here.
fn door(entry: Entry, probes: Probes, health: &Health, tasks: &Tasks) -> Door {
    Door {
        entry,
        front: Front::default(),
        probes,
        next: NextHop::App { restore_host: true },
        limits: Limits {
            // Knative sends none.
            retry_after: None,
            ..Limits::default()
        },
        timeout_text: "",
        cluster_domain: "cluster.local".to_owned(),
        log: Logging::default(),
        inside: None,
        peers: None,
        health: health.clone(),
        tasks: tasks.clone(),
    }
}

async fn open(door: Door) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let tasks = door.tasks.clone();
    tasks.spawn("listener", proxy::listen(listener, Arc::new(door)));
    Ok(address)
}

/// The ports of a pod beside the application's.
fn ports(config: &Value, revision: &Arc<Revision>, health: &Health, tasks: &Tasks) -> Vec<(&'static str, Door)> {
    let reading = || Reading {
        at: Moment::from_unix(UNIX_EPOCH.elapsed().unwrap_or_default()),
        integral: 0,
        started: 0,
    };
    let (of_drain, of_page) = (Arc::clone(revision), Arc::clone(revision));
    let rests = move || -> Rest {
        let revision = Arc::clone(&of_drain);
        Box::pin(async move {
            let mut rests_since = Instant::now();
            while rests_since.elapsed() < REST {
                sleep(LOOK).await;
                if revision.counters.in_flight.load(Relaxed) > 0 {
                    rests_since = Instant::now();
                }
            }
        })
    };
    let periods = Periods::new("pod-1", reading());
    let mut all = vec![
        ("admin", Beside::Admin(Arc::new(Drainer::new(health.clone(), rests)))),
        (
            "autoscaling-metrics",
            Beside::Stat(Arc::new(move || periods.tell(reading()))),
        ),
    ];
    if config["request_metrics_protocol"] == "prometheus" {
        let page = move || format!("requests {}\n", of_page.counters.requests.load(Relaxed));
        all.push(("user-metrics", Beside::Metrics(Arc::new(page))));
    }
    let doors = all.into_iter().map(|(name, beside)| {
        let door = door(Entry::Nowhere, Probes::Beside(beside), health, tasks);
        (name, door)
    });
    doors.collect()
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
