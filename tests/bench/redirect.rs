// SPDX-License-Identifier: Apache-2.0
//! What redirection costs a connect(), and how soon a switch takes effect.
//!
//! Problem: the connect hooks run in the client's cgroup, so whoever measures must stand in it.
//! Mechanism: a child in a cgroup and namespace of its own loads, attaches and connects; it resets its connections, so
//! that ports do not run out. Nobody accepts while connect() is timed: whether a server slept on the other CPU would be
//! ten times what is measured. Ways to connect are interleaved like everything else. That the new side is meant by the
//! first connection after a switch is told by the letter it says.
//! Depends on: site, serve, cost, limit, sample, report.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::tests::role::{self, Role};
use anyhow::{Context, Result, bail};
use kernel::{Backend, Configuration, Hook, Hooks, Kernel, Mode, PodId, Settings};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::cost::{self, Statistics};
use crate::cpu;
use crate::limit::{Unit, at_most};
use crate::report::{Report, Target};
use crate::sample::{Estimate, median, quantile};
use crate::serve;
use crate::site::Site;

/// What clients ask for; nobody listens there.
const TARGET: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 99, 0, 1), 80);
const CONNECTS: u32 = 400;
const SWITCHES: u32 = 1_000;

#[derive(Serialize, Deserialize)]
struct Orders {
    pins: PathBuf,
    cgroup: PathBuf,
    pod: SocketAddr,
    silent: SocketAddr,
    gateway: SocketAddr,
}

/// Nanoseconds of each switch.
#[derive(Default, Serialize, Deserialize)]
struct Switched {
    set_mode: Vec<f64>,
    until_connected: Vec<f64>,
    set_backends: Vec<f64>,
    on_the_old_side: u64,
}

/// Measures and reports.
pub(crate) fn measure(site: &Site<'_>, quick: bool, report: &mut Report) -> Result<()> {
    eprintln!("redirect");
    let cgroup = site.rig.cgroup().child("client")?;
    let (pins, _kept) = site.rig.pins();
    let host = site.field.pod_address(false).ip();
    let orders = Orders {
        pins,
        cgroup: cgroup.path().to_owned(),
        pod: SocketAddr::new(host, serve::POD),
        silent: SocketAddr::new(host, serve::SILENT),
        gateway: SocketAddr::new(host, serve::GATEWAY),
    };
    let client = Role::start(
        site.rig,
        Some(cgroup.path()),
        Some(&site.field.client),
        "bench-connect",
        orders,
    )?;
    report_connects(site, &client, if quick { 3 } else { 31 }, report)?;
    report_switches(&client.ask("switch")?, report);
    Ok(())
}

fn report_connects(site: &Site<'_>, client: &Role, rounds: usize, report: &mut Report) -> Result<()> {
    let ways = ["nothing attached", "attached, no target", "redirected"];
    let mut times: [Vec<f64>; 3] = Default::default();
    for round in 0..rounds {
        let mut order = [0, 1, 2];
        if round % 2 == 1 {
            order.reverse();
        }
        for way in order {
            times[way].push(client.ask(&format!("connect {}", ways[way]))?);
            let drained = site.drain()?;
            if drained != u64::from(CONNECTS) {
                bail!("{drained} of {CONNECTS} connections came through");
            }
        }
    }
    let more = |way: usize| {
        let difference = times[way].iter().zip(&times[0]).map(|(with, without)| with - without);
        Estimate::of(&difference.collect::<Vec<_>>()).scaled(1e-3)
    };
    let program: f64 = client.ask("cost")?;
    at_most(report, "connect redirect", [1.5, 1.5], Unit("µs", 2), more(2));
    let row = |way: usize| {
        vec![
            ways[way].to_owned(),
            format!("{:.2}", Estimate::of(&times[way]).scaled(1e-3)),
            if way == 0 {
                String::new()
            } else {
                format!("{:.2}", more(way))
            },
            rounds.to_string(),
        ]
    };
    report.table(
        "connect()",
        &format!(
            "Microseconds of a blocking connect() over the veth; each round the median of {CONNECTS} that nobody accepts meanwhile. The difference is taken \
             within a round. By the kernel's statistics all programs of a redirected connection together (connect4 and \
             sock_ops, clock reads included) take {program:.0} ns."
        ),
        &["way", "µs", "more than nothing attached", "rounds"],
        (0..3).map(row).collect(),
    );
    Ok(())
}

fn report_switches(switched: &Switched, report: &mut Report) {
    let first = Estimate::of(&switched.until_connected).scaled(1e-3);
    let wrong = switched.on_the_old_side;
    report.target(Target {
        name: "T6 map write → first connection on the new side",
        required: "≤ 100 µs".to_owned(),
        aim: "≤ 30 µs".to_owned(),
        measured: format!("{first:.1} µs, {wrong} on the old side"),
        is_met: first.median <= 100.0 && wrong == 0,
        is_aim_met: first.median <= 30.0 && wrong == 0,
    });
    let row = |name: &str, values: &[f64]| {
        vec![
            name.to_owned(),
            format!("{:.2}", Estimate::of(values).scaled(1e-3)),
            format!("{:.2}", quantile(values, 0.99) * 1e-3),
            values.len().to_string(),
        ]
    };
    report.table(
        "Switching a target",
        &format!(
            "Microseconds. A target flips between gateway and pod by one store; the time ends when connect() returns with a \
             connection whose other end says that it is the new side ({wrong} said they were the old one)."
        ),
        &["step", "µs", "p99", "switches"],
        vec![
            row("set_mode", &switched.set_mode),
            row("set_mode → connected to the new side", &switched.until_connected),
            row("set_backends, a new list of one", &switched.set_backends),
        ],
    );
}

