// SPDX-License-Identifier: Apache-2.0
//! What runs on this machine: pods, gateway, names, the kernel half, and the controllers that tell them what to do.
//!
//! Mechanism: the runner makes the pods' network, whose first address the inner gateway and the names listen on; then the
//! kernel is told where the gateway is; then the controllers start.
//! Invariants: pods end before what carries their requests.
//! Depends on: cluster, images, live, plane, node, proxy, control, standalone.

use std::collections::{BTreeMap, HashMap};
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::standalone::dns;
use ::standalone::logs::Logs;
use ::standalone::runner::{self, Runner, RunnerError};
use api::names::product;
use control::boot::{self, Options};
use control::clock::Clock;
use control::context::Context;
use control::data_plane::{self, DataPlane};
use control::ingress::Reached;
use control::pod_autoscaler::Horizontal;
use control::route::Gateway;
use life::Tasks;
use life::metrics::Registry;
use proxy::{
    Certificates, Cores, Door, Entry, Front, Health, Limits, NextHop, Probes, Revisions, Room, Tables, Visibility,
};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::claim::Claim;
use super::cluster::{Cluster, NODE, Served};
use super::figures::Figures;
use super::ground::Listening;
use super::images::OnDisk;
use super::left;
use super::listener;
use super::live::{Drained, Told};
use super::plane::{Plane, Routed};
use super::ports::Ports;
use super::requests::Requests;
use crate::cli;
use crate::failure::{Exit, Failure, chain, doing};
use crate::node::{self, Node};
use crate::page::{self, Page};

/// The image that needs no --image.
const SAMPLE_IMAGE: &str = "sluice.dev/sample";
/// The port of the gateway for clients in pods.
const INNER_PORT: u16 = 8012;
const DNS_PORT: u16 = 53;
/// Room in the kernel's maps: revisions that are declared, pods that run.
const REVISIONS: u32 = 16_384;
const PODS: u32 = 4096;

/// What runs.
pub(super) struct Machine {
    runner: Runner,
    node: Arc<Node>,
    told: Arc<Told>,
    drained: Drained,
    inner: SocketAddr,
    /// Where clients from outside come in.
    pub(super) outer: SocketAddr,
    revisions: Arc<Revisions>,
    tables: Tables,
    certificates: Arc<Certificates>,
    /// What all clients together may hold.
    room: Room,
    /// And each of them.
    limits: Limits,
    /// What is written of requests.
    log: Arc<Requests>,
    /// Whether the routes of what is declared are known: before, clients wait to be accepted, and are not told that there
    /// is no route.
    routed: watch::Sender<bool>,
    _claim: Claim,
    /// Serve the connections.
    cores: Cores,
}

