// SPDX-License-Identifier: Apache-2.0
//! One case: a field, a counter, a server that keeps the truth, and the verdict at the end.
//!
//! Problem: every case must judge in the same, complete way.
//! Mechanism: [`Scene::rest`] waits until the application is idle and the kernel agrees that nothing is in flight;
//! [`Scene::exact`] then compares everything that both sides know.
//! Invariants: intervals are judged without a tolerance for scheduling: the application's (head read → before the
//! last write) lies inside the kernel's (arrival → departure), which lies inside the client's.
//! Depends on: rig, truth, client, counter.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};

use crate::client::Clock;
use crate::counter::{Counter, POD, PodId, Snapshot};
use crate::rig::{Disorder, Field, Rig};
use crate::role::Role;
use crate::truth::{Server, Truth};

/// How long a client may take.
const CLIENT_LIMIT: Duration = Duration::from_secs(120);
/// How long until everybody agrees that nothing is in flight. Retransmissions under loss back off for seconds.
const REST_LIMIT: Duration = Duration::from_secs(40);

/// A case's surroundings; taken down in this order.
pub struct Scene<'r> {
    servers: Vec<Role>,
    counter: Option<Counter>,
    /// Client, router, pod.
    pub field: Field,
    /// The run's ground.
    pub rig: &'r Rig,
    ports: u16,
    clock: Clock,
    began: Instant,
}

/// Both sides when nothing is in flight any more.
#[derive(Clone, Debug)]
pub struct Rest {
    /// What the application saw.
    pub truth: Truth,
    /// What the kernel counted.
    pub counted: Snapshot,
}

/// The network lost or reordered by itself, and the kernel flagged it: the case says nothing about a network that does
/// not, and has to be run again.
#[derive(Debug, thiserror::Error)]
#[error("a network that reorders, which this case is not about: {pod:?} at the pod, {client:?} at the client\n{what}")]
pub struct Disturbed {
    what: String,
    pod: Disorder,
    client: Disorder,
}

impl<'r> Scene<'r> {
    /// A fresh field with the pod's cgroup counted.
    pub fn new(rig: &'r Rig, name: &str) -> Result<Self> {
        Self::with_counter(rig, name, Counter::open)
    }

    /// Starts a server inside the pod.
    pub fn serve(&mut self, server: Server) -> Result<()> {
        let role = Role::start(
            self.rig,
            Some(self.field.cgroup.path()),
            Some(&self.field.pod),
            "serve",
            server,
        )?;
        self.servers.push(role);
        self.ports = self.ports.max(server.ports);
        if server.ports > 1 {
            self.counter().track_ports(&self.field, server.ports)?;
        }
        Ok(())
    }

    /// A fresh field whose kernel side is opened in another way.
    pub fn with_counter(rig: &'r Rig, name: &str, open: impl FnOnce(&Rig, &Field) -> Result<Counter>) -> Result<Self> {
        let field = rig.field(name)?;
        let counter = open(rig, &field)?;
        Ok(Self {
            servers: Vec::new(),
            counter: Some(counter),
            field,
            rig,
            ports: 1,
            clock: Clock::default(),
            began: Instant::now(),
        })
    }

