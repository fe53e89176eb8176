// SPDX-License-Identifier: Apache-2.0
//! Arguments of `sluice logs`.
//!
//! Depends on: clap.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  sluice logs hello             what all pods of the service hello wrote, each line with its pod's name
  sluice logs hello -f          and what they will write, those that start later too
  sluice logs hello-00001-deployment-6c5f8d7b9-x2x4v --tail 20
                                the last lines of one pod, as they were written";

/// `sluice logs`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Logs {
    /// A pod, or a Knative service
    pub(crate) name: String,
    /// Its namespace
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    pub(crate) namespace: String,
    /// Go on as more is written
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// So many of the last lines, of each pod
    #[arg(long, value_name = "LINES", value_parser = clap::value_parser!(u32))]
    pub(crate) tail: Option<u32>,
    /// The container, where the first one is not meant
    #[arg(short, long, value_name = "NAME")]
    pub(crate) container: Option<String>,
    /// Of the run before the last restart
    #[arg(short, long, conflicts_with = "follow")]
    pub(crate) previous: bool,
    /// Begin each line with its time
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// Where the API is [default: KUBECONFIG, else /run/sluice/kubeconfig]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl Logs {
    /// The file that says where the API is; of several in `KUBECONFIG` the first.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the environment")]
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let told = || {
            let paths = std::env::var_os("KUBECONFIG")?;
            std::env::split_paths(&paths).find(|path| !path.as_os_str().is_empty())
        };
        let usual = || PathBuf::from("/run/sluice/kubeconfig");
        self.kubeconfig.clone().or_else(told).unwrap_or_else(usual)
    }
}