impl Machine {
    /// Starts all but the controllers; `requests` are those tasks that must be let finish.
    pub(super) async fn start(
        arguments: &cli::Standalone,
        limits: Limits,
        (claim, cgroup): (Claim, PathBuf),
        (outer_listener, outer): Listening,
        cluster: &Cluster,
        (requests, tasks): (&Tasks, &Tasks),
    ) -> Result<Self, Failure> {
        let settings = runner_settings(arguments, cluster, cgroup.clone())?;
        let problems = settings.problems();
        if !problems.is_empty() {
            left::forget_refused(&arguments.run_dir);
            return Err(of_runner(&RunnerError::Settings(problems)));
        }
        left::record(&arguments.run_dir, &cgroup, &arguments.device_prefix)?;
        let drained = Drained::default();
        let runner = Runner::begin(settings, Arc::clone(&cluster.state), Arc::new(drained.clone()), tasks)
            .map_err(|error| of_runner(&error))?;
        let inside = match Inside::start(arguments, cluster, cgroup, tasks).await {
            Ok(inside) => inside,
            Err(failure) => {
                if keeps_pods(arguments, &runner) {
                    return Err(failure);
                }
                // Nobody can use what was made for pods.
                runner.end(Duration::ZERO).await;
                left::forget(&arguments.run_dir);
                return Err(failure);
            }
        };
        let Inside {
            listener: inner_listener,
            address: inner,
            node,
            bursts,
        } = inside;
        let told = Told::new(Arc::clone(&node));
        drained.know(&told);
        tasks.spawn("bursts", Arc::clone(&told).forward(bursts, tasks.clone()));
        let certificates = Certificates::new().map_err(|error| Failure::new(Exit::Failed, error.to_string(), ""))?;
        let machine = Self {
            runner,
            node,
            told,
            drained,
            inner,
            outer,
            revisions: Arc::default(),
            tables: Tables::default(),
            certificates: Arc::new(certificates),
            room: Room::default(),
            limits,
            log: Arc::default(),
            routed: watch::Sender::new(false),
            _claim: claim,
            cores: Cores::start(None).map_err(doing("starting", ""))?,
        };
        let inside = machine.door(Visibility::ClusterLocal, requests);
        requests.spawn("inner gateway", machine.open(inner_listener, inside));
        let outside = machine.door(Visibility::External, requests);
        requests.spawn("gateway", machine.open(outer_listener, outside));
        Ok(machine)
    }

    /// Takes clients once the routes are known, unless the end comes first.
    fn open(&self, listener: TcpListener, door: Door) -> impl Future<Output = ()> + Send + use<> {
        let mut routed = self.routed.subscribe();
        async move {
            let is_open = tokio::select! {
                known = routed.wait_for(|known| *known) => known.is_ok(),
                () = door.tasks.draining() => false,
            };
            if is_open {
                proxy::listen(listener, Arc::new(door)).await;
            }
        }
    }

    fn door(&self, visibility: Visibility, tasks: &Tasks) -> Door {
        Door {
            entry: Entry::ByRoute(Arc::clone(&self.revisions), self.tables.of(visibility)),
            front: Front {
                visibility,
                cores: Some(self.cores.spread()),
                room: self.room.clone(),
                ..Front::default()
            },
            probes: Probes::Gateway,
            next: NextHop::App { restore_host: false },
            limits: self.limits.clone(),
            timeout_text: "request timeout",
            cluster_domain: product::CLUSTER_DOMAIN.to_owned(),
            log: self.log.logging.clone(),
            inside: (visibility == Visibility::ClusterLocal).then(|| self.node.inside()),
            peers: None,
            health: Health::default(),
            tasks: tasks.clone(),
        }
    }

    /// Starts the controllers, and keeps the data plane as they say.
    pub(super) async fn control(&self, served: &Served, metrics_listener: TcpListener, tasks: &Tasks) {
        // Its receivers outlive it: the gateway stays where it is.
        let (_, addresses) = watch::channel(vec![self.inner]);
        let options = Options {
            gateway: Gateway {
                class: Some(product::INGRESS_CLASS.to_owned()),
                addresses: addresses.clone(),
            },
            images: Arc::new(OnDisk(self.runner.images())),
            redirects: self.obstacle().is_none(),
            ..Options::default()
        };
        let client = kube::Client::new(served.local.for_controllers(), "default");
        let context: Context = boot::observe(client, &options, Clock::of_machine(), tasks.clone()).await;
        boot::control(&context, &options);
        self.log.follow(context.settings.clone(), tasks);
        let started = data_plane::start(
            &context,
            DataPlane {
                live: Arc::clone(&self.told) as _,
                gateways: addresses,
                reached: Reached::default(),
                horizontal: Horizontal::Nobody,
            },
        );
        let registry = Registry::new();
        let figures = Figures::new(Arc::clone(&self.node), self.room.clone());
        registry.add(&started.scaler);
        registry.add(&context.queues);
        registry.add(&figures);
        let owned = (Arc::clone(&started.scaler), Arc::clone(&context.queues));
        let metrics = Page {
            content: life::metrics::CONTENT_TYPE,
            // The registry asks nobody whom nobody owns.
            write: Arc::new(move || {
                let _owned = &owned;
                registry.page()
            }),
        };
        page::serve(metrics_listener, metrics, tasks);
        let plane = Plane {
            node: Arc::clone(&self.node),
            told: Arc::clone(&self.told),
            figures: Arc::clone(&figures),
            revisions: Arc::clone(&self.revisions),
            tables: self.tables.clone(),
            certificates: Arc::clone(&self.certificates),
            limits: self.limits.clone(),
            before: Arc::default(),
            namespaces: HashMap::new(),
            found: Vec::new(),
            known: HashMap::new(),
            routed: Routed::default(),
            open: self.routed.clone(),
            parting: HashMap::new(),
            left: HashMap::new(),
            ports: Ports {
                node: Arc::clone(&self.node),
                drained: self.drained.clone(),
                settings: context.settings.clone(),
                limits: self.limits.clone(),
                room: self.room.clone(),
                tasks: tasks.clone(),
                open: HashMap::new(),
            },
            replaced: Vec::new(),
        };
        let (programmes, running) = (started.gateway.programmes(), self.runner.running());
        tasks.spawn("data plane", plane.follow(programmes, running, tasks.clone()));
    }