/// The job `bench-connect`.
pub(crate) fn connect(orders: Value) -> Result<()> {
    let orders: Orders = serde_json::from_value(orders)?;
    cpu::pin(0)?;
    let client = Client::new(orders)?;
    role::answer_questions(move |question| {
        Ok(match question {
            "connect nothing attached" => serde_json::to_value(client.connects(false, client.orders.silent)?)?,
            "connect attached, no target" => serde_json::to_value(client.connects(true, client.orders.silent)?)?,
            "connect redirected" => serde_json::to_value(client.connects(true, TARGET.into())?)?,
            "cost" => serde_json::to_value(client.cost()?)?,
            "switch" => serde_json::to_value(client.switches()?)?,
            other => bail!("unknown question {other:?}"),
        })
    })?;
    loop {
        std::thread::park();
    }
}

struct Client {
    orders: Orders,
    kernel: Kernel,
}

impl Client {
    fn new(orders: Orders) -> Result<Self> {
        let kernel = Kernel::open(Settings::at(&orders.pins)).context("loading")?;
        let day = Duration::from_secs(86_400);
        kernel.configure(&Configuration {
            gateway4: Some(orders.gateway),
            stale_buffered: day,
            stale_direct: day,
            ..Configuration::default()
        })?;
        kernel.beat(kernel::monotonic());
        let client = Self { orders, kernel };
        client.set_backends(client.orders.pod)?;
        Ok(client)
    }

    fn set_backends(&self, to: SocketAddr) -> Result<()> {
        let pod = Backend {
            to,
            pod: PodId(1),
            is_remote: false,
            room: 0,
        };
        Ok(self.kernel.set_backends(TARGET.into(), Mode::Direct, &[pod])?)
    }

    fn attach(&self) -> Result<()> {
        let hooks = Hooks {
            account: false,
            redirect: true,
        };
        Ok(self.kernel.attach(&self.orders.cgroup, hooks)?)
    }

    fn detach(&self) -> Result<()> {
        Ok(self.kernel.detach(&self.orders.cgroup)?)
    }

    /// The median, in ns.
    fn connects(&self, attached: bool, to: SocketAddr) -> Result<f64> {
        self.set_backends(self.orders.silent)?;
        if attached {
            self.attach()?;
        }
        let times: Result<Vec<f64>> = (0..CONNECTS).map(|_| connect_to(to).map(|(time, _)| time)).collect();
        self.detach()?;
        Ok(median(&times?))
    }

    /// ns that the programs take for a redirected connection.
    fn cost(&self) -> Result<f64> {
        self.set_backends(self.orders.pod)?;
        self.attach()?;
        let before = cost::spent(&self.kernel);
        let statistics = Statistics::on()?;
        for _ in 0..CONNECTS {
            connect_to(TARGET.into())?;
        }
        drop(statistics);
        let spent = cost::since(&cost::spent(&self.kernel), &before);
        self.detach()?;
        let runs = spent.get(&Hook::Connect4).map_or(0, |(_, runs)| *runs);
        if runs != u64::from(CONNECTS) {
            bail!("connect4 ran {runs} times in {CONNECTS} connections");
        }
        let time: u64 = spent.values().map(|(time, _)| time).sum();
        Ok(time as f64 / f64::from(CONNECTS))
    }

    fn switches(&self) -> Result<Switched> {
        self.set_backends(self.orders.pod)?;
        self.attach()?;
        let mut switched = Switched::default();
        for turn in 0..SWITCHES {
            let (mode, side) = if turn % 2 == 0 {
                (Mode::Buffered, b'g')
            } else {
                (Mode::Direct, b'p')
            };
            let begun = Instant::now();
            self.kernel.set_mode(TARGET.into(), mode)?;
            let set = begun.elapsed();
            let (_, mut stream) = connect_to(TARGET.into())?;
            switched.until_connected.push(begun.elapsed().as_nanos() as f64);
            switched.set_mode.push(set.as_nanos() as f64);
            let mut letter = [0];
            stream.read_exact(&mut letter)?;
            switched.on_the_old_side += u64::from(letter[0] != side);
        }
        for _ in 0..SWITCHES {
            let begun = Instant::now();
            self.set_backends(self.orders.pod)?;
            switched.set_backends.push(begun.elapsed().as_nanos() as f64);
        }
        self.detach()?;
        Ok(switched)
    }
}

/// A connection that will be reset, and how long connect() took.
fn connect_to(to: SocketAddr) -> Result<(f64, TcpStream)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_linger(Some(Duration::ZERO))?;
    let to = to.into();
    let begun = Instant::now();
    socket.connect(&to)?;
    Ok((begun.elapsed().as_nanos() as f64, socket.into()))
}
