// SPDX-License-Identifier: Apache-2.0
//! What the runner tells the process that starts a container, and what it hears and reads back.
//!
//! Mechanism: one line of JSON over a socket; answers come as lines, and stay as files in the attempt's folder, so that a
//! runner that was killed finds them.
//! Invariants: whatever a container needs stands here; who starts it asks nobody.
//! Depends on: serde.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The word that leads to the starter on the command line.
pub const COMMAND: &str = "pod-start";

/// One attempt to run a container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// The attempt's folder, for records.
    pub attempt: PathBuf,
    /// Where its lines go; a second file of the same size is kept as `NAME.1`.
    pub log: PathBuf,
    /// How large a log file may become, in bytes.
    pub log_bytes: u64,
    /// What the container sees as `/`.
    pub root: Root,
    /// Whether only mounts that say so can be written to: `readOnlyRootFilesystem`.
    #[serde(default)]
    pub read_only: bool,
    /// What is mounted into it, in this order.
    pub mounts: Vec<Mount>,
    /// The host name.
    pub hostname: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub environment: Vec<(String, String)>,
    /// The working folder.
    pub folder: Option<PathBuf>,
    /// As whom it runs.
    pub user: User,
    /// Files to write `0` to: cgroups of version 1 with limits.
    pub join: Vec<PathBuf>,
    /// Files that count kills for want of memory.
    pub oom: Vec<PathBuf>,
}

/// What a container sees as `/`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) enum Root {
    /// The machine's own files.
    #[default]
    Machine,
    /// Read-only folders, the topmost first, under a folder for what is written.
    Layers {
        /// Where the folders are.
        base: PathBuf,
        /// Their names.
        lower: Vec<String>,
        /// Where what is written goes: `upper`, `work` and `root` are made in it.
        upper: PathBuf,
        /// Whether the machine's other mounts are seen too: it is the machine's root.
        is_machine: bool,
    },
}

/// A file or folder that is seen elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Mount {
    /// On the machine.
    pub source: PathBuf,
    /// In the container; absolute.
    pub target: PathBuf,
    /// Whether it cannot be written to.
    pub read_only: bool,
}

/// As whom a container runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    /// `USER[:GROUP]` of the image, names or numbers; looked up in the container's own files.
    pub image: String,
    /// `runAsUser`.
    pub uid: Option<u32>,
    /// `runAsGroup`.
    pub gid: Option<u32>,
    /// `supplementalGroups` and `fsGroup`.
    pub groups: Vec<u32>,
    /// `runAsNonRoot`.
    pub must_not_be_root: bool,
    /// Capabilities added to the usual ones, without `CAP_`.
    pub add: Vec<String>,
    /// Capabilities taken away; `ALL` for all.
    pub drop: Vec<String>,
    /// Whether it keeps all: `privileged`.
    pub privileged: bool,
    /// Whether it may gain privileges by running another program.
    pub no_new_privileges: bool,
}

/// What a container's starter says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Told {
    /// It runs.
    Started(Started),
    /// It could not be started.
    Failed(String),
}

/// A container that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Started {
    /// Its first process.
    pub pid: i32,
    /// When that began, in ticks since the machine's start: tells it from another process with its number.
    pub ticks: u64,
    /// When, as RFC 3339.
    pub at: String,
}

/// A container that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Its exit code; 128 and the signal for one that was killed.
    pub code: i32,
    /// The signal, or 0.
    pub signal: i32,
    /// Whether the kernel killed it for want of memory.
    pub is_oom: bool,
    /// When it began, as RFC 3339.
    pub began: String,
    /// When it ended, as RFC 3339.
    pub at: String,
    /// A reason other than the usual ones.
    pub reason: Option<String>,
    /// Its last words.
    pub message: String,
}

/// The starter of an attempt: file `shim.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shim {
    /// Its process.
    pub pid: i32,
    /// When that began, in ticks since the machine's start.
    pub ticks: u64,
}

/// File names in an attempt's folder.
pub(super) const SHIM: &str = "shim.json";
/// See [`Started`].
pub(super) const STARTED: &str = "started.json";
/// See [`Ended`].
pub(super) const ENDED: &str = "ended.json";
/// See [`Plan`].
pub(super) const PLAN: &str = "plan.json";
/// What the container may write its last words to.
pub(super) const LAST_WORDS: &str = "last-words";

/// Writes a record so that a reader finds it whole or not at all.
///
/// # Errors
/// If the folder cannot be written to.
pub(super) fn write(folder: &Path, name: &str, record: &impl Serialize) -> io::Result<()> {
    let (new, path) = (folder.join(format!(".{name}")), folder.join(name));
    std::fs::write(&new, serde_json::to_vec(record)?)?;
    std::fs::rename(new, path)
}

/// Reads a record; none if it is absent or not one.
#[must_use]
pub(super) fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Option<T> {
    serde_json::from_slice(&std::fs::read(folder.join(name)).ok()?).ok()
}

/// When a process began, in ticks since the machine's start (proc(5), field 22 of `stat`).
#[must_use]
pub(super) fn ticks(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// Now.
#[must_use]
pub(super) fn time() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let nanoseconds = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
    Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::MAX)
}

/// Now, as logs and records have it.
#[must_use]
pub(super) fn now() -> String {
    time().strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}
