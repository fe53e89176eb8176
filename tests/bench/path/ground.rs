// SPDX-License-Identifier: Apache-2.0
//! Ways to one server: straight, and through proxies that stand in the client's namespace, as a node's gateway would.
//!
//! Mechanism: client, node and pod each have a cgroup below the rig's, so that one file tells the CPU time of all three.
//! Depends on: site, relay, bytes.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ::tests::rig::{Cgroup, Kept, Undo};
use ::tests::role::Role;
use anyhow::{Context, Result, bail};

use super::{bytes, relay};
use crate::serve;
use crate::site::Site;

/// The host that routes lead to the HTTP/1.1 server.
pub(super) const HOST: &str = "bench.example.com";
/// The host that routes lead to the HTTP/2 server.
pub(super) const HOST_TWO: &str = "two.example.com";

const BUFFERED: u16 = 9001;
const GATEWAY: u16 = 9002;
const RELAY: u16 = 9003;
const POOL: u16 = 9004;
const BYTES: u16 = 9005;
const PAGES: u16 = 9006;
const ROUTES: usize = 1000;

/// How a request gets to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing between.
    Direct,
    /// Nothing between, counted by the kernel programs.
    Counted,
    /// `sluice proxy` with one route.
    Buffered,
    /// `sluice proxy` with a thousand.
    Gateway,
    /// A relay of hyper's server and client, a connection to the server for each of a client.
    Relay,
    /// The same with hyper-util's pool of connections, as a gateway needs it.
    Pool,
    /// A relay of bytes, which knows no requests.
    Bytes,
    /// The same by `splice`, without copies.
    Pages,
}

impl Way {
    /// As tables call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Counted => "counted direct",
            Self::Buffered => "buffered",
            Self::Gateway => "gateway, 1 000 routes",
            Self::Relay => "hyper relay, unpooled",
            Self::Pool => "hyper relay",
            Self::Bytes => "relay of bytes",
            Self::Pages => "relay by splice",
        }
    }
}

/// The ways, standing.
pub(crate) struct Ground<'r> {
    pub(super) site: Site<'r>,
    pub(super) load: Cgroup,
    buffered: Node,
    _gateway: Node,
    _relays: [Role; 4],
    _node: Cgroup,
    _files: Kept,
    pub(super) folder: PathBuf,
}

/// A running `sluice proxy`.
struct Node {
    child: Child,
    _kept: Kept,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'r> Ground<'r> {
    /// Starts the proxies.
    pub(super) fn new(site: Site<'r>) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("sluice-bench-{}", std::process::id()));
        let files = site.rig.register().keep(Undo::Folder(folder.clone()));
        std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let (load, node) = (site.rig.cgroup().child("load")?, site.rig.cgroup().child("node")?);
        let start = |port, routes| start(&site, &node, &folder, port, routes);
        let (buffered, gateway) = (start(BUFFERED, 0)?, start(GATEWAY, ROUTES)?);
        let pod = site.field.pod_address(false);
        let (its, netns) = (Some(node.path()), Some(&site.field.client));
        let relay = |port, is_pooled| {
            let orders = relay::Orders { port, pod, is_pooled };
            Role::start(site.rig, its, netns, "bench-relay", orders)
        };
        let floor = |port, splices| {
            let orders = bytes::Orders { port, pod, splices };
            Role::start(site.rig, its, netns, "bench-bytes", orders)
        };
        let relays = [
            relay(RELAY, false)?,
            relay(POOL, true)?,
            floor(BYTES, false)?,
            floor(PAGES, true)?,
        ];
        Ok(Self {
            site,
            load,
            buffered,
            _gateway: gateway,
            _relays: relays,
            _node: node,
            _files: files,
            folder,
        })
    }

    /// `host:port` of a way.
    pub(super) fn address(&self, way: Way, is_two: bool) -> String {
        match way {
            Way::Direct | Way::Counted => {
                let port = if is_two { serve::HTTP2 } else { serve::HTTP1 };
                format!("{}:{port}", self.site.field.pod_address(false).ip())
            }
            Way::Buffered => format!("127.0.0.1:{BUFFERED}"),
            Way::Gateway => format!("127.0.0.1:{GATEWAY}"),
            Way::Relay => format!("127.0.0.1:{RELAY}"),
            Way::Pool => format!("127.0.0.1:{POOL}"),
            Way::Bytes => format!("127.0.0.1:{BYTES}"),
            Way::Pages => format!("127.0.0.1:{PAGES}"),
        }
    }

    /// Microseconds of CPU time of everything here since the beginning.
    pub(super) fn spent(&self) -> Result<f64> {
        let path = self.site.rig.cgroup().path().join("cpu.stat");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Ok(usage.context("no usage_usec in cpu.stat")?.parse()?)
    }

    /// Bytes resident of the buffered way's process.
    pub(super) fn resident(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.buffered.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
        Ok(kib.trim().parse::<u64>()? * 1024)
    }
}

fn start(site: &Site<'_>, node: &Cgroup, folder: &Path, port: u16, routes: usize) -> Result<Node> {
    let config = folder.join(format!("{port}.yaml"));
    std::fs::write(&config, file(site, port, routes))?;
    let sluice = std::env::current_exe()?.with_file_name("sluice");
    if !sluice.exists() {
        bail!("{} is not built: cargo build --release -p sluice", sluice.display());
    }
    // Idle connections need more descriptors than a shell usually gives.
    let script = "echo 0 > \"$0\" && ulimit -n $(ulimit -Hn) && exec \"$@\"";
    let mut child = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{}", site.field.client.name()))
        .args(["sh", "-c", script])
        .arg(node.path().join("cgroup.procs"))
        .arg(&sluice)
        .args(["proxy", "--config"])
        .arg(&config)
        .stdout(Stdio::piped())
        .spawn()?;
    let kept = site.rig.register().keep(Undo::Child(i32::try_from(child.id())?));
    let mut said = String::new();
    BufReader::new(child.stdout.take().context("the proxy's output")?).read_line(&mut said)?;
    if !said.starts_with("listening on") {
        bail!("sluice proxy did not start: {said}");
    }
    Ok(Node { child, _kept: kept })
}

fn file(site: &Site<'_>, port: u16, others: usize) -> String {
    let pod = site.field.pod_address(false).ip();
    let route = |host: &str, to: &str| format!("  - hosts: [{host}]\n    to: {{{to}: 100}}\n");
    let others: String = (0..others)
        .map(|number| route(&format!("app-{number}.example.com"), "one"))
        .collect();
    format!(
        "listen: ['127.0.0.1:{port}']\nrevisions:\n  one: {{pods: ['{pod}:{}']}}\n  two: {{pods: ['{pod}:{}'], protocol: h2c}}\nroutes:\n{}{}{others}",
        serve::HTTP1,
        serve::HTTP2,
        route(HOST, "one"),
        route(HOST_TWO, "two"),
    )
}
