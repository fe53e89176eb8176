// SPDX-License-Identifier: Apache-2.0
//! Certificates out of files, read again when one of them changes.
//!
//! Mechanism: what tells a changed file (time, length, number) is compared at every look; Kubernetes' way of changing a mounted
//! secret, another target of a link, shows in it too.
//! Invariants: a file that cannot be read, or is half written, leaves what was served before.
//! Depends on: config, proxy.

use super::config;
use proxy::{BadCertificate, Certificate, Certificates};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What tells a changed file.
pub(super) type Stamp = Option<(i64, i64, u64, u64)>;

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("certificates[{index}].{field}: {path}: {fault}")]
    Unreadable {
        index: usize,
        field: &'static str,
        path: String,
        fault: io::Error,
    },
    #[error(transparent)]
    Bad(#[from] BadCertificate),
}

/// The certificates of the file, served.
pub(super) struct Files {
    /// Paths in the file are relative to its folder.
    folder: PathBuf,
    pub(super) served: Arc<Certificates>,
    wanted: Vec<config::Certificate>,
    seen: Vec<Stamp>,
}

impl Files {
    /// None yet.
    pub(super) fn new(folder: &Path) -> Result<Self, io::Error> {
        Ok(Self {
            folder: folder.to_owned(),
            served: Arc::new(Certificates::new().map_err(io::Error::other)?),
            wanted: Vec::new(),
            seen: Vec::new(),
        })
    }

    /// Serves these from now on. Returns what is wrong with some.
    pub(super) fn apply(&mut self, wanted: &[config::Certificate]) -> Vec<Fault> {
        self.wanted = wanted.to_vec();
        self.seen = self.stamps();
        self.read()
    }

    /// Reads the files again if one has changed; `None`: none has.
    pub(super) fn look(&mut self) -> Option<Vec<Fault>> {
        let now = self.stamps();
        if now == self.seen {
            return None;
        }
        self.seen = now;
        Some(self.read())
    }

    fn read(&self) -> Vec<Fault> {
        let (mut certificates, mut faults) = (Vec::new(), Vec::new());
        for (index, wanted) in self.wanted.iter().enumerate() {
            let mut contents = |field, path: &Path| {
                let path = self.folder.join(path);
                std::fs::read(&path).unwrap_or_else(|fault| {
                    let path = path.display().to_string();
                    faults.push(Fault::Unreadable {
                        index,
                        field,
                        path,
                        fault,
                    });
                    Vec::new()
                })
            };
            certificates.push(Certificate {
                source: self.folder.join(&wanted.cert).display().to_string(),
                names: wanted.hosts.clone(),
                chain_pem: contents("cert", &wanted.cert),
                key_pem: contents("key", &wanted.key),
            });
        }
        let bad = self.served.replace(certificates);
        match faults.is_empty() {
            // An unread file shows as an empty one, too.
            false => faults,
            true => bad.into_iter().map(Fault::Bad).collect(),
        }
    }

    fn stamps(&self) -> Vec<Stamp> {
        let paths = self.wanted.iter().flat_map(|wanted| [&wanted.cert, &wanted.key]);
        paths.map(|path| stamp(&self.folder.join(path))).collect()
    }
}

/// How a file stands now.
pub(super) fn stamp(path: &Path) -> Stamp {
    let file = std::fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
}
