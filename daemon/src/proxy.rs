// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy`: the request path alone, with routes and pods from a file.
//!
//! Problem: tests, benches and people want the path without a cluster.
//! Mechanism: `config` reads the file; `wiring` makes revisions and routes of it, and puts a changed file in their place
//! while requests go on. The file is looked at every second. `steer` hands pods and targets to
//! the node's kernel part, `status` tells how all stands.
//! Invariants: a file with a mistake changes nothing, and says where the mistake is; SIGINT and SIGTERM drain,
//! and so does a successor (`handover`); the log ends after the requests.
//! Depends on: proxy, life, cli, handover, node.

mod admin;
mod certificates;
mod config;
mod status;
mod steer;
mod wiring;

use crate::cli;
use crate::failure::{Exit, Failure, doing};
use crate::handover::Sockets;
use crate::signals::Signals;
use certificates::{Stamp, stamp};
use config::{Config, Fixed, Listen, Visibility};
use life::Tasks;
use proxy::{Cores, Limits, Spread};
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wiring::Wiring;

/// Between two looks at the file.
const LOOK: Duration = Duration::from_secs(1);
/// How long requests may still take after a signal.
const GRACE: Duration = Duration::from_secs(30);
/// How long what waits for a pod may take then to be told that none will come, and the log's reader for the last lines.
const LAST: Duration = Duration::from_secs(1);
/// How long idle connections stay open for a last request, when another process has taken over.
const IDLE: Duration = Duration::from_secs(30);

/// Runs the command.
pub(crate) fn run(arguments: &cli::Proxy) -> Result<Exit, Failure> {
    // Whoever changes it while we start is heard.
    let seen = stamp(&arguments.config);
    let config = read(&arguments.config)?;
    let cores = Cores::start(arguments.threads.map(NonZeroUsize::from)).map_err(doing("starting", ""))?;
    // Connections are served on the cores; here is what is left.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(doing("starting", ""))?;
    let served = runtime.block_on(serve(arguments, config, seen, cores.spread()));
    // A line that nobody reads would be waited for.
    runtime.shutdown_background();
    served?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(doing(format!("reading {}", path.display()), ""))?;
    Config::parse(&text).map_err(|fault| at_fault(path, &fault))
}

/// The bounds that a file names which holds nothing else.
pub(crate) fn limits(path: &Path) -> Result<Limits, Failure> {
    let text = std::fs::read_to_string(path).map_err(doing(format!("reading {}", path.display()), ""))?;
    config::limits_alone(&text).map_err(|fault| {
        let message = format!("{}: {fault}", path.display());
        Failure::new(Exit::Usage, message, "docs/limits.md names all limits")
    })
}

fn at_fault(path: &Path, fault: &dyn std::error::Error) -> Failure {
    let message = format!("{}: {fault}", path.display());
    Failure::new(Exit::Usage, message, "docs/request-path.md shows a whole file")
}

/// What is special about a listener.
fn remark(listen: &Listen) -> &'static str {
    match (listen.tls, listen.visibility) {
        (false, Visibility::External) => "",
        (true, Visibility::External) => " (TLS)",
        (false, Visibility::ClusterLocal) => " (cluster-local)",
        (true, Visibility::ClusterLocal) => " (TLS, cluster-local)",
    }
}

fn renewed(faults: &[certificates::Fault]) {
    for fault in faults {
        eprintln!("{fault}; what was served before stays");
    }
    if faults.is_empty() {
        eprintln!("certificates were read again");
    }
}

/// What is looked at every second.
struct Looked<'a> {
    path: &'a Path,
    wiring: Wiring,
    /// What the file said at the start and holds until the end.
    fixed: Fixed,
    /// Which of it the file has otherwise now, as it was told.
    told: Vec<&'static str>,
    seen: Stamp,
    /// Lines of the log.
    lost: u64,
}

