// SPDX-License-Identifier: Apache-2.0
//! `sluice logs`: what a pod wrote, or all pods of a service.
//!
//! Problem: who has a service does not know the names of its pods, and they change while one looks.
//! Mechanism: the API's logs, a stream a run of a container; while following, pods are looked for again and again.
//! Invariants: lines of a service have their pod's name before them and are never mixed; a run is shown once.
//! Depends on: cli, failure, logs::{pods, lines}, kube.

mod lines;
mod pods;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::SelectAll;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::time::MissedTickBehavior;

use crate::cli;
use crate::failure::{Exit, Failure, chain, doing};
use lines::Lines;
use pods::{Run, Subject};

/// How often pods are looked for while following.
const LOOK: Duration = Duration::from_millis(250);

/// Runs the command.
pub(crate) fn run(arguments: &cli::Logs) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(doing("starting", ""))?;
    let told = runtime.block_on(async {
        let client = connect(arguments).await?;
        let subject = pods::find(&client, arguments).await?;
        let pods = Api::namespaced(client, &arguments.namespace);
        match subject {
            Subject::Pod(run) => one(&pods, &run, arguments).await,
            Subject::Service(runs) => many(&pods, runs, arguments).await,
        }
    });
    match told {
        Err(Told::Enough) | Ok(()) => Ok(Exit::Done),
        Err(Told::Failed(failure)) => Err(failure),
    }
}

/// Why telling ended early.
enum Told {
    /// The reader has gone (`| head`).
    Enough,
    Failed(Failure),
}

impl From<Failure> for Told {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

async fn connect(arguments: &cli::Logs) -> Result<Client, Failure> {
    let path = arguments.kubeconfig();
    let help = "is `sluice standalone` running? --kubeconfig names the file that it said at its start";
    let unusable = |error: &dyn std::error::Error| {
        let message = format!("{}: {}", path.display(), chain(error));
        Failure::new(Exit::Failed, message, help)
    };
    let kubeconfig = Kubeconfig::read_from(&path).map_err(|error| unusable(&error))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.map_err(|error| unusable(&error))?;
    // A pod that is followed may be silent for as long as it likes.
    config.read_timeout = None;
    Client::try_from(config).map_err(|error| unusable(&error))
}

/// As they were written.
async fn one(pods: &Api<Pod>, run: &Run, arguments: &cli::Logs) -> Result<(), Told> {
    show(opened(pods, run, arguments, String::new()).await?).await
}

/// To the end.
async fn show(mut lines: Lines) -> Result<(), Told> {
    while let Some(line) = lines.next().await {
        tell(&line)?;
    }
    Ok(())
}

/// With the pods' names, as they come; one pod after the other where nothing is followed.
async fn many(pods: &Api<Pod>, runs: Vec<Run>, arguments: &cli::Logs) -> Result<(), Told> {
    if !arguments.follow {
        for run in &runs {
            show(opened(pods, run, arguments, run.prefix()).await?).await?;
        }
        return Ok(());
    }
    let (mut open, mut shown) = (SelectAll::<Lines>::new(), BTreeSet::new());
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(line) = open.next() => tell(&line)?,
            _ = look.tick() => {
                for run in pods::of_service(pods, arguments).await? {
                    if shown.insert(run.clone()) {
                        open.push(opened(pods, &run, arguments, run.prefix()).await?);
                    }
                }
            }
        }
    }
}

async fn opened(pods: &Api<Pod>, run: &Run, arguments: &cli::Logs, prefix: String) -> Result<Lines, Failure> {
    let wanted = LogParams {
        container: Some(run.container.clone()),
        follow: arguments.follow,
        previous: arguments.previous,
        tail_lines: arguments.tail.map(i64::from),
        timestamps: arguments.timestamps,
        ..LogParams::default()
    };
    match pods.log_stream(&run.pod, &wanted).await {
        Ok(reader) => Ok(lines::of(reader, prefix)),
        // It has gone since it was listed.
        Err(kube::Error::Api(status)) if status.is_not_found() && !prefix.is_empty() => Ok(lines::none()),
        Err(error) => Err(pods::refused(&error)),
    }
}

/// Writes a line; what was read is shown before more is waited for.
fn tell(line: &[u8]) -> Result<(), Told> {
    let mut out = io::stdout().lock();
    match out.write_all(line).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Told::Enough),
        other => other.map_err(doing("writing the output", "")).map_err(Told::Failed),
    }
}
