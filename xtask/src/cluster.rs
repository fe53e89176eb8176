// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask cluster`: a real Kubernetes on this machine, for tests and for trying things.
//!
//! Problem: what an API server accepts, prunes and answers can only be learnt from a real one.
//! Mechanism: tier `api` is etcd and kube-apiserver on free ports of the loopback, with certificates made for the
//! occasion; who was started stands in a file, so that `down` ends exactly those. A cluster of a test is a [`Cluster`]
//! and ends with it, and with this process.
//! Invariants: nothing of a cluster is in the tree; its folder is for its owner only and goes with it.
//! Depends on: programs, certificates, processes.

mod api;
mod certificates;
mod processes;
mod programs;

use crate::place;
use anyhow::{Context, Result, bail};
use processes::Processes;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What the folder of a test's cluster is called, before the id of its process.
const OF_A_TEST: &str = "cluster-";

/// Options of `cluster`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    step: Step,
}

#[derive(clap::Subcommand)]
enum Step {
    /// Bring a cluster up; it stays until `down`
    Up {
        /// How much of Kubernetes it has
        #[arg(long, value_enum, default_value = "api")]
        tier: Tier,
    },
    /// End what `up` started and remove what it wrote
    Down,
}

/// How much of Kubernetes a cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tier {
    /// etcd and kube-apiserver: objects, schemas, admission, watches; nothing runs
    Api,
}

/// Whether processes end with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// They stay.
    OfItsOwn,
    /// They end with this process, however it ends.
    OfThisProcess,
}

/// Brings the cluster up or takes it down.
pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = place::cache()?.join("cluster");
    match options.step {
        Step::Up { tier } => {
            let Tier::Api = tier;
            if Processes::read(&folder)?.any_lives() {
                bail!("a cluster is up already: `cargo xtask cluster down` ends it");
            }
            let begun = Instant::now();
            if let Err(error) = fresh(&folder).and_then(|()| api::start(&folder, Life::OfItsOwn)) {
                end(&folder)?;
                return Err(error);
            }
            eprintln!("cluster: up in {:.1} s", begun.elapsed().as_secs_f64());
            println!("export KUBECONFIG={}", kubeconfig(&folder).display());
            Ok(())
        }
        Step::Down => end(&folder),
    }
}

/// A cluster for a test: it ends when this is dropped.
pub(crate) struct Cluster {
    folder: PathBuf,
}

impl Cluster {
    /// Installs and builds what a cluster needs; quick when nothing is missing.
    pub(crate) fn prepare() -> Result<()> {
        programs::prepare()
    }

    /// Brings one up beside any other.
    pub(crate) fn up(tier: Tier) -> Result<Self> {
        let Tier::Api = tier;
        sweep()?;
        let folder = place::cache()?.join(format!("{OF_A_TEST}{}", std::process::id()));
        fresh(&folder)?;
        let cluster = Self { folder };
        api::start(&cluster.folder, Life::OfThisProcess)?;
        Ok(cluster)
    }

    /// Where kubeconfig, certificates and logs are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The kubectl of its version.
    pub(crate) fn kubectl() -> Result<PathBuf> {
        programs::kubectl()
    }

    /// A kubectl of years ago: Debian's.
    pub(crate) fn old_kubectl() -> Result<PathBuf> {
        programs::old_kubectl()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = end(&self.folder) {
            eprintln!("cluster: {error:#}");
        }
    }
}

/// Removes what tests left that were killed; their clusters ended with them.
fn sweep() -> Result<()> {
    let Ok(entries) = fs::read_dir(place::cache()?) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(OF_A_TEST));
        if owner.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            end(&entry.path())?;
        }
    }
    Ok(())
}

fn kubeconfig(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

/// An empty folder that only its owner can read.
fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("making {}", folder.display()))
}

fn end(folder: &Path) -> Result<()> {
    Processes::read(folder)?.end()?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(())
}
