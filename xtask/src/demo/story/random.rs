// SPDX-License-Identifier: Apache-2.0
//! A Flask app, as an executable image.
//!
//! Depends on: Debian's python3-flask.

use anyhow::{Context, Result};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What its services name.
pub(super) const IMAGE: &str = "demo/random";
/// The app.
pub(super) const SCRIPT: &str = include_str!("number.py");

/// Writes it, and answers what `--image` is told.
pub(super) fn image(folder: &Path) -> Result<String> {
    // By another name than the module that Flask imports.
    let path = folder.join("number.py");
    let failed = || format!("writing {}", path.display());
    fs::write(&path, SCRIPT).with_context(failed)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755)).with_context(failed)?;
    Ok(format!("{IMAGE}={}", path.display()))
}
