// SPDX-License-Identifier: Apache-2.0
//! What an instance stands on: the names that are its own, and the ports that it answers on.
//!
//! Mechanism: taken before anything else, so that whoever is refused is told of the other instance, not of its ports, and
//! has made nothing.
//! Invariants: of an instance that is refused nothing is left; of one that was killed nothing is touched.
//! Depends on: claim, cli, standalone (ranges).

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use ::standalone::runner::{NoRange, Range};
use tokio::net::TcpListener;

use super::claim::Claim;
use crate::cgroup;
use crate::cli;
use crate::failure::{Exit, Failure, doing};

/// A port, and where it is.
pub(super) type Listening = (TcpListener, SocketAddr);

/// What is ours.
pub(super) struct Ground {
    pub(super) claim: Claim,
    /// Of the pods.
    pub(super) cgroup: PathBuf,
    /// Addresses of pods.
    pub(super) pods: Range,
    pub(super) gateway: Listening,
    pub(super) api: Listening,
    pub(super) metrics: Listening,
}

impl Ground {
    /// Takes all of it.
    pub(super) async fn take(arguments: &cli::Standalone) -> Result<Self, Failure> {
        let pods = arguments.pod_cidr.parse();
        let pods = pods.map_err(|error: NoRange| Failure::new(Exit::Usage, format!("--pod-cidr: {error}"), ""))?;
        let root = cgroup::root(arguments.places.cgroup_root.as_deref(), &arguments.places.proc_root)?;
        let cgroup = pods_cgroup(&root, &arguments.cgroup)?;
        let claim = Claim::take(&arguments.run_dir, &cgroup, &arguments.device_prefix, pods)?;
        let listening = async {
            let gateway = listen(arguments.listen, "choose another --listen").await?;
            let api = listen(arguments.api, "choose another --api").await?;
            Ok((
                gateway,
                api,
                listen(arguments.metrics, "choose another --metrics").await?,
            ))
        };
        match listening.await {
            Ok((gateway, api, metrics)) => Ok(Self {
                claim,
                cgroup,
                pods,
                gateway,
                api,
                metrics,
            }),
            Err(failure) => {
                claim.give_back();
                Err(failure)
            }
        }
    }
}

/// Where pods' cgroups are made: below the mount, and never the mount itself.
fn pods_cgroup(root: &Path, named: &Path) -> Result<PathBuf, Failure> {
    let cgroup = root.join(named);
    let goes_up = cgroup.components().any(|part| part == Component::ParentDir);
    if goes_up || !cgroup.starts_with(root) || cgroup == root {
        let message = format!("--cgroup: {} is not below {}", named.display(), root.display());
        return Err(Failure::new(
            Exit::Usage,
            message,
            "name a cgroup below it, as in --cgroup sluice",
        ));
    }
    Ok(cgroup)
}

/// Listens.
async fn listen(address: SocketAddr, advice: &'static str) -> Result<Listening, Failure> {
    let listening = || doing(format!("listening on {address}"), advice);
    let listener = TcpListener::bind(address).await.map_err(listening())?;
    let address = listener.local_addr().map_err(listening())?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_given_a_cgroup_below_the_mount() {
        let root = Path::new("/sys/fs/cgroup");
        let given = |named: &str| pods_cgroup(root, Path::new(named)).map_err(Failure::into_parts);
        assert_eq!(given("sluice"), Ok("/sys/fs/cgroup/sluice".into()));
        assert_eq!(given("/sys/fs/cgroup/a/b"), Ok("/sys/fs/cgroup/a/b".into()));
        for wrong in ["", "/", "/sys/fs/cgroup", "../x", "a/../../x", "/tmp/x"] {
            let (message, help) = given(wrong).unwrap_err();
            assert_eq!(message, format!("--cgroup: {wrong} is not below /sys/fs/cgroup"));
            assert!(help.contains("--cgroup sluice"), "{help}");
        }
    }
}
