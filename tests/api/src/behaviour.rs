// SPDX-License-Identifier: Apache-2.0
//! How an API server behaves: the same scenarios against the embedded API and the real kube-apiserver.
//!
//! Problem: what runs on the embedded API must not learn rules that a cluster does not have.
//! Mechanism: plain HTTP and JSON; the real server is reached through `kubectl proxy`, the embedded one runs here.
//! Invariants: a scenario has a namespace of its own and names only what both servers do; the embedded server is always
//! tested, the real one when a cluster is up; kubectl's scenarios need the kubectl that comes with the cluster.
//! Depends on: standalone, kubectl.

mod apply;
mod kubectl;
mod lifecycle;
mod lists;
mod natives;
mod objects;
mod place;
mod schema;
mod server;
mod status;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};

use place::{Place, Scenario};
use server::Server;

/// Every scenario, once for each server; `real` is the folder of a cluster and its kubectl.
pub(crate) fn trials(real: Option<(PathBuf, PathBuf)>) -> anyhow::Result<Vec<Trial>> {
    let mut servers = vec![("embedded", Arc::new(Server::embedded()?))];
    let program = real.as_ref().map(|(_, kubectl)| kubectl.clone());
    if let Some((folder, kubectl)) = real {
        servers.push(("real", Arc::new(Server::real(&folder, &kubectl)?)));
    }
    let everywhere = [
        objects::SCENARIOS,
        lists::SCENARIOS,
        lifecycle::SCENARIOS,
        apply::SCENARIOS,
        natives::SCENARIOS,
        schema::SCENARIOS,
        status::SCENARIOS,
    ];
    let embedded_only = [objects::EMBEDDED_ONLY, lists::EMBEDDED_ONLY, schema::EMBEDDED_ONLY];
    let with_kubectl = if program.is_some() { kubectl::SCENARIOS } else { &[] };
    let mut trials = Vec::new();
    for (title, server) in &servers {
        let more = match *title {
            "embedded" => embedded_only.as_slice(),
            _ => &[schema::REAL_ONLY, status::REAL_ONLY],
        };
        let scenarios = everywhere.iter().chain(more).chain([&with_kubectl]).copied().flatten();
        trials.extend(scenarios.map(|scenario| trial(title, scenario, Arc::clone(server), program.clone())));
    }
    Ok(trials)
}

fn trial(title: &str, scenario: &'static Scenario, server: Arc<Server>, kubectl: Option<PathBuf>) -> Trial {
    Trial::test(format!("{title}::{}", scenario.name), move || {
        let checked = Place::new(&server, kubectl.as_deref(), scenario.name).and_then(|place| (scenario.check)(&place));
        checked.map_err(|error| Failed::from(format!("{error:#}")))
    })
}