    /// Whether pods of an earlier instance are to outlive this one if its start fails.
    pub(super) fn keeps_pods(&self, arguments: &cli::Standalone) -> bool {
        keeps_pods(arguments, &self.runner)
    }

    /// What containers wrote.
    pub(super) fn logs(&self) -> Arc<dyn Logs> {
        self.runner.logs()
    }

    /// Why everything is buffered, if it is.
    pub(super) fn obstacle(&self) -> Option<&str> {
        self.node.obstacle()
    }

    /// Where everything lies that pods are made of.
    pub(super) fn made(&self) -> Arc<runner::Settings> {
        self.runner.settings()
    }

    /// Takes no new clients; requests in flight go on, those that wait for a pod are told that none will come.
    pub(super) fn close(&self, requests: &Tasks) {
        self.node.leave();
        requests.hurry();
        self.told.close();
    }

    /// The log of requests, which outlives the rest.
    pub(super) fn log(&self) -> Arc<Requests> {
        Arc::clone(&self.log)
    }

    /// Ends the pods, each when its requests have ended, within its grace and this one.
    pub(super) async fn end_pods(&self, grace: Duration) {
        self.runner.end_pods(grace).await;
    }

    /// Removes what was made for pods.
    pub(super) async fn clear(self) {
        self.runner.end(Duration::ZERO).await;
    }
}

/// What clients in pods meet.
struct Inside {
    listener: TcpListener,
    address: SocketAddr,
    node: Arc<Node>,
    bursts: tokio::sync::mpsc::Receiver<node::Burst>,
}

impl Inside {
    async fn start(
        arguments: &cli::Standalone,
        cluster: &Cluster,
        cgroup: PathBuf,
        tasks: &Tasks,
    ) -> Result<Self, Failure> {
        let host = IpAddr::V4(cluster.pods.host());
        let proc_root = &arguments.places.proc_root;
        let refused = |what: &str, address: SocketAddr| {
            let what = format!("{what} on {address}");
            move |error| listener::refused(what, address.port(), proc_root, error)
        };
        let names = SocketAddr::new(host, DNS_PORT);
        let server = dns::Server::bind(names)
            .await
            .map_err(refused("answering names", names))?;
        serve_names(server, host, cluster, tasks);
        let address = SocketAddr::new(host, INNER_PORT);
        let listener = TcpListener::bind(address)
            .await
            .map_err(refused("listening", address))?;
        let (node, bursts) = open_node(arguments, cgroup, address, tasks)?;
        Ok(Self {
            listener,
            address,
            node,
            bursts,
        })
    }
}