    /// The kernel side.
    ///
    /// # Panics
    /// While the case has taken it away.
    #[expect(
        clippy::expect_used,
        reason = "a case that took the counter must put it back before it judges"
    )]
    pub fn counter(&self) -> &Counter {
        self.counter.as_ref().expect("invariant: the counter was put back")
    }

    /// The kernel side, to be closed and opened.
    ///
    /// # Panics
    /// While the case has taken it away.
    #[expect(clippy::expect_used, reason = "as above")]
    pub fn counter_mut(&mut self) -> &mut Counter {
        self.counter.as_mut().expect("invariant: the counter was put back")
    }

    /// Takes the kernel side away, to restart it while the scene is used by clients.
    pub fn take_counter(&mut self) -> Result<Counter> {
        self.counter.take().context("it was taken already")
    }

    /// Puts it back.
    pub fn put_counter(&mut self, counter: Counter) {
        self.counter = Some(counter);
    }

    /// What the first server saw, port by port.
    pub fn truths(&self) -> Result<Vec<Truth>> {
        self.servers.first().context("no server was started")?.ask("truths")
    }

    /// The process of the first server.
    pub fn server(&mut self) -> Result<&mut Role> {
        self.servers.first_mut().context("no server was started")
    }

    /// Kills every server (SIGKILL): what the applications saw is lost with them.
    pub fn kill_servers(&mut self) -> Result<()> {
        self.servers.drain(..).try_for_each(|mut server| server.kill())
    }

    /// Without an application to ask: the kernel has counted so many requests and closed every one.
    pub fn kernel_rests_after(&self, requests: u64) -> Result<()> {
        let rest = self.rest()?;
        let mut verdict = Verdict::default();
        judge_balance(&mut verdict, &rest.counted);
        verdict.equal("started", rest.counted.started, requests);
        verdict.speak(&rest)
    }

    /// The pod's IPv4 address.
    pub fn address(&self) -> SocketAddr {
        self.field.pod_address(false)
    }

    /// The pod's IPv6 address.
    pub fn address6(&self) -> SocketAddr {
        self.field.pod_address(true)
    }

    /// What clients add their times to.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Runs a client in the client's namespace.
    pub fn client<T: Send>(&self, work: impl AsyncFnOnce(SocketAddr, &Clock) -> Result<T> + Send) -> Result<T> {
        self.client_at(self.address(), work)
    }

    /// As [`Scene::client`], told another address.
    pub fn client_at<T: Send>(
        &self,
        address: SocketAddr,
        work: impl AsyncFnOnce(SocketAddr, &Clock) -> Result<T> + Send,
    ) -> Result<T> {
        let clock = &self.clock;
        self.field
            .client
            .block_on(CLIENT_LIMIT, async move || work(address, clock).await)
    }

    /// What the applications saw so far, all servers together.
    pub fn truth(&self) -> Result<Truth> {
        let mut sum = Truth::default();
        for server in &self.servers {
            sum.add(&server.ask("truth")?);
        }
        Ok(sum)
    }

    /// Waits until the applications have seen so many requests start.
    pub fn started(&self, requests: u64) -> Result<()> {
        self.wait(|truth| truth.started >= requests)
    }

    /// Waits for something the applications will see.
    pub fn wait(&self, until: impl Fn(&Truth) -> bool) -> Result<()> {
        let deadline = Instant::now() + REST_LIMIT;
        while !until(&self.truth()?) {
            if Instant::now() > deadline {
                bail!("the server never saw it: {:?}", self.truth()?);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Waits until nothing is in flight and no connection open, on both sides.
    pub fn rest(&self) -> Result<Rest> {
        self.wait(|truth| truth.in_flight == 0 && truth.open == 0)
            .context("the application is not at rest")?;
        let truth = self.truth()?;
        let deadline = Instant::now() + REST_LIMIT;
        loop {
            let counted = self.counted()?;
            let is_at_rest = counted.started == counted.ended && counted.connections == counted.closed;
            if is_at_rest || Instant::now() > deadline {
                return Ok(Rest { truth, counted });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All ports that servers have, summed.
    fn counted(&self) -> Result<Snapshot> {
        let mut sum = Snapshot::default();
        for pod in POD.0..POD.0 + u32::from(self.ports) {
            sum.add(&self.counter().snapshot_of(PodId(pod))?);
        }
        Ok(sum)
    }

    /// So many requests, and the kernel counted every one of them exactly, without a doubt.
    pub fn exact(&self, requests: u64) -> Result<()> {
        let rest = self.rest()?;
        let mut verdict = Verdict::default();
        verdict.equal(
            "requests the application started, against the case",
            rest.truth.started,
            requests,
        );
        self.judge_counts(&mut verdict, &rest.truth, &rest.counted);
        self.judge_integral(&mut verdict, &rest.truth, &rest.counted);
        verdict.speak(&rest).map_err(|wrong| self.explain(wrong, &rest.counted))
    }

    /// With what TCP saw of the network. A difference that is not flagged is the kernel side's fault whatever it saw.
    fn explain(&self, wrong: Error, counted: &Snapshot) -> Error {
        let (pod, client) = match (self.field.pod.disorder(), self.field.client.disorder()) {
            (Ok(pod), Ok(client)) => (pod, client),
            (Err(error), _) | (_, Err(error)) => {
                return wrong.context(format!("the network cannot be asked: {error:#}"));
            }
        };
        let what = format!("{wrong:#}");
        if counted.uncertain > 0 && (pod, client) != Default::default() {
            return Disturbed { what, pod, client }.into();
        }
        anyhow!("{what}\nnetwork: {pod:?} at the pod, {client:?} at the client")
    }

    /// Invariants that hold whatever the network or the client does: started = ended, nothing in flight.
    pub fn balanced(&self) -> Result<Rest> {
        let rest = self.rest()?;
        let mut verdict = Verdict::default();
        judge_balance(&mut verdict, &rest.counted);
        verdict.speak(&rest)?;
        Ok(rest)
    }

    /// After [`Scene::balanced`]: port by port, what the application saw and what the kernel counted.
    pub fn by_port(&self) -> Result<Vec<Rest>> {
        let mut all = Vec::new();
        for (pod, truth) in (POD.0..).zip(self.truths()?) {
            all.push(Rest {
                truth,
                counted: self.counter().snapshot_of(PodId(pod))?,
            });
        }
        Ok(all)
    }

    fn judge_counts(&self, verdict: &mut Verdict, truth: &Truth, counted: &Snapshot) {
        judge_balance(verdict, counted);
        verdict.equal("started", counted.started, truth.started);
        verdict.equal("ended", counted.ended, truth.ended + truth.aborted);
        verdict.equal("uncertain", counted.uncertain, 0);
        verdict.equal("connections", counted.connections, truth.connections);
        // The application learns of a reset later than the kernel: its own maximum may then be too high.
        let too_low = counted.maximum < truth.maximum && truth.aborted == 0;
        if too_low || counted.maximum > truth.started {
            let (low, high) = (truth.maximum, truth.started);
            verdict.wrong(format_args!(
                "maximum in flight {}, not in {low}..={high}",
                counted.maximum
            ));
        }
        if truth.aborted == 0 && counted.http2 == 0 && counted.opaque == 0 {
            for class in 1..6 {
                verdict.equal(&format!("{class}xx"), counted.status[class], truth.status[class]);
            }
        }
    }

    fn judge_integral(&self, verdict: &mut Verdict, truth: &Truth, counted: &Snapshot) {
        let (measured, outer) = self.clock.sum();
        let high = if measured == truth.started {
            outer
        } else {
            let all = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            all.saturating_mul(counted.maximum.max(1))
        };
        if counted.integral < truth.inner || counted.integral > high {
            verdict.wrong(format_args!(
                "integral {} ns, not in {}..={high}",
                counted.integral, truth.inner
            ));
        }
    }
}

fn judge_balance(verdict: &mut Verdict, counted: &Snapshot) {
    verdict.equal("ended, against started", counted.ended, counted.started);
    verdict.equal("closed, against connections", counted.closed, counted.connections);
    if counted.in_flight != 0 {
        verdict.wrong(format_args!("in flight at rest: {}", counted.in_flight));
    }
}

#[derive(Default)]
struct Verdict(String);

impl Verdict {
    fn equal(&mut self, what: &str, got: u64, expected: u64) {
        if got != expected {
            self.wrong(format_args!("{what}: {got}, expected {expected}"));
        }
    }

    fn wrong(&mut self, what: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.0, "{what}");
    }

    fn speak(self, rest: &Rest) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        bail!("{}application: {:?}\nkernel: {:?}", self.0, rest.truth, rest.counted)
    }
}
