// SPDX-License-Identifier: Apache-2.0
//! What a runner is told: where its things are and what images stand for.
//!
//! Invariants: two runners that share no prefix, range, cgroup and run folder do not meet.
//! Depends on: network (range).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use super::network::Range;

/// The settings of a runner.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node whose pods it runs: `spec.nodeName`.
    pub node: String,
    /// The addresses of pods; the first is the machine's own.
    pub range: Range,
    /// What the names of its devices begin with; letters and digits, short enough for the kernel.
    pub prefix: String,
    /// The cgroup (version 2) that pods' are made in; it is made if it is absent.
    pub cgroup: PathBuf,
    /// Records, logs, volumes and what containers write; without `,` `:` and `\`.
    pub run: PathBuf,
    /// Unpacked images; may be shared, and stays.
    pub cache: PathBuf,
    /// What images stand for: `--image NAME=PATH`.
    pub images: BTreeMap<String, PathBuf>,
    /// The program that answers `pod-start` with [`start`](super::start), and what stands before that word.
    pub starter: (PathBuf, Vec<OsString>),
    /// How many networks are kept ready for pods to come.
    pub warm: usize,
    /// Who answers the pods' DNS; the machine's address in their range if none is named.
    pub nameserver: Option<Ipv4Addr>,
    /// The cluster's domain, for the pods' search path.
    pub domain: String,
    /// How large one of the two files of a container's log may become, in bytes.
    pub log_bytes: u64,
    /// How long a container that ended a second time waits first.
    pub back_off: Duration,
}

impl Settings {
    /// The usual settings, with a program that starts pods.
    #[must_use]
    pub fn new(starter: PathBuf) -> Self {
        Self {
            node: "standalone".to_owned(),
            range: Range {
                base: Ipv4Addr::new(10, 244, 0, 0),
                prefix: 16,
            },
            prefix: "slc".to_owned(),
            cgroup: PathBuf::from("/sys/fs/cgroup/sluice"),
            run: PathBuf::from("/run/sluice/pods"),
            cache: PathBuf::from("/var/cache/sluice/images"),
            images: BTreeMap::new(),
            starter: (starter, Vec::new()),
            warm: 4,
            nameserver: None,
            domain: "cluster.local".to_owned(),
            log_bytes: 10 * 1024 * 1024,
            back_off: Duration::from_secs(10),
        }
    }

    /// Who answers the pods' DNS.
    #[must_use]
    pub fn nameserver(&self) -> Ipv4Addr {
        self.nameserver.unwrap_or_else(|| self.range.host())
    }

    /// What is wrong with them, each with the way out.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let is_plain = |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric());
        // IFNAMSIZ, less the end of the text.
        let most = 15 - self.range.room().to_string().len();
        if self.prefix.is_empty() || self.prefix.len() > most || !is_plain(&self.prefix) {
            problems.push(format!(
                "the prefix of devices `{}` must be one to {most} letters and digits",
                self.prefix
            ));
        }
        let run = self.run.to_string_lossy();
        if !self.run.is_absolute() || run.contains([',', ':', '\\', ' ']) {
            problems.push(format!(
                "the run folder {run} must be absolute and without `,` `:` `\\` and blanks"
            ));
        }
        for (name, path) in &self.images {
            if !path.exists() {
                problems.push(format!("--image {name}={0}: there is no {0}", path.display()));
            }
        }
        problems
    }

    /// Where the pods' networks are mounted.
    #[must_use]
    pub fn networks(&self) -> PathBuf {
        self.run.join("net")
    }

    /// Where a pod's records are.
    #[must_use]
    pub fn pod(&self, uid: &str) -> PathBuf {
        self.run.join("pods").join(uid)
    }

    /// The name of the bridge.
    #[must_use]
    pub fn bridge(&self) -> String {
        format!("{}br", self.prefix)
    }
}
