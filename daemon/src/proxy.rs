// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy`: the request path alone, with routes and pods from a file.
//!
//! Problem: tests, benches and people want the path without a cluster.
//! Mechanism: `config` reads the file; `wiring` makes revisions and routes of it, and puts a changed file in their place
//! while requests go on. The file is looked at every second.
//! Invariants: a file with a mistake changes nothing, and says where the mistake is; SIGINT and SIGTERM drain.
//! Depends on: proxy, life, cli.

mod config;
mod wiring;

use crate::cli;
use crate::failure::{Exit, Failure, doing};
use config::Config;
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
    Config::parse(&text).map_err(|fault| {
        let message = format!("{}: {fault}", path.display());
        Failure::new(Exit::Usage, message, "docs/request-path.md shows a whole file")
    })
}

async fn serve(path: &Path, config: Config) -> Result<(), Failure> {
    let tasks = Tasks::new();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(doing("waiting for signals", ""))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(doing("waiting for signals", ""))?;
    let mut wiring = Wiring::open(&config, &tasks)
        .await
        .map_err(doing("listening", "choose another `listen`"))?;
    for address in wiring.addresses() {
        println!("listening on {address}");
    }
    let mut seen = changed_at(path);
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
        let now = changed_at(path);
        if now != seen {
            seen = now;
            reload(path, &mut wiring);
        }
    }
    tasks.drain();
    if timeout(GRACE, tasks.gone()).await.is_err() {
        tasks.stop().await;
    }
    Ok(())
}

fn reload(path: &Path, wiring: &mut Wiring) {
    match read(path) {
        Ok(config) => {
            wiring.apply(&config);
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
