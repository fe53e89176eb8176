// SPDX-License-Identifier: Apache-2.0
//! The suite `api`: what a real kube-apiserver makes of our kinds.
//!
//! Problem: whether a schema is accepted, what it prunes, keeps and fills in can only be learnt from the server.
//! Mechanism: `cargo xtask test api` brings up etcd and kube-apiserver and says where; the definitions of deploy/crds
//! are applied once; every case has a namespace of its own.
//! Invariants: without a cluster every case is skipped, and failed under `CI=true`.
//! Depends on: api (kinds and types), standalone, kubectl.

mod admission;
mod behaviour;
mod definitions;
mod local;
mod rig;
mod round_trip;
mod samples;
mod webhook;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::rig::{Cluster, Place};

/// A case: what it claims, and how that is checked in a namespace of its own.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) check: fn(&Place) -> anyhow::Result<()>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = definitions::CASES
        .iter()
        .chain(round_trip::CASES)
        .chain(admission::CASES);
    let cluster = Cluster::named_by_environment();
    let real = cluster.as_ref().ok().map(Cluster::paths);
    let mut trials: Vec<Trial> = match cluster {
        Ok(cluster) => {
            if let Err(error) = cluster.define_kinds() {
                eprintln!("api-suite: {error:#}");
                return ExitCode::FAILURE;
            }
            let cluster = Arc::new(cluster);
            cases.map(|case| trial(case, &cluster)).collect()
        }
        Err(missing) => {
            eprintln!("api-suite: {missing:#}; `cargo xtask test api` brings a cluster up");
            cases.map(skipped).collect()
        }
    };
    trials.extend(local::trials());
    match behaviour::trials(real) {
        Ok(more) => trials.extend(more),
        Err(error) => {
            eprintln!("api-suite: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(case: &'static Case, cluster: &Arc<Cluster>) -> Trial {
    let cluster = Arc::clone(cluster);
    Trial::test(case.name, move || {
        let checked = cluster.place(case.name).and_then(|place| (case.check)(&place));
        checked.map_err(|error| Failed::from(format!("{error:#}")))
    })
}

fn skipped(case: &'static Case) -> Trial {
    let must_run = rig::is_ci();
    Trial::test(case.name, || Err(Failed::from("no cluster"))).with_ignored_flag(!must_run)
}
