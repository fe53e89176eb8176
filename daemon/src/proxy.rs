// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy`: the request path alone, with routes and pods from a file.
//!
//! Problem: tests, benches and people want the path without a cluster.
//! Mechanism: `config` reads the file; `wiring` makes revisions and routes of it, and puts a changed file in their place
//! while requests go on. The file is looked at every second. `steer` hands pods and targets to
//! the node's kernel part, `status` tells how all stands.
//! Invariants: a file with a mistake changes nothing, and says where the mistake is; SIGINT and SIGTERM drain.
//! Depends on: proxy, life, cli, node.

mod certificates;
mod config;
mod status;
mod steer;
mod wiring;

use crate::cli;
use crate::failure::{Exit, Failure, doing};
use config::{Config, Listen, Visibility};
use life::Tasks;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use wiring::Wiring;

/// Between two looks at the file.
const LOOK: Duration = Duration::from_secs(1);
/// How long requests may still take after a signal.
const GRACE: Duration = Duration::from_secs(30);

/// Runs the command.
pub(crate) fn run(arguments: &cli::Proxy) -> Result<Exit, Failure> {
    let config = read(&arguments.config)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = arguments.threads {
        runtime.worker_threads(usize::from(threads.get()));
    }
    let runtime = runtime.enable_all().build().map_err(doing("starting", ""))?;
    runtime.block_on(serve(&arguments.config, config))?;
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(doing(format!("reading {}", path.display()), ""))?;
    Config::parse(&text).map_err(|fault| at_fault(path, &fault))
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

async fn serve(path: &Path, config: Config) -> Result<(), Failure> {
    let tasks = Tasks::new();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(doing("waiting for signals", ""))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(doing("waiting for signals", ""))?;
    let limits = config.limits.checked().map_err(|fault| at_fault(path, &fault))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut wiring, faults) = Wiring::new(&config, folder).map_err(doing("making keys for TLS", ""))?;
    if let Some(fault) = faults.first() {
        return Err(at_fault(path, fault));
    }
    wiring.open(&config, &limits, &tasks).await?;
    for (address, listen) in wiring.addresses() {
        println!("listening on {address}{}", remark(listen));
    }
    let (mut seen, mut lost) = (changed_at(path), 0);
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
        let before = std::mem::replace(&mut lost, wiring.lost());
        if lost > before {
            eprintln!(
                "{} lines of the log were dropped: its reader is too slow, or gone",
                lost - before
            );
        }
        let now = changed_at(path);
        if now != seen {
            seen = now;
            reload(path, &mut wiring);
        } else if let Some(faults) = wiring.renew() {
            renewed(&faults);
        }
    }
    wiring.leave();
    tasks.drain();
    if timeout(GRACE, tasks.gone()).await.is_err() {
        tasks.stop().await;
    }
    Ok(())
}

fn reload(path: &Path, wiring: &mut Wiring) {
    match read(path) {
        Ok(config) => {
            let faults = wiring.apply(&config);
            for fault in &faults {
                eprintln!("{fault}; what was served before stays");
            }
            eprintln!("{} was read again", path.display());
        }
        Err(failure) => {
            let (message, _) = failure.into_parts();
            eprintln!("{message}; the old one stays");
        }
    }
}

fn changed_at(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|file| file.modified()).ok()
}
