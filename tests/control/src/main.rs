// SPDX-License-Identifier: Apache-2.0
//! The suite `control`: what the controllers make of what users write.
//!
//! Problem: a controller is right only together with the others and with a server that has its own mind.
//! Mechanism: every scenario runs the real controllers against the embedded API in this process, and, where a cluster is
//! up, against a real kube-apiserver; Deployments, PodAutoscalers and Ingresses become ready when the scenario says so.
//! Invariants: an embedded scenario has an API of its own; those of the real server run one after the other, each in
//! a namespace of its own, and leave nothing that runs.
//! Depends on: control, standalone, kubectl (for its proxy).

mod load;
mod machines;
mod place;
mod scenarios;
mod server;
mod world;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::place::Place;
use crate::scenarios::Scenario;
use crate::server::Server;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = scenarios::all()
        .map(|scenario| trial("embedded", scenario, Arc::new(Server::embedded())))
        .collect();
    match Server::real() {
        Ok(Some(server)) => {
            let server = Arc::new(server);
            let everywhere = scenarios::all().filter(|scenario| !scenario.needs_collector);
            trials.extend(everywhere.map(|scenario| trial("real", scenario, Arc::clone(&server))));
        }
        Ok(None) => {
            eprintln!("control-suite: SLUICE_CLUSTER names no cluster; `cargo xtask test control` brings one up")
        }
        Err(error) => {
            eprintln!("control-suite: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(title: &str, scenario: &'static Scenario, server: Arc<Server>) -> Trial {
    Trial::test(format!("{title}::{}", scenario.name), move || {
        let _turn = server.turn();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let checked = runtime.block_on(async {
            let place = Place::new(&server, scenario.name).await?;
            let checked = (scenario.check)(place.clone()).await;
            let checked = match checked {
                Err(error) => Err(anyhow::anyhow!("{error:#}\n{}", place.tell().await)),
                ok => ok,
            };
            place.end().await;
            checked
        });
        checked.map_err(|error: anyhow::Error| Failed::from(format!("{error:#}")))
    })
}