/// What it lacks of the machine it says itself.
fn of_runner(error: &RunnerError) -> Failure {
    let exit = match error {
        RunnerError::Settings(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, chain(error), "")
}

/// Takes the programs and maps away: nothing of ours is left that they could count.
pub(super) fn forget(arguments: &cli::Standalone) -> Result<(), Failure> {
    left::forget(&arguments.run_dir);
    let cleaned = kernel::cleanup(&arguments.places.settings())?;
    match cleaned.left.first() {
        None => Ok(()),
        Some(path) => {
            let message = format!("{} was left alone, because we did not make it", path.display());
            Err(Failure::new(
                Exit::Foreign,
                message,
                "look at it, then remove it by hand",
            ))
        }
    }
}

/// The built-in image: this program by another name.
fn sample(folder: &Path) -> Result<(String, PathBuf), Failure> {
    let link = left::sample(folder);
    let making = || doing(format!("making {}", link.display()), "choose another --run-dir");
    let program = std::env::current_exe().map_err(doing("finding this program", ""))?;
    std::fs::create_dir_all(folder).map_err(making())?;
    if std::fs::read_link(&link).ok().as_ref() != Some(&program) {
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(program, &link).map_err(making())?;
    }
    Ok((SAMPLE_IMAGE.to_owned(), link))
}

/// The next one finds them by its state file.
fn keeps_pods(arguments: &cli::Standalone, runner: &Runner) -> bool {
    let keeps = arguments.state.is_some() && runner.has_taken_over();
    if keeps {
        eprintln!(
            "note: the pods of before serve on: start again with the same --state, or end them by `sluice cleanup`"
        );
    }
    keeps
}

fn runner_settings(
    arguments: &cli::Standalone,
    cluster: &Cluster,
    cgroup: PathBuf,
) -> Result<runner::Settings, Failure> {
    let starter = std::env::current_exe().map_err(doing("finding this program", ""))?;
    let built_in = sample(&arguments.run_dir)?;
    let named = arguments.images.iter().cloned();
    Ok(runner::Settings {
        node: NODE.to_owned(),
        range: cluster.pods,
        prefix: arguments.device_prefix.clone(),
        cgroup,
        run: left::pods(&arguments.run_dir),
        images: iter::once(built_in).chain(named).collect::<BTreeMap<_, _>>(),
        ..runner::Settings::new(starter)
    })
}

fn serve_names(server: dns::Server, host: IpAddr, cluster: &Cluster, tasks: &Tasks) {
    // Without it, names outside the cluster are refused, as the pods are told.
    let resolvers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let settings = dns::Settings {
        upstreams: dns::read_resolvers(&resolvers, &[host]),
        ..dns::Settings::default()
    };
    let state = Arc::clone(&cluster.state);
    tasks.spawn("names", async move {
        let Err(error) = server.serve(state, settings).await;
        eprintln!("error: names are no longer answered: {error}");
    });
}

fn open_node(
    arguments: &cli::Standalone,
    cgroup: PathBuf,
    gateway: SocketAddr,
    tasks: &Tasks,
) -> Result<(Arc<Node>, tokio::sync::mpsc::Receiver<node::Burst>), Failure> {
    let settings = node::Settings {
        kernel: kernel::Settings {
            pods: PODS,
            revisions: REVISIONS,
            ..arguments.places.settings()
        },
        cgroup,
        exempt_cgroup: None,
        exempt_mark: 0,
        gateway4: Some(gateway),
        gateway6: None,
        // There is no other way to such an address here: who waits for a daemon that stands still is served late.
        stale_buffered: node::STALE_DIRECT,
    };
    match Node::open(&settings, tasks) {
        Ok(both) => Ok(both),
        Err(fault) if fault.is_of_this_machine() => Ok(Node::buffering(fault.to_string(), tasks)),
        Err(fault) => Err(fault.into()),
    }
}