impl Looked<'_> {
    fn again(&mut self) {
        let before = std::mem::replace(&mut self.lost, self.wiring.lost());
        if self.lost > before {
            eprintln!(
                "{} lines of the log were dropped: its reader is too slow, or gone",
                self.lost - before
            );
        }
        let now = stamp(self.path);
        if now != self.seen {
            self.seen = now;
            self.reload();
        } else if let Some(faults) = self.wiring.renew() {
            renewed(&faults);
        }
    }

    fn reload(&mut self) {
        let config = match read(self.path) {
            Ok(config) => config,
            Err(failure) => {
                let (message, _) = failure.into_parts();
                return eprintln!("{message}; the old one stays");
            }
        };
        for fault in self.wiring.apply(&config) {
            eprintln!("{fault}; what was served before stays");
        }
        let path = self.path.display();
        eprintln!("{path} was read again");
        let differing = self.fixed.differing(&config.fixed());
        if differing != self.told && !differing.is_empty() {
            let fields = differing.join(", ");
            eprintln!(
                "{path}: {fields}: what it says of this is for the next start (docs/restart.md: without a refused client)"
            );
        }
        self.told = differing;
    }
}

async fn serve(arguments: &cli::Proxy, config: Config, seen: Stamp, spread: Spread) -> Result<(), Failure> {
    let path = arguments.config.as_path();
    let tasks = Tasks::new();
    let mut signals = Signals::watch().map_err(doing("waiting for signals", ""))?;
    let limits = config.limits.checked().map_err(|fault| at_fault(path, &fault))?;
    if arguments.handover.is_some() && config.kernel.is_some() {
        let fault = "kernel: with --handover two processes would steer clients at once; restart it without --handover: \
                     direct clients do not notice, those of the gateway come again";
        return Err(at_fault(path, &io::Error::other(fault)));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut wiring, faults) =
        Wiring::new(&config, limits, folder, spread).map_err(doing("making keys for TLS", ""))?;
    if let Some(fault) = faults.first() {
        return Err(at_fault(path, fault));
    }
    let mut sockets = Sockets::arrive(arguments.handover.as_deref()).await?;
    wiring.open(&config, arguments.admin, &mut sockets, &tasks).await?;
    let mut successor = sockets.ready(&tasks).await?;
    for (address, listen) in wiring.addresses() {
        println!("listening on {address}{}", remark(listen));
    }
    if let Some(address) = wiring.admin() {
        println!("admin on http://{address}: /metrics, /healthz, /spans");
    }
    let mut looked = Looked {
        path,
        wiring,
        fixed: config.fixed(),
        told: Vec::new(),
        seen,
        lost: 0,
    };
    loop {
        tokio::select! {
            () = sleep(LOOK) => looked.again(),
            () = signals.came() => {
                looked.wiring.leave();
                tasks.drain();
                finish(&mut looked, GRACE, &mut signals, &tasks).await;
                break;
            }
            () = successor.came() => {
                eprintln!("another process has taken over; requests that are here finish");
                tasks.drain_patiently(IDLE.min(arguments.drain));
                finish(&mut looked, arguments.drain, &mut signals, &tasks).await;
                break;
            }
        }
    }
    looked.wiring.finish_log(LAST).await;
    Ok(())
}

/// Until all requests have ended, or for so long; a further signal shortens it. Pods still come and go meanwhile: there may be
/// requests that wait for one.
async fn finish(looked: &mut Looked<'_>, grace: Duration, signals: &mut Signals, tasks: &Tasks) {
    let mut end = Instant::now() + grace;
    loop {
        tokio::select! {
            () = tasks.gone() => return,
            () = sleep(LOOK) => looked.again(),
            () = signals.came() => end = end.min(Instant::now() + GRACE),
            () = sleep_until(end) => break,
        }
    }
    tasks.hurry();
    drop(timeout(LAST, tasks.gone()).await);
    tasks.stop().await;
}
