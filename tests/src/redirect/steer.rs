// SPDX-License-Identifier: Apache-2.0
//! A daemon that is a process of its own and steers one target (to be killed, or of another generation).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kernel::{Backend, Configuration, Hooks, Kernel, Mode, PodId, Settings, monotonic};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{counter, role};

/// Orders for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Steer {
    /// Its pin folder.
    pub pins: PathBuf,
    /// The cgroup of the clients.
    pub cgroup: PathBuf,
    /// Another object than the usual one.
    pub object: Option<PathBuf>,
    /// The target.
    pub target: SocketAddr,
    /// Its only pod.
    pub pod: SocketAddr,
}

/// The job `steer`: takes over at the start (opens, attaches, sets its target, retires what other generations
/// redirect), answers `redirects`.
pub fn job(orders: Value) -> Result<()> {
    let orders: Steer = serde_json::from_value(orders)?;
    let settings = Settings {
        object: orders.object,
        ..counter::settings(orders.pins)
    };
    let kernel = Kernel::open(settings).context("loading")?;
    let long = Duration::from_secs(3600);
    kernel.configure(&Configuration {
        stale_buffered: long,
        stale_direct: long,
        ..Configuration::default()
    })?;
    kernel.beat(monotonic());
    let pod = Backend {
        to: orders.pod,
        pod: PodId(1),
        is_remote: false,
        room: 0,
    };
    // What stands in our maps may be of long ago: it must be right before the hooks are there.
    kernel.set_backends(orders.target, Mode::Direct, &[pod])?;
    let hooks = Hooks {
        account: true,
        redirect: true,
    };
    kernel.attach(&orders.cgroup, hooks).context("attaching")?;
    kernel.retire_redirection()?;
    role::answer_questions(move |question| match question {
        "without" => Ok(serde_json::to_value(kernel.redirects()?.without_backend)?),
        other => bail!("unknown question {other:?}"),
    })?;
    loop {
        std::thread::park();
    }
}
