// SPDX-License-Identifier: Apache-2.0
//! Removing exactly what was recorded.
//!
//! Problem: pins outlive the daemon; whoever removes Sluice must be able to remove all of it, and nothing else.
//! Mechanism: every generation's folder with our record is detached and removed name by name.
//! Invariants: folders without our record and names that are not ours stay, and are reported.
//! Depends on: `pins`, `generation`.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    generation, object,
    pins::{Folder, RecordError},
    settings::Settings,
};

/// What a cleanup did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Removed, in this order.
    pub removed: Vec<PathBuf>,
    /// Found beside it and left alone.
    pub left: Vec<PathBuf>,
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// A daemon is running.
    #[error("{pin_dir} is in use by another process")]
    Busy {
        /// Asked for.
        pin_dir: PathBuf,
    },
    /// The kernel refused.
    #[error("{pin_dir} could not be removed")]
    Kernel {
        /// Asked for.
        pin_dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl CleanupError {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "stop it first (a `sluice` or its daemon)",
            Self::Kernel { .. } => "run as root or with CAP_BPF and CAP_NET_ADMIN",
        }
    }
}

/// Detaches and removes everything recorded under the pin folder.
pub fn cleanup(settings: &Settings) -> Result<Cleaned, CleanupError> {
    let pin_dir = settings.pin_dir.clone();
    if !pin_dir.exists() {
        return Ok(Cleaned::default());
    }
    let failed = |source| CleanupError::Kernel {
        pin_dir: pin_dir.clone(),
        source,
    };
    let _lock = lock(&pin_dir).map_err(failed)?.ok_or_else(|| CleanupError::Busy {
        pin_dir: pin_dir.clone(),
    })?;
    clean(settings).map_err(failed)
}

fn clean(settings: &Settings) -> io::Result<Cleaned> {
    let mut cleaned = Cleaned::default();
    for (_, folder) in Folder::all(&settings.pin_dir)? {
        match folder.meta() {
            Ok(Some(_)) => cleaned
                .left
                .extend(generation::dismantle(&folder, &mut cleaned.removed)?),
            Ok(None) | Err(RecordError::Foreign(_)) => cleaned.left.push(folder.root().to_owned()),
            Err(RecordError::Kernel(error)) => return Err(error),
        }
    }
    let word = object::generation_path(settings);
    if cleaned.left.is_empty() && word.exists() {
        fs::remove_file(&word)?;
        cleaned.removed.push(word.clone());
    }
    cleaned.left.extend(Folder::strangers(&settings.pin_dir, &word)?);
    match fs::remove_dir(&settings.pin_dir) {
        Ok(()) => cleaned.removed.push(settings.pin_dir.clone()),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
        Err(error) => return Err(error),
    }
    Ok(cleaned)
}

/// One process at a time works on a pin folder; the kernel lets go when it dies. `None` = another has it.
pub(crate) fn lock(pin_dir: &Path) -> io::Result<Option<File>> {
    let folder = File::open(pin_dir)?;
    for _ in 0..LOCK_ATTEMPTS {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

/// A daemon that is just dying lets go within this time; so does a child of it between fork and exec.
const LOCK_ATTEMPTS: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(5);
