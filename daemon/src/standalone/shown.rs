// SPDX-License-Identifier: Apache-2.0
//! What the user is told once everything runs.
//!
//! Depends on: cli, cluster, left, machine.

use std::fs;
use std::net::SocketAddr;

use super::cluster::Served;
use super::left;
use super::machine::Machine;
use crate::cli;
use crate::failure::{Failure, doing};
use crate::output;

/// Writes a kubeconfig, and says what to try.
pub(super) fn greet(
    arguments: &cli::Standalone,
    domain: &str,
    cluster: &Served,
    machine: &Machine,
    metrics: SocketAddr,
) -> Result<(), Failure> {
    let kubeconfig = left::kubeconfig(&arguments.run_dir);
    let writing = || doing(format!("writing {}", kubeconfig.display()), "choose another --run-dir");
    fs::create_dir_all(&arguments.run_dir).map_err(writing())?;
    fs::write(&kubeconfig, config(cluster)).map_err(writing())?;
    let mut lines = vec![
        format!(
            "gateway  http://{}   as http://NAME.NAMESPACE.{domain}:{}",
            machine.outer,
            machine.outer.port()
        ),
        format!(
            "API      http://{}   export KUBECONFIG={}",
            cluster.address,
            kubeconfig.display()
        ),
    ];
    lines.push(format!("metrics  http://{metrics}/metrics"));
    if let Some(other) = arguments.domain.as_ref().filter(|other| *other != domain) {
        lines.push(format!(
            "note: --domain {other} is not in force: the ConfigMap knative-serving/config-domain names {domain}; to change it: \
             kubectl -n knative-serving edit configmap config-domain, or the file that has it"
        ));
    }
    if let Some(why) = machine.obstacle() {
        lines.push(format!("note: every request takes the gateway: {why}"));
    }
    lines.push("ready".to_owned());
    output::print(&lines)
}

fn config(cluster: &Served) -> String {
    let server = cluster.address;
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- {{name: sluice, cluster: {{server: 'http://{server}'}}}}\n\
         contexts:\n- {{name: sluice, context: {{cluster: sluice, user: ''}}}}\ncurrent-context: sluice\n"
    )
}
