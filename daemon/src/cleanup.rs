// SPDX-License-Identifier: Apache-2.0
//! `sluice cleanup`: removes exactly what was recorded, and says what.
//!
//! Depends on: kernel.

use crate::{
    cli,
    failure::{self, Exit, Failure},
    output, progress,
};

/// Runs the command.
pub(crate) fn run(arguments: &cli::Cleanup) -> Result<Exit, Failure> {
    let settings = arguments.places.settings();
    failure::need_privileges(&settings.proc_root)?;
    let pin_dir = settings.pin_dir.display();
    let cleaned = progress::during("removing what is pinned", || kernel::cleanup(&settings))?;
    let mut lines: Vec<String> = cleaned
        .removed
        .iter()
        .map(|path| format!("removed {}", path.display()))
        .collect();
    if lines.is_empty() && cleaned.left.is_empty() {
        lines.push(format!("nothing of ours at {pin_dir}"));
    }
    output::print(&lines)?;
    if cleaned.left.is_empty() {
        return Ok(Exit::Done);
    }
    let left: Vec<String> = cleaned.left.iter().map(|path| path.display().to_string()).collect();
    Err(Failure::new(
        Exit::Foreign,
        format!("left alone, because we did not make it: {}", left.join(", ")),
        "look at it, then remove it by hand",
    ))
}
